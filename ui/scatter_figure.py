"""Figures for `ui.scatter`: pure functions from arrays to plotly dicts, with coordinates and ids as packed arrays."""

from __future__ import annotations

import base64
from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import ArrayLike

from .charts import Figure
from .palette import BLUE, GREY, KINDS, UNLABELLED, Style, class_style

SYMBOLS_3D = ("circle", "square", "diamond", "cross", "x")  # filled ones that scatter3d draws
# Cividis, as in .streamlit/config.toml: rises in lightness for every kind of colour vision.
CIVIDIS = ("#00224e", "#123570", "#3b496c", "#575d6d", "#707173", "#8a8678", "#a59c74", "#c3b369", "#e1cc55", "#fee838")
LIT = "#ff2d95"  # in no palette of the lab: what is lit up is found at a glance
ONE_SIZE = 20_000  # above, smaller dots


def groups_figure(
    layout: ArrayLike, codes: ArrayLike, names: Sequence[str], kinds: Sequence[str] | None = None, title: str = ""
) -> Figure:
    """Points (N, 2 or 3) by group, a trace for each, so that the legend switches it on and off.

    Args:
        codes: (N,) index into `names`; any other number means unknown.
        kinds: "audio" (filled markers) or "image" (open markers) of each point.
    """
    points, groups = np.asarray(layout, dtype=np.float32), np.asarray(codes, dtype=np.int64)
    groups = np.where((groups >= 0) & (groups < len(names)), groups, len(names))
    traces = []
    for code in np.unique(groups).tolist():
        style = class_style(code) if code < len(names) else UNLABELLED
        name = names[code] if code < len(names) else "unknown"
        for kind, rows in _by_kind(np.flatnonzero(groups == code), kinds):
            trace = _trace(points, rows, _symbol(style, code, kind, points.shape[1]))
            trace |= {"name": f"{name} · {KINDS[kind]}" if kind else name, "legendgroup": name}
            trace["marker"]["color"] = style.color
            traces.append(trace)
    return {"data": traces, "layout": _layout(points.shape[1], title, legend=True)}


def amounts_figure(
    layout: ArrayLike, values: ArrayLike, unit: str, kinds: Sequence[str] | None = None, title: str = ""
) -> Figure:
    """Points (N, 2 or 3) shaded by a number each, with a scale that says what it is."""
    points, amounts = np.asarray(layout, dtype=np.float32), np.asarray(values, dtype=np.float32)
    scale = [[i / (len(CIVIDIS) - 1), color] for i, color in enumerate(CIVIDIS)]
    traces = []
    for kind, rows in _by_kind(np.arange(len(points)), kinds):
        trace = _trace(points, rows, _symbol(Style(BLUE, "circle"), 0, kind, points.shape[1]))
        trace |= {"name": KINDS[kind] if kind else unit, "showlegend": bool(kind)}
        trace["marker"] |= {"color": _packed(amounts[rows]), "coloraxis": "coloraxis"}
        traces.append(trace)
    figure: Figure = {"data": traces, "layout": _layout(points.shape[1], title, legend=kinds is not None)}
    bar = {"title": {"text": unit, "side": "right"}, "thickness": 14, "outlinewidth": 0, "len": 0.9}
    figure["layout"]["coloraxis"] = {"colorscale": scale, "colorbar": bar}
    return figure


def lit_traces(
    points: ArrayLike, names: Sequence[str], near: ArrayLike | None = None, path: ArrayLike | None = None
) -> list[Figure]:
    """What lies over a map: lit points (M, 2) with their names, rings around dots (K, 2), and a path (T, 2)."""
    traces: list[Figure] = []
    if path is not None:
        way = np.asarray(path, dtype=np.float64)
        line = _over(way, "path", {"color": LIT, "size": 5})
        traces.append(line | {"mode": "lines+markers", "line": {"color": LIT, "width": 1.5}})
    if near is not None:
        ring = {"color": LIT, "size": 15, "symbol": "circle-open", "line": {"width": 2}}
        traces.append(_over(np.asarray(near, dtype=np.float64), "nearest in the original space", ring))
    if len(names):
        star = {"color": LIT, "size": 18, "symbol": "star", "line": {"color": "#ffffff", "width": 1.5}}
        spots = _over(np.asarray(points, dtype=np.float64).reshape(-1, 2), "lit", star)
        spots |= {"mode": "markers+text", "text": list(names), "textposition": "top center"}
        traces.append(spots)
    return traces


