"""What the negatives of a run did over its training, from what it recorded."""

from __future__ import annotations

from typing import TYPE_CHECKING

import streamlit as st

from ..components.chart import chart
from ..shell.glossary import define
from ..shell.session import open_run
from .over_time_figures import false_figure, parts_of, safety_figure, similarity_figure, staleness_figure

if TYPE_CHECKING:
    from .anchor import Chosen


def show_over_time(chosen: Chosen) -> None:
    """Charts of the loss that is looked at; nothing where nothing was recorded."""
    records, (term, modality) = open_run(chosen.run).folder.records(), chosen.which
    parts = parts_of(records, modality, term)
    if not parts:
        return
    st.header("Over time", anchor="over-time")
    config, key = chosen.frozen.opened.config, f"{chosen.run}-{term}-{modality}"
    left, right = st.columns(2, gap="medium")
    with left:
        chart(similarity_figure(parts), f"similarity-{key}", meaning="Hard negatives lie near the positives.")
    with right:
        chart(
            false_figure(parts),
            f"false-{key}",
            meaning="Far above its class's part of the data, a source pushes apart what belongs together.",
            definition=define("false_negative"),
        )
    stale = staleness_figure(records, modality) if term == "prediction" else None
    with left:
        if stale is not None:
            chart(stale, f"stale-{key}", meaning="A fall means that queued latents are of an encoder that has changed.")
    if config.sampler.perturbed:
        dim = config.context.item_dim if term == "item" else config.context.latent_dim
        with right:
            chart(safety_figure(dim, config.sampler.sigma), f"safety-{key}", meaning=f"1/√(1 + dσ²), d = {dim}.")
