"""The loss with a cursor at one step, and the items of one modality at that step with the anchor among them."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from ...drawing.charts import Figure, Series, line_figure
from ...drawing.curves import number
from ...drawing.map_figure import LIT, groups_figure, in_frame
from ...drawing.palette import BLUE, GRAY, Style


def cursor_figure(parts: Sequence[tuple[int, dict[str, Any]]], kept: Sequence[int], step: int) -> Figure:
    """The loss over the steps; kept steps are marked, and the one that is looked at is on an upright line.

    Args:
        parts: (step, record of one loss), rising. kept: steps that can be looked at, `step` among them.
    """
    steps, losses = [s for s, _ in parts], [number(part["loss"]) for _, part in parts]
    curve = Series("loss", steps, losses, Style(BLUE, "circle"))
    known = dict(zip(steps, losses, strict=True))
    marked = [(s, known[s]) for s in kept if s in known]
    marks = Series("kept steps", [s for s, _ in marked], [y for _, y in marked], Style(BLUE, "diamond"))
    now = Series(
        "looked at", [s for s, _ in marked if s == step], [y for s, y in marked if s == step], Style(LIT, "star")
    )
    figure = line_figure([curve, marks, now], "step", "nats", "Loss")
    line, kept_marks, star = figure["data"]
    line |= {"mode": "lines"}
    kept_marks |= {"mode": "markers"}
    star |= {"mode": "markers"}
    star["marker"]["size"] = 14
    cursor = {"type": "line", "x0": step, "x1": step, "yref": "paper", "y0": 0, "y1": 1}
    figure["layout"] |= {
        "showlegend": False,
        "shapes": [cursor | {"line": {"color": LIT, "width": 1.5, "dash": "dot"}}],
    }
    figure["layout"]["margin"] |= {"l": 44, "r": 8, "t": 34, "b": 40}
    return figure


def step_figure(
    layouts: np.ndarray,
    way: np.ndarray,
    index: int,
    labels: Sequence[int],
    classes: Sequence[str],
    names: Sequence[str],
) -> Figure:
    """Items (N) at one of S steps in a frame that stays put, and the anchor with the way that it came.

    Args:
        layouts: (S, N, 2). way: (S, 2) of the anchor. index: of the step.
    """
    everything = np.concatenate([layouts.reshape(-1, 2), way])
    low, high = everything.min(0), everything.max(0)
    air = 0.07 * np.maximum(high - low, 1e-6)
    figure = groups_figure(layouts[index], labels, classes, title="Held-out items, by class", names=names, gl=False)
    for trace in figure["data"]:
        trace["marker"] |= {"size": 6, "opacity": 0.7}
    over: Figure = {"type": "scatter", "showlegend": False, "hoverinfo": "skip"}
    come, here = way[: index + 1].tolist(), way[index].tolist()
    path = over | {"name": "its way", "mode": "lines+markers", "x": [x for x, _ in come], "y": [y for _, y in come]}
    path |= {"line": {"color": GRAY, "width": 1.5}, "marker": {"color": GRAY, "size": 5}}
    star = over | {"name": "anchor", "mode": "markers", "x": [here[0]], "y": [here[1]]}
    star |= {"marker": {"color": LIT, "size": 16, "symbol": "star", "line": {"color": "#ffffff", "width": 1.5}}}
    figure["data"] += [path, star]
    figure["layout"] |= {"showlegend": False}
    return in_frame(figure, np.stack([low - air, high + air], 1))