def evolution_figure(
    xy: ArrayLike, frame: ArrayLike, codes: ArrayLike, names: Sequence[str], kinds: Sequence[str] | None, title: str
) -> Figure:
    """One snapshot (N, 2) in a frame ((x low, x high), (y low, y high)) that is the same for all snapshots."""
    figure = groups_figure(xy, codes, names, kinds, title)
    for axis, (low, high) in zip(("xaxis", "yaxis"), np.asarray(frame, dtype=np.float64).tolist(), strict=True):
        figure["layout"][axis] |= {"range": [low, high], "autorange": False}
    return figure


def _over(xy: Any, name: str, marker: Figure) -> Figure:
    place = {"x": xy[:, 0].tolist(), "y": xy[:, 1].tolist()}
    # The same kind of trace as the dots: others are drawn beneath those.
    look: Figure = {"type": "scattergl", "mode": "markers", "name": name, "showlegend": False, "hoverinfo": "skip"}
    return look | place | {"marker": marker}


def _by_kind(rows: Any, kinds: Sequence[str] | None) -> list[tuple[str, Any]]:
    if kinds is None:
        return [("", rows)]
    of = np.asarray(kinds, dtype=object)[rows]
    return [(kind, rows[of == kind]) for kind in sorted(set(of))]


def _symbol(style: Style, code: int, kind: str, dimensions: int) -> str:
    if style is UNLABELLED:
        return style.symbol
    symbol = style.symbol if dimensions == 2 else SYMBOLS_3D[code % len(SYMBOLS_3D)]
    fillable = dimensions == 2 or symbol in ("circle", "square", "diamond")
    return f"{symbol}-open" if kind == "image" and fillable else symbol


def _trace(points: Any, rows: Any, symbol: str) -> Figure:
    dimensions = points.shape[1]
    size = (4 if dimensions == 3 else 8) if len(points) <= ONE_SIZE else (2 if dimensions == 3 else 4)
    trace: Figure = {
        "type": "scatter3d" if dimensions == 3 else "scattergl",
        "mode": "markers",
        "customdata": _packed(rows.astype(np.int32)),
        "marker": {"symbol": symbol, "size": size, "opacity": 0.85},
        "hoverinfo": "none",  # a card of our own comes instead
    }
    if dimensions == 2:
        trace |= {"unselected": {"marker": {"opacity": 0.12}}}
        if symbol.endswith("-open"):
            trace["marker"]["line"] = {"width": 1.5}
    for axis, values in zip("xyz", points[rows].T, strict=False):
        trace[axis] = _packed(values)
    return trace


def _packed(values: Any) -> Figure:
    """A typed array as plotly.js reads it: a third of the text of decimal numbers."""
    kind = {"float32": "f4", "int32": "i4"}[values.dtype.name]
    little = np.ascontiguousarray(values, dtype=values.dtype.newbyteorder("<"))
    return {"dtype": kind, "bdata": base64.b64encode(little.tobytes()).decode()}


def _layout(dimensions: int, title: str, legend: bool) -> Figure:
    # Distances on a map have no unit, so the axes carry neither numbers nor lines, only the same scale.
    bare: Figure = {"showticklabels": False, "zeroline": False, "ticks": "", "title": {"text": ""}}
    place = {"x": 0, "xref": "container", "xanchor": "left", "y": 1, "yanchor": "top", "pad": {"t": 8}}
    layout: Figure = {
        "title": {"text": title} | place,
        "uirevision": "keep",  # a redraw keeps the reader's zoom and hidden groups
        "hovermode": "closest",
        "showlegend": legend,
        "legend": {"itemsizing": "constant", "orientation": "h", "x": 0, "y": -0.01, "yanchor": "top"},
        "margin": {"l": 8, "r": 8, "t": 44, "b": 8},
    }
    if dimensions == 3:
        box = bare | {"showbackground": False, "gridcolor": GREY + "55", "showspikes": False}
        layout["scene"] = {"xaxis": box, "yaxis": box, "zaxis": box, "aspectmode": "data", "dragmode": "orbit"}
        layout["scene"]["camera"] = {"eye": {"x": 1.0, "y": 1.0, "z": 0.7}}
        return layout
    bare |= {"showgrid": False, "constrain": "domain"}
    layout |= {"xaxis": bare, "yaxis": bare | {"scaleanchor": "x", "scaleratio": 1}, "dragmode": "lasso"}
    return layout
