"""Figures of maps: pure functions from arrays to plotly dicts, with coordinates and ids as packed arrays.

Every map of the lab is one of two figures: points by group (`groups_figure`) or shaded by a number (`amounts_figure`).
`ui.components.scatter` draws them; in a report and in the shared demo plotly does so alone.
"""

from __future__ import annotations

import base64
from collections.abc import Sequence
from typing import Any, Protocol

import numpy as np
from numpy.typing import ArrayLike

from cpc_engine.terms import ITEM_NOUNS

from .charts import Figure
from .palette import BLUE, GRAY, UNLABELED, Style, class_style
from .text import plain_name

SYMBOLS_3D = ("circle", "square", "diamond", "cross", "x")  # filled ones that scatter3d draws
# Cividis, as in .streamlit/config.toml: rises in lightness for every kind of color vision.
CIVIDIS = ("#00224e", "#123570", "#3b496c", "#575d6d", "#707173", "#8a8678", "#a59c74", "#c3b369", "#e1cc55", "#fee838")
LIT = "#ff2d95"  # in no palette of the lab: what is lit up is found at a glance
NO_CLASS = "unlabeled"
PLACES = 10  # squares along a group's extent, in which its densest place is looked for
ONE_SIZE = 20_000  # points, above which dots are smaller


class MapItems(Protocol):
    """The N items of a map, as the engine's maps, snapshots and explorations have them; class i of `classes`."""

    @property
    def labels(self) -> np.ndarray: ...
    @property
    def classes(self) -> Sequence[str]: ...
    @property
    def modalities(self) -> Sequence[str]: ...
    @property
    def names(self) -> Sequence[str]: ...


def class_figure(items: MapItems, layout: ArrayLike, title: str, *, hover: bool = True, gl: bool = True) -> Figure:
    """Items (N) by class at `layout` (N, 2 or 3); `hover` and `gl` as in `groups_figure`."""
    names = [plain_name(name) for name in items.names] if hover else None
    classes = [plain_name(name) for name in items.classes]
    return groups_figure(layout, items.labels, classes, modalities_of(items), title, names=names, gl=gl)


def groups_figure(
    layout: ArrayLike,
    codes: ArrayLike,
    groups: Sequence[str],
    modalities: Sequence[str] | None = None,
    title: str = "",
    *,
    names: Sequence[str] | None = None,
    ids: ArrayLike | None = None,
    named: bool = True,
    gl: bool = True,
) -> Figure:
    """Points (N, 2 or 3) by group, a trace for each, so that the legend switches it on and off.

    Args:
        codes: (N,) index into `groups`; any other number means unlabeled.
        modalities: "audio" (filled markers) or "image" (open markers) of each point; None where all have the same.
        names: shown with the group while hovering; None where the page shows a card of its own instead.
        ids: (N,) integers by which the browser knows the points; their row numbers by default.
        named: say where on a plane each group is densest (`densest`), for its name there.
        gl: draw with WebGL. A few hundred points that change often are cheaper as SVG.
    """
    points, indices = np.asarray(layout, dtype=np.float32), np.asarray(codes, dtype=np.int64)
    keys = np.arange(len(points)) if ids is None else np.asarray(ids)
    indices = np.where((indices >= 0) & (indices < len(groups)), indices, len(groups))
    traces = []
    for code in np.unique(indices).tolist():
        style = class_style(code) if code < len(groups) else UNLABELED
        group = groups[code] if code < len(groups) else NO_CLASS
        for modality, rows in _by_modality(np.flatnonzero(indices == code), modalities):
            trace = _trace(points, rows, keys, _symbol(style, code, modality, points.shape[1]), gl)
            trace |= {"name": f"{group} · {ITEM_NOUNS[modality][0]}" if modality else group, "legendgroup": group}
            trace["uid"] = trace["name"]  # what the reader hides stays hidden by name, whatever else is drawn
            trace["marker"]["color"] = style.color
            if named and points.shape[1] == 2 and code < len(groups):
                trace["meta"] = {"group": group, "count": len(rows), "densest": densest(points[rows])}
            if names is None:
                trace["hoverinfo"] = "none"  # a card comes instead
            else:
                trace["text"] = [names[row] for row in rows.tolist()]
                trace["hovertemplate"] = "%{fullData.name}<br>%{text}<extra></extra>"
            traces.append(trace)
    return {"data": traces, "layout": _layout(points.shape[1], title, legend=True)}


