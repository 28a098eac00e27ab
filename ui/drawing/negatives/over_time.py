"""What each source of negatives did over a run's training: share, similarity, and false negatives, from its records."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

from cpc_engine.sources import SOURCES

from ..charts import Figure, Series, line_figure, stacked_figure
from ..curves import LEGEND, TABLE, Record, number
from ..palette import GRAY, SOURCE_STYLES, Style
from ..text import SHARE, source_label

Parts = Sequence[tuple[int, dict[str, Any]]]  # (step, record of one modality)
POSITIVE = Style(GRAY, "star")
POINTS = 600  # of one curve
MARKS = 9  # of one curve of false negatives: sources are told apart by them where colors are not seen
FALSE = (
    "Solid: part of each source's softmax mass; dotted: of its number. Solid above dotted: negatives of the anchor's "
    "class pull more than their number, and what belongs together is pushed apart."
)
BY_NUMBER = "dotted: part of the number"


def parts_of(records: Sequence[Record], modality: str, term: str) -> list[tuple[int, dict[str, Any]]]:
    """(step, record of one modality) of the prediction of what comes next, or of the item-level term."""
    found = [(row["step"], (row.get("items") if term == "item" else row["modalities"]) or {}) for row in records]
    return [(step, part[modality]) for step, part in found if modality in part]


def share_figure(parts: Parts) -> Figure:
    """Each source's share of the gradient on all negatives, on top of each other; 0 where a source is not there."""
    steps = [step for step, _ in parts]
    series = [
        Series(
            source_label(name),
            steps,
            [100 * number(part["sources"][name]["share"]) if name in part["sources"] else 0.0 for _, part in parts],
            SOURCE_STYLES[name],
        )
        for name in _names(parts)
    ]
    return stacked_figure(series, "step", "%", SHARE)


def similarity_figure(parts: Parts, limit: int = POINTS) -> Figure:
    """Mean similarity of the negatives of each source, with a band of one standard deviation, and of the positives.

    Args:
        limit: points of one curve.
    """
    positive = Series(
        "positive", [step for step, _ in parts], [number(part["positive_similarity"]) for _, part in parts], POSITIVE
    )
    series = [*_by_source(parts, "similarity", 1.0), positive]
    figure = line_figure(series, "step", "similarity", "Similarity to the anchor, ±1 SD", limit=limit)
    return figure | {"data": [_band(parts, name, limit) for name in _names(parts)] + figure["data"]}


def false_figure(parts: Parts, limit: int = POINTS) -> Figure:
    """The anchor's class among each source's negatives: part of the softmax mass (solid) and of the number (dotted).

    Args:
        limit: points of one curve.
    """
    mass, numbers = _by_source(parts, "false_mass", 100.0), _by_source(parts, "false_negatives", 100.0)
    figure = line_figure(
        [*mass, Series(BY_NUMBER, [parts[0][0]], [math.nan], Style(GRAY, "circle"))],
        "step",
        "% of the anchor's class",
        "False negatives",
        limit=limit,
    )
    *solid, entry = figure["data"]
    for trace in solid:
        trace["mode"] = "lines+markers"
        trace["marker"] |= {"maxdisplayed": MARKS}
        trace["line"] |= {"dash": "solid"}
    dotted = line_figure(numbers, "", "", limit=limit)["data"]
    for trace in dotted:
        trace |= {"name": f"{trace['name']}, by number", "showlegend": False, "meta": TABLE}
        trace["hovertemplate"] = f"{trace['name']} %{{y:.4~g}}<extra></extra>"
    entry["meta"] = LEGEND
    for trace in (*dotted, entry):
        trace["mode"] = "lines"
        trace["line"] |= {"dash": "dot", "width": 2}
    figure["data"] = [*solid, *dotted, entry]
    figure["layout"]["yaxis"] |= {"rangemode": "tozero"}
    return figure


def false_words(parts: Parts) -> str:
    """Each source's negatives of the anchor's class at the newest step: how many they are, and how much mass they have.

    Example:
        >>> stats = {"false_negatives": 0.1, "false_mass": 0.64}
        >>> false_words([(400, {"sources": {"in_batch": stats}})])
        "At step 400 negatives of the anchor's class: In-batch 10% of the number, 64% of the mass."
    """
    step, newest = parts[-1]
    found = []
    for name in _names(parts[-1:]):
        counted, mass = (number(newest["sources"][name][field]) for field in ("false_negatives", "false_mass"))
        if not math.isnan(counted + mass):
            found.append(f"{source_label(name)} {counted:.0%} of the number, {mass:.0%} of the mass")
    return f"At step {step:,} negatives of the anchor's class: {'; '.join(found) or 'not measured'}."


def _band(parts: Parts, name: str, limit: int) -> Figure:
    """One standard deviation around the mean similarity of a source."""
    rows = [(step, part["sources"][name]) for step, part in parts if name in part["sources"]]
    steps = [step for step, _ in rows]
    ends = [
        Series("", steps, [number(stats["similarity"]) + sign * number(stats["spread"]) for _, stats in rows])
        for sign in (1, -1)
    ]
    high, low = line_figure(ends, "", "", limit=limit)["data"]
    band: Figure = {
        "type": "scatter",
        "mode": "lines",
        "x": high["x"] + low["x"][::-1],
        "y": high["y"] + low["y"][::-1],
    }
    band |= {"fill": "toself", "fillcolor": SOURCE_STYLES[name].color + "22", "line": {"width": 0}}
    return band | {"name": source_label(name), "hoverinfo": "skip", "showlegend": False}


def _names(parts: Parts) -> list[str]:
    return [name for name in SOURCES if any(name in part["sources"] for _, part in parts)]


def _by_source(parts: Parts, field: str, factor: float) -> list[Series]:
    found = []
    for name in _names(parts):
        rows = [(step, number(part["sources"][name][field])) for step, part in parts if name in part["sources"]]
        steps, values = [step for step, _ in rows], [factor * value for _, value in rows]
        found.append(Series(source_label(name), steps, values, SOURCE_STYLES[name]))
    return found
