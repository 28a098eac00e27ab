"""Figures as plain plotly dicts, made from plain numbers: no Streamlit, and no plotly, whose import is slow.

Colors of text, grid and background are left to the reader's theme: `st.plotly_chart` and `live_chart` fill them in.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from .palette import BLUE, Style

Figure = dict[str, Any]
Floats = NDArray[np.float64]

FEW_POINTS = 40  # up to here a curve shows its points: a line alone hides how few there are
BESIDE = 24  # letters of a name beside a value under the mouse: of a longer label the chart would hide the beginning
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
    """Mean over a window of the latest points up to each one, over finite values; at the start it covers what there is.

    Causal, so that no curve moves before the change that made it move. By default the window grows with the curve, up
    to 25 points.
    """
    values = np.asarray(y, dtype=np.float64)
    width = max(min(WINDOW, len(values) // 10) if window is None else window, 1)
    finite = np.isfinite(values)
    total = np.concatenate([[0.0], np.cumsum(np.where(finite, values, 0.0))])
    count = np.concatenate([[0], np.cumsum(finite)])
    end = 1 + np.arange(len(values))
    start = np.maximum(end - width, 0)
    inside = count[end] - count[start]
    return np.where(inside > 0, (total[end] - total[start]) / np.maximum(inside, 1), np.nan)


def line_figure(
    series: Sequence[Series], x_title: str, y_title: str, title: str = "", smoothed: bool = False, limit: int = 600
) -> Figure:
    """Curves over a common axis, of at most `limit` points each; smoothed ones are bold, the raw values faint."""
    traces: list[Figure] = []
    for curve in series:
        xs, ys = _curve(curve.x, curve.y)
        if smoothed:
            traces.append(_line(curve, *downsample(xs, ys, limit), faint=True))
            xs, ys = _curve(*(curve.means or (xs, ys)))
            ys = smooth(ys)
        traces.append(_line(curve, *downsample(xs, ys, limit)))
    layout = _layout(title) | {
        "xaxis": {"title": {"text": x_title}},
        "yaxis": {"title": {"text": y_title}},
        "hovermode": "x unified",
        "showlegend": len(series) > 1,
        "legend": {"orientation": "h", "x": 0, "xanchor": "left", "y": 1.02, "yanchor": "bottom", "itemwidth": 40},
        "margin": {"l": 64, "r": 16, "t": _top(title, _legend_rows(series)), "b": 48},
    }
    return {"data": traces, "layout": layout}


def stacked_figure(series: Sequence[Series], x_title: str, y_title: str, title: str = "") -> Figure:
    """Shares over a common axis, drawn as areas on top of each other; long curves become means of equal stretches.

    A share can be negative (hardness weights); its area then reaches down from the one below, which is above 100 %.
    """
    figure = line_figure([], x_title, y_title, title)
    tops = [np.zeros(1)]
    for curve in series:
        xs, ys = _averaged(*_curve(curve.x, curve.y))
        trace = _line(curve, xs, ys)
        tops.append(tops[-1] + np.nan_to_num(ys))
        # A short dash pattern still tells the borders apart where colors are not seen.
        trace |= {"mode": "lines", "stackgroup": "all", "fillcolor": curve.style.color + "99"}
        trace["line"] |= {"width": 1.5}
        figure["data"].append(trace)
    figure["layout"] |= {"showlegend": True}
    figure["layout"]["margin"] |= {"t": _top(title, max(_legend_rows(series), 1))}
    levels = np.concatenate(tops)
    figure["layout"]["yaxis"] |= {"range": [min(0, math.floor(levels.min())), max(100, round(levels.max()))]}
    return figure


def _curve(x: ArrayLike, y: ArrayLike) -> tuple[Floats, Floats]:
    xs, ys = np.asarray(x, dtype=np.float64), np.asarray(y, dtype=np.float64)
    if xs.shape != ys.shape or xs.ndim != 1:
        raise ValueError(f"a curve needs as many x as y, not {xs.shape} and {ys.shape}")
    return xs, ys


def _averaged(xs: Floats, ys: Floats, limit: int = 150) -> tuple[Floats, Floats]:
    """Means over equal stretches, each at its last x: stacked areas need common positions, unlike lows and highs."""
    size = math.ceil(len(xs) / limit)
    if size <= 1:
        return xs, ys
    starts = np.arange(0, len(xs), size)
    ends = np.array([*starts[1:], len(xs)])
    return xs[ends - 1], np.add.reduceat(np.nan_to_num(ys), starts) / (ends - starts)


def _line(curve: Series, xs: Floats, ys: Floats, faint: bool = False) -> Figure:
    few = len(xs) <= FEW_POINTS
    trace: Figure = {
        "type": "scatter",
        "mode": "lines+markers" if few and not faint else "lines",
        "name": curve.name,
        "legendgroup": curve.name,
        "x": _short(xs),
        "y": _short(ys),
        "line": {"color": curve.style.color, "dash": curve.style.dash, "width": 2.5},
        "marker": {"color": curve.style.color, "symbol": curve.style.symbol, "size": 7},
        "hovertemplate": f"{_beside(curve.name)} %{{y:.4~g}}<extra></extra>",
    }
    if faint:
        del trace["hovertemplate"]
        trace |= {"opacity": 0.4, "showlegend": False, "hoverinfo": "skip"}
        trace["line"] = {"color": curve.style.color, "width": 1}
    return trace


def _beside(name: str) -> str:
    name = name if len(name) <= BESIDE else f"{name[: BESIDE - 1]}…"
    return name.replace("%{", "% {")  # plotly would put a value in its place


def _legend_rows(series: Sequence[Series]) -> int:
    """Lines of the legend above a chart: one, or two where a column of half the page's width would break it."""
    return 0 if len(series) < 2 else 1 + (sum(len(curve.name) + 8 for curve in series) > 60)


def _top(title: str, legend_rows: int) -> int:
    """Pixels above the plot."""
    return 12 + 28 * bool(title) + 26 * legend_rows


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