def amounts_figure(
    layout: ArrayLike, values: ArrayLike, unit: str, modalities: Sequence[str] | None = None, title: str = ""
) -> Figure:
    """Points (N, 2 or 3) shaded by a number each, with a scale that says what it is; the page shows their cards."""
    points, amounts = np.asarray(layout, dtype=np.float32), np.asarray(values, dtype=np.float32)
    scale = [[i / (len(CIVIDIS) - 1), color] for i, color in enumerate(CIVIDIS)]
    keys = np.arange(len(points))
    traces = []
    for modality, rows in _by_modality(keys, modalities):
        trace = _trace(points, rows, keys, _symbol(Style(BLUE, "circle"), 0, modality, points.shape[1]), gl=True)
        trace |= {"name": ITEM_NOUNS[modality][0] if modality else unit, "showlegend": bool(modality)}
        trace["uid"] = trace["name"]
        trace["hoverinfo"] = "none"  # a card comes instead
        trace["marker"] |= {"color": _packed(amounts[rows]), "coloraxis": "coloraxis"}
        traces.append(trace)
    figure: Figure = {"data": traces, "layout": _layout(points.shape[1], title, legend=modalities is not None)}
    bar = {"title": {"text": unit, "side": "right"}, "thickness": 14, "outlinewidth": 0, "len": 0.9}
    figure["layout"]["coloraxis"] = {"colorscale": scale, "colorbar": bar}
    return figure


def in_frame(figure: Figure, frame: ArrayLike) -> Figure:
    """The figure of a plane with fixed axes ((x low, x high), (y low, y high)), the same from figure to figure."""
    layout = figure["layout"]
    for axis, (low, high) in zip(("xaxis", "yaxis"), np.asarray(frame, dtype=np.float64).tolist(), strict=True):
        layout = layout | {axis: layout[axis] | {"range": [low, high], "autorange": False}}
    return figure | {"layout": layout}


def densest(points: ArrayLike) -> list[float]:
    """Where on a plane points (M, 2), M ≥ 1, lie closest together: the middle of those in the fullest place.

    A place is a square of a tenth of their extent with the squares around it.

    Example:
        >>> densest([[0, 0], [0, 0.2], [9, 9]])
        [0.0, 0.1]
    """
    xy = np.asarray(points, dtype=np.float64)
    low, extent = xy.min(0), max(float(np.ptp(xy, axis=0).max()), 1e-12)
    squares = np.minimum(((xy - low) / extent * PLACES).astype(int), PLACES - 1) + 1  # an empty rim around
    counts = np.zeros((PLACES + 2, PLACES + 2))
    np.add.at(counts, (squares[:, 0], squares[:, 1]), 1)
    around = np.stack([np.roll(counts, (i, j), (0, 1)) for i in (-1, 0, 1) for j in (-1, 0, 1)]).sum(0)
    fullest = np.unravel_index(np.argmax(np.where(counts > 0, around, 0)), counts.shape)
    middle: list[float] = xy[(np.abs(squares - fullest) <= 1).all(1)].mean(0).tolist()
    return middle


def map_columns(items: MapItems, layout: ArrayLike, **more: Sequence[Any]) -> dict[str, list[Any]]:
    """A map as columns: name, modality and class of each item, `more` columns, and x, y (z)."""
    columns: dict[str, list[Any]] = {
        "item": list(items.names),
        "kind": [ITEM_NOUNS[modality][0] for modality in items.modalities],
        "class": [_class_of(items, label) for label in items.labels.tolist()],
    }
    columns |= {name: list(values) for name, values in more.items()}
    return columns | {axis: values.tolist() for axis, values in zip("xyz", np.asarray(layout).T, strict=False)}


def item_words(items: MapItems, row: int) -> str:
    """One item in a line: its name, its class, and whether it is a sound or a picture where there are both."""
    kind = f" · {ITEM_NOUNS[items.modalities[row]][0]}" if modalities_of(items) else ""
    return f"{plain_name(items.names[row])} · {plain_name(_class_of(items, int(items.labels[row])))}{kind}"


def _class_of(items: MapItems, label: int) -> str:
    return items.classes[label] if 0 <= label < len(items.classes) else NO_CLASS


