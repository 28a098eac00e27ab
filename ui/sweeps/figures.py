"""Figures of a sweep: parallel coordinates, shares of importance, and a heat map of two settings."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping, Sequence
from typing import Any

from ..drawing.palette import BLUE

Figure = dict[str, Any]
Settings = Mapping[str, Any]
SCALE = "Viridis"  # one scale of lightness, which color-vision deficiencies do not change


def parallel_figure(settings: Sequence[Settings], values: Sequence[float], metric: str) -> Figure:
    """One line a setting of the sweep, over what it varies to the metric.

    Args:
        settings: {path: value} of each. values: the metric of each. metric: its title.
    """
    axes = [_axis(path, [one[path] for one in settings]) for path in settings[0]]
    axes.append({"label": metric, "values": list(values)})
    line = {"color": list(values), "colorscale": SCALE, "showscale": True}
    layout = {"margin": {"l": 64, "r": 16, "t": 64, "b": 32}, "title": {"text": ""}}
    return {"data": [{"type": "parcoords", "line": line, "dimensions": axes}], "layout": layout}


def importance_figure(shares: Mapping[str, float]) -> Figure:
    """Bars, the largest at the top."""
    names = list(shares)[::-1]
    bars = {
        "type": "bar",
        "orientation": "h",
        "x": [round(100 * shares[name], 1) for name in names],
        "y": [short(name) for name in names],
        "marker": {"color": BLUE},
    }
    layout = {
        "xaxis": {"title": {"text": "share of the differences (%)"}, "range": [0, 100]},
        "yaxis": {"automargin": True},
        "margin": {"l": 16, "r": 16, "t": 16, "b": 48},
        "title": {"text": ""},
    }
    return {"data": [bars], "layout": layout}


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
        "colorbar": {"title": {"text": metric}},
        "texttemplate": "%{z:.3g}",
        "hoverongaps": False,
    }
    layout = {
        "xaxis": {"type": "category", "title": {"text": short(across)}},
        "yaxis": {"type": "category", "title": {"text": short(up)}, "automargin": True},
        "margin": {"l": 64, "r": 16, "t": 16, "b": 48},
        "title": {"text": ""},
    }
    return {"data": [heat], "layout": layout}


def short(path: str) -> str:
    """ "sampler: queue size"."""
    section, _, name = path.partition(".")
    return f"{section}: {name.replace('_', ' ')}"


def as_text(value: Any) -> str:
    """A value as it stands on an axis."""
    return f"{value:.4g}" if isinstance(value, float) else "not set" if value is None else str(value)


def _ordered(values: Sequence[Any]) -> list[str]:
    """Different values as text, numbers in their order."""
    numbers = all(isinstance(value, int | float) and not isinstance(value, bool) for value in values)
    ordered = sorted(set(values)) if numbers else sorted(set(values), key=as_text)
    return list(dict.fromkeys(as_text(value) for value in ordered))


def _axis(path: str, values: Sequence[Any]) -> Figure:
    if all(isinstance(value, int | float) and not isinstance(value, bool) for value in values):
        return {"label": short(path), "values": list(values)}
    texts = _ordered(values)
    places = [texts.index(as_text(value)) for value in values]
    return {"label": short(path), "values": places, "tickvals": list(range(len(texts))), "ticktext": texts}
