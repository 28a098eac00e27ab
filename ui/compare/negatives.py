"""What the negatives of each arm did over training, as charts of a report: of one run an arm, from its records."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from cpc_engine.comparison.standings import titles
from cpc_engine.terms import ITEM_NOUNS, MODALITIES

from ..drawing.charts import Figure
from ..drawing.curves import Record, spoken
from ..drawing.negatives.over_time import (
    FALSE,
    Parts,
    false_figure,
    false_words,
    parts_of,
    share_figure,
    similarity_figure,
)
from .data import all_records

if TYPE_CHECKING:
    from cpc_engine.comparison.arms import Arm
    from cpc_engine.config import RunConfig

POINTS = 120  # of one curve, so that a report of many arms stays small
MEANING = f"Bands: one standard deviation. False negatives are those of the anchor's class. {FALSE}"


@dataclass(frozen=True)
class Drawn:
    """The run that is drawn of an arm; `title` names both."""

    letter: str
    title: str
    config: RunConfig
    records: Sequence[Record]


def drawn_runs(arms: Sequence[Arm]) -> list[Drawn]:
    """The first run of each arm that has recorded anything.

    Raises:
        RunError: a folder is broken.
    """
    found = []
    for arm, title in zip(arms, titles(arms), strict=True):
        for run in arm.runs:
            if records := all_records(run.id):
                found.append(Drawn(arm.letter, f"{title}, seed {run.seed}", run.config, records))
                break
    return found


def negatives_charts(runs: Sequence[Drawn]) -> list[tuple[Figure, str]]:
    """Share of the gradient, similarity and false negatives by source: figures of each run, with text alternatives.

    Those of one kind follow each other, so that arms stand side by side, and have one range of values.
    """
    losses = [(run.letter, name, parts) for run in runs for name, parts in _losses(run).items()]
    several = len({name for _, name, _ in losses}) > 1
    kinds: tuple[Callable[[Parts], Figure], ...] = (
        share_figure,
        lambda parts: similarity_figure(parts, POINTS),
        lambda parts: false_figure(parts, POINTS),
    )
    charts = []
    for draw in kinds:
        figures = [draw(parts) for _, _, parts in losses]
        _level(figures)
        for (letter, name, parts), figure in zip(losses, figures, strict=True):
            title = f"{letter} · {figure['layout']['title']['text']}{f', {name}' if several else ''}"
            figure["layout"]["title"]["text"] = title
            newest = f" {false_words(parts)}" if draw is kinds[-1] else ""
            charts.append((figure, spoken(figure) + newest))
    return charts


def _losses(run: Drawn) -> dict[str, Parts]:
    """The records of each loss that has negatives, by its name: item-level terms first, since they weigh more."""
    loss = run.config.loss
    terms = {"item": "whole items"} if loss.item_weight > 0 else {}
    if loss.prediction_weight > 0 or not terms:
        terms["prediction"] = "prediction"
    found: dict[str, Parts] = {}
    for term, words in terms.items():
        for modality in MODALITIES:
            if parts := parts_of(run.records, modality, term):
                found[f"{words} of {ITEM_NOUNS[modality][1]}"] = parts
    return found


def _level(figures: Sequence[Figure]) -> None:
    """Give charts of curves the same range of values; shares, which lie on top of each other, have theirs."""
    axes = [figure["layout"]["yaxis"] for figure in figures]
    values = [y for figure in figures for trace in figure["data"] for y in trace["y"] if y is not None]
    if not values or any("range" in axis for axis in axes):
        return
    low, high = min([*values, *(0.0 for axis in axes if axis.get("rangemode") == "tozero")]), max(values)
    room = 0.04 * (high - low or 1.0)
    for axis in axes:
        axis |= {"range": [low - room, high + room]}
