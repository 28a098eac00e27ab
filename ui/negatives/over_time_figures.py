"""Curves of what a run's negatives did: similarities, false negatives, age of the queue, and how safe its noise is."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import numpy as np

from cpc_engine.sources import SOURCES

from ..drawing.charts import Figure, Series, line_figure
from ..drawing.curves import Record, number
from ..drawing.palette import GRAY, SOURCE_STYLES, VERMILION, Style
from .lineup_figures import source_label

POSITIVE = Style(GRAY, "star")


def parts_of(records: Sequence[Record], modality: str, term: str) -> list[tuple[int, dict[str, Any]]]:
    """(step, record of one modality) of the prediction of what comes next, or of the item-level term."""
    found = [(row["step"], (row.get("items") if term == "item" else row["modalities"]) or {}) for row in records]
    return [(step, part[modality]) for step, part in found if modality in part]


def similarity_figure(parts: Sequence[tuple[int, dict[str, Any]]]) -> Figure:
    """Mean similarity of the negatives of each source, with a band of one standard deviation, and of the positives."""
    figure = line_figure(
        [
            *_by_source(parts, "similarity", 1.0),
            Series(
                "positive", [step for step, _ in parts], [number(p["positive_similarity"]) for _, p in parts], POSITIVE
            ),
        ],
        "step",
        "similarity",
        "Similarity to the anchor, ±1 SD",
    )
    bands = []
    for name in _names(parts):
        rows = [(step, part["sources"][name]) for step, part in parts if name in part["sources"]]
        low = [number(s["similarity"]) - number(s["spread"]) for _, s in rows]
        high = [number(s["similarity"]) + number(s["spread"]) for _, s in rows]
        steps = [step for step, _ in rows]
        band: dict[str, Any] = {
            "type": "scatter",
            "mode": "lines",
            "x": [*steps, *steps[::-1]],
            "y": [*high, *low[::-1]],
        }
        band |= {"fill": "toself", "fillcolor": SOURCE_STYLES[name].color + "22", "line": {"width": 0}}
        bands.append(band | {"name": source_label(name), "hoverinfo": "skip", "showlegend": False})
    return figure | {"data": bands + figure["data"]}


def false_figure(parts: Sequence[tuple[int, dict[str, Any]]]) -> Figure:
    """How much of each source's softmax mass comes from the anchor's class."""
    series = _by_source(parts, "false_mass", 100.0)
    return line_figure(series, "step", "%", "False negatives: share of the mass")


def staleness_figure(records: Sequence[Record], modality: str) -> Figure | None:
    """Cosine between queued latents and the same encoded again; None where none was measured."""
    rows = [(row["step"], row["geometry"]) for row in records if row.get("geometry")]
    values = [(step, g.get(f"{modality}.queue_drift", g.get("queue_drift"))) for step, g in rows]
    known = [(step, number(value)) for step, value in values if value is not None]
    if not known:
        return None
    series = [Series("queue", [s for s, _ in known], [v for _, v in known], SOURCE_STYLES["queue"])]
    return line_figure(series, "step", "cosine", "Queue staleness")


def safety_figure(dim: int, sigma: float) -> Figure:
    """Expected cosine between a latent and its noisy version over σ, with the present σ marked.

    Example:
        >>> figure = safety_figure(dim=64, sigma=0.1)
        >>> round(figure["data"][-1]["y"][0], 2)
        0.78
    """
    sigmas = np.geomspace(0.005, 2.0, 60)
    curve = Series("expected cosine", sigmas, 1 / np.sqrt(1 + dim * sigmas**2), SOURCE_STYLES["perturbed"])
    now = Series("σ now", [sigma], [1 / math.sqrt(1 + dim * sigma**2)], Style(VERMILION, "star"))
    figure = line_figure([curve, now], "noise σ", "cosine", "Noise: cosine to the positive")
    figure["data"][-1] |= {"mode": "markers"}
    figure["data"][-1]["marker"]["size"] = 15
    figure["layout"]["xaxis"] |= {"type": "log", "dtick": 1}
    figure["layout"] |= {"hovermode": "closest"}
    return figure


def _names(parts: Sequence[tuple[int, dict[str, Any]]]) -> list[str]:
    return [name for name in SOURCES if any(name in part["sources"] for _, part in parts)]


def _by_source(parts: Sequence[tuple[int, dict[str, Any]]], field: str, factor: float) -> list[Series]:
    found = []
    for name in _names(parts):
        rows = [(step, number(part["sources"][name][field])) for step, part in parts if name in part["sources"]]
        steps, values = [step for step, _ in rows], [factor * value for _, value in rows]
        found.append(Series(source_label(name), steps, values, SOURCE_STYLES[name]))
    return found
