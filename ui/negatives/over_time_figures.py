"""Curves of one run alone: how out of date its queue was, how safe its noise is, and what shuffling changes."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING

import numpy as np

from cpc_engine.training.plan import NEAR_COPY

from ..drawing.charts import Figure, Series, line_figure
from ..drawing.curves import TABLE, Record, number
from ..drawing.palette import GRAY, SOURCE_STYLES, VERMILION, Style

if TYPE_CHECKING:
    from cpc_engine.anatomy.shuffling import Kept, Shuffle

SHUFFLED = {"input": "input shuffled", "time": "shuffled in time", "batch": "shuffled in the batch"}


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


def shuffling_figure(steps: Sequence[int], found: Mapping[Shuffle, Sequence[Kept]]) -> Figure:
    """Mean cosine of shuffled negatives to what they stand for at each step, with the middle half of the items.

    Args:
        found: one at each step, by what is shuffled; the first is what the run does or could do.
    """
    figure = line_figure([], "step", "cosine", "Shuffled: cosine to the original")
    lowest = 0.0
    for index, shuffle in enumerate(found):
        style = SOURCE_STYLES["shuffled"]
        style = replace(style, symbol="circle", dash="dot") if index else style
        columns = _columns(shuffle, found[shuffle])
        curves = [Series(name, steps, values, style) for name, values in columns.items()]
        mean, low, high = line_figure(curves, "", "")["data"]
        for trace in (low, high):
            trace |= {"mode": "lines", "showlegend": False, "meta": TABLE, "line": {"color": style.color, "width": 0}}
        high |= {"fill": "tonexty", "fillcolor": f"{style.color}33"}
        figure["data"] += [low, high, mean]
        lowest = min(lowest, *(min(values) for values in columns.values()))
    copy = Series("practically a copy", steps, [NEAR_COPY] * len(steps), Style(GRAY, "circle-open", "dot"))
    [line] = line_figure([copy], "", "")["data"]
    line["mode"] = "lines" if len(steps) > 1 else "markers"
    figure["data"].append(line)
    # From 0 on, so that what is near 1 looks near 1.
    figure["layout"]["yaxis"] |= {"range": [lowest - 0.05 * (lowest < 0), 1.05]}
    figure["layout"] |= {"showlegend": True}
    figure["layout"]["margin"] |= {"t": 66 + 26 * (len(found) > 1)}
    return figure


def shuffling_columns(steps: Sequence[int], found: Mapping[Shuffle, Sequence[Kept]]) -> dict[str, list[float]]:
    """The table of `shuffling_figure`, with the part of shuffled negatives that are practically copies."""
    columns: dict[str, list[float]] = {"step": list(steps)}
    for shuffle, kept in found.items():
        columns |= _columns(shuffle, kept)
        columns[f"{SHUFFLED[shuffle]}, % above {NEAR_COPY}"] = [100 * float(one.copies.mean()) for one in kept]
    return columns


def shuffling_words(steps: Sequence[int], found: Mapping[Shuffle, Sequence[Kept]]) -> str:
    """Mean cosine and the part of copies at the newest step.

    Example:
        >>> import torch
        >>> from cpc_engine.anatomy.shuffling import kept_by_input
        >>> shuffling_words([150], {"input": [kept_by_input(torch.ones(2, 3, 4), torch.ones(2, 3, 4))]})
        'At step 150, input shuffled: on average 1.00, and 100% are practically copies (above 0.95).'
    """
    parts = []
    for shuffle, kept in found.items():
        cosine, copies = float(kept[-1].cosines.mean()), float(kept[-1].copies.mean())
        parts.append(
            f"{SHUFFLED[shuffle]}: on average {cosine:.2f}, and {copies:.0%} are practically copies (above {NEAR_COPY})"
        )
    return f"At step {steps[-1]:,}, {'; '.join(parts)}."


def _columns(shuffle: Shuffle, kept: Sequence[Kept]) -> dict[str, list[float]]:
    """Mean, first and third quartile over items, at each step."""
    name = SHUFFLED[shuffle]
    low, high = ([float(np.quantile(one.cosines, q)) for one in kept] for q in (0.25, 0.75))
    return {name: [float(one.cosines.mean()) for one in kept], f"{name}, 25 %": low, f"{name}, 75 %": high}
