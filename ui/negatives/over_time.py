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
from .opened import distributions, kept_by_shuffling, stale
from .over_time_figures import safety_figure, shuffling_columns, shuffling_figure, shuffling_words, staleness_figure
from .ridges import age_figure, closer_figure, ridge_figure, ridge_height, ridge_words

if TYPE_CHECKING:
    from cpc_engine.anatomy.shuffling import Shuffle

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

SHUFFLED = {
    "prediction": {
        "input": "A latent of the shuffled input against the one at the same place of the input.",
        "time": "A latent against those that a permutation of its item can put in its place.",
        "batch": "A latent against those that a permutation of the batch can put in its place.",
    },
    "item": {
        "input": "The embedding of an item's shuffled input against that of its input.",
        "time": "An item has one embedding, which a permutation in time leaves where it is.",
        "batch": "An embedding against those that a permutation of the batch can put in its place.",
    },
}
NOT_SHUFFLED = "This run has no shuffled negatives; this is what shuffling its input would give. "
NEAR = "Near 1 shuffling changes nothing, and the negative is a copy of the positive:"
SHUFFLED_HOW = (
    "Line: mean over held-out items, without augmentation; band: the middle half of them. A steady sound or a plain "
    "picture is the same in any order. Permuted latents are moreover the in-batch negatives a second time; beside them "
    "stands what shuffling the input would give."
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
    first = [lambda: chart(closer, f"closer-{key}", meaning=CLOSER), lambda: _show_shuffling(chosen, steps, key)]
    _in_pairs([*first, *(ridges(name, figure) for name, figure in figures.items())])


def _show_shuffling(chosen: Chosen, steps: Sequence[int], key: str) -> None:
    """What shuffling changes: as the run does it, and of its input, which alone makes new latents."""
    sampler = chosen.frozen.opened.config.sampler
    shuffles: list[Shuffle] = ["input"]
    if sampler.shuffled == "batch" or sampler.shuffled == "time":
        shuffles = [sampler.shuffled, "input"]
    opening = replace(chosen.opening, step=None)
    with st.spinner("Shuffling at every kept step …"):
        found = {one: kept_by_shuffling(opening, tuple(steps), *chosen.which, one) for one in shuffles}
    figure, words = shuffling_figure(steps, found), shuffling_words(steps, found)
    what = SHUFFLED[chosen.frozen.term][shuffles[0]]
    way_out = "leave “Shuffled” off"
    if sampler.shuffled != "off":
        way_out = "switch off “Shuffled”" + (" or “Negatives from the same item”" if sampler.same_item else "")
    chart(
        figure,
        f"shuffling-{key}",
        meaning=f"{NOT_SHUFFLED if sampler.shuffled == 'off' else ''}{what} {NEAR} {way_out}.",
        definition=f"{words} {SHUFFLED_HOW}",
        alt=f"{spoken(figure)} {words}",
        columns=shuffling_columns(steps, found),
    )


def _in_pairs(charts: Sequence[Callable[[], None]]) -> None:
    """Two in a row, which a phone shows below one another in their order."""
    for begin in range(0, len(charts), 2):
        for show, place in zip(charts[begin : begin + 2], st.columns(2, gap="medium"), strict=False):
            with place:
                show()
