"""Sliders for settings that a batch held still can be scored under: nothing is trained."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import streamlit as st

from cpc_engine.config import RunConfig, all_settings, label_of

if TYPE_CHECKING:
    from .anchor import Chosen

TAUS = (0.01, 0.02, 0.03, 0.05, 0.07, 0.1, 0.15, 0.2, 0.3, 0.5, 0.7, 1.0)
SIGMAS = (0.0, 0.01, 0.02, 0.05, 0.1, 0.15, 0.2, 0.3, 0.5, 1.0)
QUEUES = (0, 64, 128, 256, 512, 1024, 2048, 4096)
MIXTURES = (0, 64, 128, 256, 512, 1024)
HARDNESS = (0.0, 0.25, 0.5, 1.0, 2.0)
PRIORS = (0.0, 0.05, 0.1, 0.2, 0.3, 0.5)
DEBIASING = "Share of the negatives taken to be false ones; their expected mass is subtracted."


def settings(chosen: Chosen) -> RunConfig:
    """The settings of the step with what the reader changed.

    A control is named by what its setting is at the step, too: settings are changed while a run trains, and what was
    chosen beside one value is not asked for beside another.
    """
    own = chosen.frozen.opened.config
    sampler, prefix = own.sampler, f"if-{chosen.run}-{chosen.frozen.term}"
    path = "loss.item_temperature" if chosen.frozen.term == "item" else "loss.temperature"
    given: dict[str, Any] = {}

    def key(path: str, value: Any) -> str:
        return f"{prefix}-{value}-{path}"

    def slide(path: str, stops: tuple[Any, ...], value: Any, **options: Any) -> None:
        given[path] = st.select_slider(label_of(path), sorted({*stops, value}), value, key=key(path, value), **options)

    def switch(path: str, value: bool) -> bool:
        given[path] = st.toggle(label_of(path), value, key=key(path, value))
        return bool(given[path])

    # A learned τ is shown as it is now; left alone it is not replaced by a rounded one.
    tau = float(f"{chosen.frozen.temperature:.3g}")
    slide(path, TAUS, tau)
    if given[path] == tau:
        del given[path]
    slide("sampler.queue_size", QUEUES, sampler.queue_size)
    if switch("sampler.perturbed", sampler.perturbed):
        slide("sampler.sigma", SIGMAS, sampler.sigma)
    shuffles = next(setting for setting in all_settings() if setting.path == "sampler.shuffled")
    given["sampler.shuffled"] = st.selectbox(
        shuffles.label,
        shuffles.choices,
        shuffles.choices.index(sampler.shuffled),
        format_func=shuffles.word_of,
        key=key("shuffled", sampler.shuffled),
        help="In the batch and in time: the in-batch negatives a second time.",
    )
    permutes = given["sampler.shuffled"] in ("batch", "time")  # the in-batch negatives, which then have to be there
    in_batch = st.toggle(
        label_of("sampler.in_batch"),
        sampler.in_batch,
        key=key("sampler.in_batch", sampler.in_batch),
        disabled=permutes,
    )
    given["sampler.in_batch"] = permutes or in_batch
    slide("sampler.mixed", MIXTURES, sampler.mixed)
    if len(chosen.frozen.opened.trainer.model.modalities) > 1:
        switch("sampler.cross_modal", sampler.cross_modal)
    if chosen.frozen.term == "prediction":
        masks = switch("sampler.mode", sampler.mode == "exclude_positives")
        given["sampler.mode"] = "exclude_positives" if masks else "reference"
        switch("sampler.same_item", sampler.same_item)
    switch("sampler.same_class", sampler.same_class)
    slide("sampler.hardness", HARDNESS, sampler.hardness)
    slide("sampler.class_prior", PRIORS, sampler.class_prior, help=DEBIASING)
    return own.replace(given)
