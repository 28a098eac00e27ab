"""What the negatives of a run did over its training, from what it recorded."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING

import streamlit as st

from cpc_engine.sources import SOURCES

from ..components.chart import chart
from ..drawing.curves import spoken
from ..drawing.negatives.over_time import FALSE, false_figure, false_words, parts_of, similarity_figure
from ..shell.glossary import define
from ..shell.session import open_run
from .opened import distributions, stale
from .over_time_figures import safety_figure, staleness_figure
from .ridges import age_figure, closer_figure, ridge_figure, ridge_height, ridge_words

if TYPE_CHECKING:
    from ..drawing.charts import Figure
    from .anchor import Chosen


RIDGES = (
    "How often each similarity occurs in the batch that each step trained on next; each curve is relative to its own "
    "peak. Where a source lies on the positives, its negatives cannot be told from them."
)
CLOSER = "Part of each source's candidates. Labels do not count here; by chance it is a half."
AGES = (
    "Each queued latent against the same position encoded now, without augmentation: median, and from the 5th to the "
    "95th percentile. Augmentation alone lowers it, so what counts is the fall with age."
)


def show_over_time(chosen: Chosen, steps: Sequence[int], first: st.delta_generator.DeltaGenerator) -> None:
    """Charts of the loss that is looked at: of what was recorded, and of the steps that the run keeps weights of.

    Args:
        first: where the chart is drawn that the address asks to see, such as one that proves an alarm.
    """
    folder, (term, modality) = open_run(chosen.run).folder, chosen.which
    records = folder.records()
    parts = parts_of(records, modality, term)
    st.header("Over time", anchor="over-time")
    config, key = chosen.frozen.opened.config, f"{chosen.run}-{term}-{modality}"
    charts: dict[str, Callable[[], None]] = {}
    if parts:
        near, false, newest = similarity_figure(parts), false_figure(parts), false_words(parts)
        hard = "Band: one standard deviation. Hard negatives lie near the positives."
        charts["similarity"] = lambda: chart(near, f"similarity-{key}", meaning=hard)
        charts["false"] = lambda: chart(
            false,
            f"false-{key}",
            meaning=FALSE,
            alt=f"{spoken(false)} {newest}",
            definition=f"{newest} {define('false_negative')}",
        )
    if term == "prediction":
        if (drift := staleness_figure(records, modality)) is not None:
            words = "Queued latents against the same encoded again. A fall: they are of an encoder that has changed."
            charts["stale"] = lambda: chart(drift, f"stale-{key}", meaning=words)
        if (found := stale(chosen.opening, modality)) is not None:
            ages = age_figure(found, chosen.frozen.opened.step)
            older = "Median and 5th to 95th percentile: older latents are of an older encoder."
            charts["ages"] = lambda: chart(ages, f"ages-{key}", meaning=older, definition=AGES)
    if config.sampler.perturbed:
        dim = config.context.item_dim if term == "item" else config.context.latent_dim
        noise = f"Near 1 the negatives are the positive itself. Expected: 1/√(1 + dσ²), d = {dim}."
        safety = safety_figure(dim, config.sampler.sigma)
        charts["safety"] = lambda: chart(safety, f"safety-{key}", meaning=noise)
    asked = charts.pop(st.query_params.get("see", ""), None)
    if asked:
        with first:
            asked()
    _in_pairs(list(charts.values()))
    _show_ridges(chosen, steps, key)


def _show_ridges(chosen: Chosen, steps: Sequence[int], key: str) -> None:
    """Similarities at the kept steps, a chart per source."""
    st.subheader("Similarities, step by step", anchor="similarities", help=RIDGES)
    with st.spinner("Looking at every kept step …"):
        found = distributions(replace(chosen.opening, step=None), tuple(steps), *chosen.which)
    names = [name for name in SOURCES if any(name in row.sources for row in found)]
    figures = {name: ridge_figure(found, name) for name in names}

    def ridges(name: str, figure: Figure) -> Callable[[], None]:
        words = ridge_words(found, name)
        return lambda: chart(figure, f"ridges-{name}-{key}", ridge_height(figure), alt=words)

    closer = closer_figure(found)
    first = [lambda: chart(closer, f"closer-{key}", meaning=CLOSER)]
    _in_pairs([*first, *(ridges(name, figure) for name, figure in figures.items())])


def _in_pairs(charts: Sequence[Callable[[], None]]) -> None:
    """Two in a row, which a phone shows below one another in their order."""
    for begin in range(0, len(charts), 2):
        for show, place in zip(charts[begin : begin + 2], st.columns(2, gap="medium"), strict=False):
            with place:
                show()
