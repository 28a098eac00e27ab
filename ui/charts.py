"""Figures as plain plotly dicts, made from plain numbers: no Streamlit, and no plotly, whose import is slow.

Colours of text, grid and background are left to the reader's theme: `st.plotly_chart` and `live_chart` fill them in.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from .palette import BLUE, KINDS, UNLABELLED, Style, class_style

Figure = dict[str, Any]
Floats = NDArray[np.float64]

FEW_POINTS = 40  # up to here a curve shows its points: a line alone hides how few there are
WINDOW = 25  # most points in the running mean of a smoothed curve
PLAIN = Style(BLUE, "circle")


@dataclass(frozen=True)
class Series:
    """One curve; `x` is in rising order, and NaN in `y` is a gap.

    `means` (x, y) are what a smoothed line is drawn from where x and y themselves are lows and highs of a longer curve.
    """

    name: str
    x: ArrayLike
    y: ArrayLike
    style: Style = PLAIN
    means: tuple[ArrayLike, ArrayLike] | None = None


def downsample(x: ArrayLike, y: ArrayLike, limit: int = 600) -> tuple[Floats, Floats]:
    """At most `limit` points of a curve: both ends, and the lowest and the highest point of each bucket between them.

    Spikes survive, unlike with means or every n-th point. A bucket without any finite value stays as a gap.
    """
    if limit < 4:
        raise ValueError(f"limit: 4 or more points are needed to keep the ends, a low and a high, not {limit}")
    xs, ys = _curve(x, y)
    if len(xs) <= limit:
        return xs, ys
    inner = ys[1:-1]
    size = math.ceil(len(inner) / ((limit - 2) // 2))
    buckets = math.ceil(len(inner) / size)
    grid = np.pad(inner, (0, buckets * size - len(inner)), constant_values=np.nan).reshape(buckets, size)
    lowest = np.where(np.isfinite(grid), grid, np.inf).argmin(1)
    highest = np.where(np.isfinite(grid), grid, -np.inf).argmax(1)
    starts = 1 + size * np.arange(buckets)
    kept = np.unique(np.concatenate([[0], starts + lowest, starts + highest, [len(xs) - 1]]))
    return xs[kept], ys[kept]


def smooth(y: ArrayLike, window: int | None = None) -> Floats:
    """Mean over a window of points around each one, over finite values; at the ends it covers what there is.

    Centred, so that a steep fall is not drawn later than it happened. By default it grows with the curve, up to 25.
    """
    values = np.asarray(y, dtype=np.float64)
    half = (min(WINDOW, len(values) // 10) if window is None else window) // 2
    finite = np.isfinite(values)
    total = np.concatenate([[0.0], np.cumsum(np.where(finite, values, 0.0))])
    count = np.concatenate([[0], np.cumsum(finite)])
    at = np.arange(len(values))
    start, end = np.maximum(at - half, 0), np.minimum(at + half + 1, len(values))
    inside = count[end] - count[start]
    return np.where(inside > 0, (total[end] - total[start]) / np.maximum(inside, 1), np.nan)


def line_figure(
    series: Sequence[Series], x_title: str, y_title: str, title: str = "", smoothed: bool = False
) -> Figure:
    """Curves over a common axis; smoothed ones are bold, and the raw values stay faint beneath them."""
    traces: list[Figure] = []
    for one in series:
        xs, ys = _curve(one.x, one.y)
        if smoothed:
            traces.append(_line(one, *downsample(xs, ys), faint=True))
            xs, ys = _curve(*(one.means or (xs, ys)))
            ys = smooth(ys)
        traces.append(_line(one, *downsample(xs, ys)))
    # A legend of one line, or of two where a column of half the page's width would break it.
    rows = 0 if len(series) < 2 else 1 + (sum(len(one.name) + 8 for one in series) > 60)
    layout = _layout(title) | {
        "xaxis": {"title": {"text": x_title}},
        "yaxis": {"title": {"text": y_title}},
        "hovermode": "x unified",
        "showlegend": len(series) > 1,
        "legend": {"orientation": "h", "x": 0, "xanchor": "left", "y": 1.02, "yanchor": "bottom", "itemwidth": 40},
        "margin": {"l": 64, "r": 16, "t": 12 + 28 * bool(title) + 26 * rows, "b": 48},
    }
    return {"data": traces, "layout": layout}


def stacked_figure(series: Sequence[Series], x_title: str, y_title: str, title: str = "") -> Figure:
    """Shares over a common axis, drawn as areas on top of each other; long curves become means of equal stretches."""
    figure = line_figure([], x_title, y_title, title)
    for one in series:
        xs, ys = _averaged(*_curve(one.x, one.y))
        trace = _line(Series(one.name, xs, ys, one.style), xs, ys)
        # A short dash pattern still tells the borders apart where colours are not seen.
        trace |= {"mode": "lines", "stackgroup": "all", "fillcolor": one.style.color + "99"}
        trace["line"] |= {"width": 1.5}
        figure["data"].append(trace)
    rows = 0 if len(series) < 2 else 1 + (sum(len(one.name) + 8 for one in series) > 60)
    figure["layout"] |= {"showlegend": True}
    figure["layout"]["margin"] |= {"t": 12 + 28 * bool(title) + 26 * max(rows, 1)}
    figure["layout"]["yaxis"] |= {"range": [0, 100]}
    return figure


def map_figure(
    xy: ArrayLike,
    labels: Sequence[int],
    classes: Sequence[str],
    modalities: Sequence[str] | None = None,
    sources: Sequence[str] | None = None,
    title: str = "",
    ids: Sequence[Any] | None = None,
) -> Figure:
    """Points (N, 2) in the plane, one trace per class and modality, so that the legend switches each on and off.

    Args:
        xy: positions; both axes get the same scale.
        labels: index into `classes` of each point; any other number means unlabelled.
        classes: names of the classes.
        modalities: "audio" (filled markers) or "image" (open markers) of each point.
        sources: where each point comes from, shown on hover (a file, a speaker).
        ids: what a selection returns as `customdata[0]`; the row number when not given.
    """
    positions = np.asarray(xy, dtype=np.float64).reshape(-1, 2)
    names = np.asarray(labels, dtype=np.int64)
    kinds = np.asarray(modalities if modalities is not None else [""] * len(names), dtype=object)
    x, y = _short(positions[:, 0]), _short(positions[:, 1])
    keys = list(range(len(names))) if ids is None else list(ids)
    traces: list[Figure] = []
    names = np.where((names >= 0) & (names < len(classes)), names, len(classes))
    for index in np.unique(names):
        style = class_style(int(index)) if index < len(classes) else UNLABELLED
        name = classes[index] if index < len(classes) else "unlabelled"
        for kind in sorted(set(kinds[names == index])):
            rows = np.flatnonzero((names == index) & (kinds == kind)).tolist()
            symbol = f"{style.symbol}-open" if kind == "image" and style is not UNLABELLED else style.symbol
            marker: Figure = {"color": style.color, "symbol": symbol, "size": 8, "opacity": 0.85}
            if symbol.endswith("-open"):
                marker["line"] = {"width": 1.5}
            trace: Figure = {
                "type": "scattergl",
                "mode": "markers",
                "name": f"{name} · {KINDS[kind]}" if kind else name,
                "legendgroup": name,
                "x": [x[row] for row in rows],
                "y": [y[row] for row in rows],
                "customdata": [[keys[row]] for row in rows],
                "marker": marker,
                "hovertemplate": "%{fullData.name}<br>sample %{customdata[0]}<extra></extra>",
            }
            if sources is not None:
                trace["text"] = [sources[row] for row in rows]
                trace["hovertemplate"] = "%{fullData.name}<br>%{text}<br>sample %{customdata[0]}<extra></extra>"
            traces.append(trace)
    # Distances on a map have no unit, so the axes carry neither numbers nor lines, only the same scale.
    bare: Figure = {"showticklabels": False, "showgrid": False, "zeroline": False, "ticks": ""}
    layout = _layout(title) | {
        "xaxis": bare | {"constrain": "domain"},
        "yaxis": bare | {"constrain": "domain", "scaleanchor": "x", "scaleratio": 1},
        "hovermode": "closest",
        "dragmode": "lasso",
        "showlegend": True,
        "legend": {"itemsizing": "constant", "tracegroupgap": 4, "orientation": "h", "x": 0, "y": 0, "yanchor": "top"},
        "margin": {"l": 8, "r": 8, "t": 44 if title else 8, "b": 8},
    }
    return {"data": traces, "layout": layout}


def _curve(x: ArrayLike, y: ArrayLike) -> tuple[Floats, Floats]:
    xs, ys = np.asarray(x, dtype=np.float64), np.asarray(y, dtype=np.float64)
    if xs.shape != ys.shape or xs.ndim != 1:
        raise ValueError(f"a curve needs as many x as y, not {xs.shape} and {ys.shape}")
    return xs, ys


def _averaged(xs: Floats, ys: Floats, limit: int = 150) -> tuple[Floats, Floats]:
    """Means over equal stretches: stacked areas need common positions, which lows and highs do not have."""
    size = math.ceil(len(xs) / limit)
    if size <= 1:
        return xs, ys
    starts = np.arange(0, len(xs), size)
    counts = np.diff([*starts, len(xs)])
    return np.add.reduceat(xs, starts) / counts, np.add.reduceat(np.nan_to_num(ys), starts) / counts


def _line(one: Series, xs: Floats, ys: Floats, faint: bool = False) -> Figure:
    few = len(xs) <= FEW_POINTS
    trace: Figure = {
        "type": "scatter",
        "mode": "lines+markers" if few and not faint else "lines",
        "name": one.name,
        "legendgroup": one.name,
        "x": _short(xs),
        "y": _short(ys),
        "line": {"color": one.style.color, "dash": one.style.dash, "width": 2.5},
        "marker": {"color": one.style.color, "symbol": one.style.symbol, "size": 7},
        "hovertemplate": "%{fullData.name} %{y:.4~g}<extra></extra>",
    }
    if faint:
        del trace["hovertemplate"]
        trace |= {"opacity": 0.4, "showlegend": False, "hoverinfo": "skip"}
        trace["line"] = {"color": one.style.color, "width": 1}
    return trace


def _layout(title: str) -> Figure:
    # One constant uirevision: a redraw with new data keeps the reader's zoom and hidden traces.
    layout: Figure = {"uirevision": "keep"}
    if title:
        place = {"x": 0, "xref": "container", "xanchor": "left", "y": 1, "yanchor": "top", "pad": {"t": 8}}
        layout["title"] = {"text": title} | place
    return layout


def _short(values: Floats) -> list[float | None]:
    """Six significant digits, as recorded; whole numbers (steps) in full. JSON has no NaN, so gaps are None."""
    return [
        (int(value) if value.is_integer() else float(f"{value:.6g}")) if math.isfinite(value) else None
        for value in values.tolist()
    ]
