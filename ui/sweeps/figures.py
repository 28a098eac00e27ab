"""Figures of a sweep: parallel coordinates, shares of importance, and a heat map of two settings."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping, Sequence
from textwrap import shorten
from typing import Any

from cpc_engine.config import label_of, sign_of, value_text

from ..drawing.palette import BLUE

Figure = dict[str, Any]
Settings = Mapping[str, Any]
LABEL = 18  # letters above an axis: on a phone the next one is close
FEW = 8  # values of an axis that are all written beside it
CELLS = 12  # values of a setting that have a row or column of their own
SCALE = "Viridis"  # one scale of lightness, which color-vision deficiencies do not change


def parallel_figure(settings: Sequence[Settings], values: Sequence[float], metric: str) -> Figure:
    """One line a setting of the sweep, over what it varies to the metric.

    Args:
        settings: {path: value} of each. values: the metric of each. metric: its title.
    """
    axes = [_axis(path, [one[path] for one in settings]) for path in settings[0]]
    axes.append({"label": shorten(metric, LABEL, placeholder="…"), "values": list(values)})
    line: Figure = {"color": list(values), "colorscale": SCALE, "showscale": False}  # the last axis says what it means
    if len(set(values)) == 1:
        line = {"color": BLUE}
        axes[-1] |= {"tickvals": values[:1], "ticktext": [as_text(values[0])]}
    layout = {"margin": {"l": 64, "r": 64, "t": 48, "b": 24}, "title": {"text": ""}}
    # Ticks say what was tried; the ends of the axes would be printed over them.
    hidden = {"size": 1, "color": "rgba(0,0,0,0)"}
    return {"data": [{"type": "parcoords", "line": line, "dimensions": axes, "rangefont": hidden}], "layout": layout}


def importance_figure(shares: Mapping[str, float]) -> Figure:
    """Bars, the largest at the top."""
    names = list(shares)[::-1]
    bars = {
        "type": "bar",
        "orientation": "h",
        "x": [round(100 * shares[name], 1) for name in names],
        "y": [label_of(name) for name in names],
        "marker": {"color": BLUE},
    }
    layout = {
        "xaxis": {"title": {"text": "share of the differences (%)"}, "range": [0, 100]},
        "yaxis": {"automargin": True},
        "margin": {"l": 16, "r": 16, "t": 16, "b": 48},
        "title": {"text": ""},
    }
    return {"data": [bars], "layout": layout}


def two_figure(settings: Sequence[Settings], values: Sequence[float], across: str, up: str, metric: str) -> Figure:
    """The metric by two settings: a cell for each pair, or a dot for each run where there are too many pairs."""
    most = max(len({as_text(one[path]) for one in settings}) for path in (across, up))
    draw = heat_figure if most <= CELLS else dots_figure
    return draw(settings, values, across, up, metric)


def dots_figure(settings: Sequence[Settings], values: Sequence[float], across: str, up: str, metric: str) -> Figure:
    """A dot for each run at its two settings, colored by the metric."""
    (x, x_scale), (y, y_scale) = (_scaled([one[path] for one in settings]) for path in (across, up))
    dots = {
        "type": "scatter",
        "mode": "markers",
        "name": metric,
        "x": x,
        "y": y,
        "text": [f"{metric} {value:.3g}" for value in values],
        "hovertemplate": "%{text}<br>%{x}, %{y}<extra></extra>",
        "marker": {
            "size": 11,
            "color": list(values),
            "colorscale": SCALE,
            "showscale": len(set(values)) > 1,
            "colorbar": {"title": {"text": metric, "side": "right"}, "thickness": 12, "outlinewidth": 0},
        },
    }
    layout = {
        "xaxis": {"title": {"text": label_of(across)}, "type": x_scale},
        "yaxis": {"title": {"text": label_of(up)}, "type": y_scale, "automargin": True},
        "margin": {"l": 64, "r": 16, "t": 16, "b": 48},
        "title": {"text": ""},
    }
    return {"data": [dots], "layout": layout}


def _scaled(values: Sequence[Any]) -> tuple[list[Any], str]:
    """Values for an axis and its type: logarithmic where they span a factor of 20, words where they are no numbers."""
    if not all(isinstance(value, int | float) and not isinstance(value, bool) for value in values):
        return [as_text(value) for value in values], "category"
    return list(values), "log" if min(values) > 0 and max(values) >= 20 * min(values) else "linear"


def heat_figure(settings: Sequence[Settings], values: Sequence[float], across: str, up: str, metric: str) -> Figure:
    """Means of the metric over everything else, by two settings; cells without a run stay empty."""
    cells: dict[tuple[str, str], list[float]] = defaultdict(list)
    for one, value in zip(settings, values, strict=True):
        cells[as_text(one[across]), as_text(one[up])].append(value)
    columns = _ordered([one[across] for one in settings])
    lines = _ordered([one[up] for one in settings])
    means = [[sum(cell) / len(cell) if (cell := cells.get((x, y))) else None for x in columns] for y in lines]
    heat = {
        "type": "heatmap",
        "x": columns,
        "y": lines,
        "z": means,
        "colorscale": SCALE,
        "colorbar": {"title": {"text": metric, "side": "right"}, "thickness": 12, "outlinewidth": 0},
        "texttemplate": "%{z:.3g}",
        "hoverongaps": False,
        "xgap": 2,
        "ygap": 2,
        # Where nothing differs there is nothing to color.
        "showscale": len({mean for line in means for mean in line if mean is not None}) > 1,
    }
    layout = {
        "xaxis": {"type": "category", "title": {"text": label_of(across)}},
        "yaxis": {"type": "category", "title": {"text": label_of(up)}, "automargin": True},
        "margin": {"l": 64, "r": 16, "t": 16, "b": 48},
        "title": {"text": ""},
    }
    return {"data": [heat], "layout": layout}


def two_height(figure: Figure) -> int:
    """Pixels of a `two_figure`."""
    trace = figure["data"][0]
    return 110 + 64 * max(len(trace["y"]), 2) if trace["type"] == "heatmap" else 480


def as_text(value: Any) -> str:
    """A value as it stands on an axis: what TPE draws has many digits."""
    return f"{value:.4g}" if isinstance(value, float) else value_text(value)


def _ordered(values: Sequence[Any]) -> list[str]:
    """Different values as text, numbers in their order."""
    numbers = all(isinstance(value, int | float) and not isinstance(value, bool) for value in values)
    ordered = sorted(set(values)) if numbers else sorted(set(values), key=as_text)
    return list(dict.fromkeys(as_text(value) for value in ordered))


def _axis(path: str, values: Sequence[Any]) -> Figure:
    label = shorten(sign_of(path), LABEL, placeholder="…")
    if all(isinstance(value, int | float) and not isinstance(value, bool) for value in values):
        axis: Figure = {"label": label, "values": list(values)}
        if len(tried := sorted(set(values))) <= FEW:
            axis |= {"tickvals": tried, "ticktext": [as_text(value) for value in tried]}
        return axis
    texts = _ordered(values)
    places = [texts.index(as_text(value)) for value in values]
    return {"label": label, "values": places, "tickvals": list(range(len(texts))), "ticktext": texts}