def modalities_of(items: MapItems) -> Sequence[str] | None:
    """The modality of each item where a map has to tell them apart; None where all have the same."""
    return items.modalities if len(set(items.modalities)) > 1 else None


def lit_traces(
    points: ArrayLike,
    names: Sequence[str],
    near: ArrayLike | None = None,
    path: ArrayLike | None = None,
    doubtful: Sequence[bool] = (),
) -> list[Figure]:
    """What lies over a map: lit points (M, 2) with their names, rings around dots (K, 2), and a path (T, 2).

    `doubtful` tells of each lit point whether its place means nothing; its star is hollow.
    """
    traces: list[Figure] = []
    if path is not None:
        way = np.asarray(path, dtype=np.float64)
        line = _over(way, "path", {"color": LIT, "size": 5})
        traces.append(line | {"mode": "lines+markers", "line": {"color": LIT, "width": 1.5}})
    if near is not None:
        ring = {"color": LIT, "size": 15, "symbol": "circle-open", "line": {"width": 2}}
        traces.append(_over(np.asarray(near, dtype=np.float64), "nearest in the original space", ring))
    if len(names):
        star: Figure = {"color": LIT, "size": 18, "symbol": "star", "line": {"color": "#ffffff", "width": 1.5}}
        if any(doubtful):
            star["symbol"] = ["star-open" if hollow else "star" for hollow in doubtful]
            star["line"] = {"color": [LIT if hollow else "#ffffff" for hollow in doubtful], "width": 1.5}
        spots = _over(np.asarray(points, dtype=np.float64).reshape(-1, 2), "lit", star)
        spots |= {"mode": "markers+text", "text": list(names), "textposition": "top center"}
        traces.append(spots)
    return traces


def _over(xy: Any, name: str, marker: Figure) -> Figure:
    place = {"x": xy[:, 0].tolist(), "y": xy[:, 1].tolist()}
    # The same kind of trace as the dots: others are drawn beneath those.
    look: Figure = {"type": "scattergl", "mode": "markers", "name": name, "showlegend": False, "hoverinfo": "skip"}
    return look | place | {"marker": marker}


def _by_modality(rows: Any, modalities: Sequence[str] | None) -> list[tuple[str, Any]]:
    if modalities is None:
        return [("", rows)]
    own = np.asarray(modalities, dtype=object)[rows]
    return [(modality, rows[own == modality]) for modality in sorted(set(own))]


def _symbol(style: Style, code: int, modality: str, dimensions: int) -> str:
    if style is UNLABELED:
        return style.symbol
    symbol = style.symbol if dimensions == 2 else SYMBOLS_3D[code % len(SYMBOLS_3D)]
    fillable = dimensions == 2 or symbol in ("circle", "square", "diamond")
    return f"{symbol}-open" if modality == "image" and fillable else symbol


def _trace(points: Any, rows: Any, keys: Any, symbol: str, gl: bool) -> Figure:
    dimensions = points.shape[1]
    size = (4 if dimensions == 3 else 8) if len(points) <= ONE_SIZE else (2 if dimensions == 3 else 4)
    trace: Figure = {
        "type": "scatter3d" if dimensions == 3 else "scattergl" if gl else "scatter",
        "mode": "markers",
        "customdata": _packed(keys[rows].astype(np.int32)),
        "marker": {"symbol": symbol, "size": size, "opacity": 0.85},
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
        "legend": {
            "itemsizing": "constant",
            "groupclick": "toggleitem",
            "orientation": "h",
            "x": 0,
            "y": -0.01,
            "yanchor": "top",
        },
        "margin": {"l": 8, "r": 8, "t": 44, "b": 8},
    }
    if dimensions == 3:
        box = bare | {"showbackground": False, "gridcolor": GRAY + "55", "showspikes": False}
        layout["scene"] = {"xaxis": box, "yaxis": box, "zaxis": box, "aspectmode": "data", "dragmode": "orbit"}
        layout["scene"]["camera"] = {"eye": {"x": 1.0, "y": 1.0, "z": 0.7}}
        return layout
    bare |= {"showgrid": False, "constrain": "domain", "automargin": False}
    layout |= {"xaxis": bare, "yaxis": bare | {"scaleanchor": "x", "scaleratio": 1}, "dragmode": "pan"}
    return layout
