"""How the arms stand by one metric: a dot with its interval for each, and a map of two settings. Pure functions."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from cpc_engine.comparison.standings import Grid, Standing
from cpc_engine.evaluation.metric_info import describe_metric

from ...drawing.charts import Figure
from ...drawing.palette import GRAY, series_style
from ...drawing.text import plain_name

ROW, AROUND = 46, 110  # pixels of one arm, and above and below all of them
UNTRAINED = "untrained network"
LONGEST = 34  # characters of a title in one line


def dots_figure(standings: Sequence[Standing], metric: str) -> Figure:
    """One row an arm, the first on top: every seed, their mean with its 95 % interval, and the untrained network.

    Example:
        >>> one = Standing("A", "A · Queue size 0", {0: 0.8, 1: 0.9}, 0.85, 0.1, "seeds", 0.4)
        >>> figure = dots_figure([one], "probe")
        >>> [trace["name"] for trace in figure["data"]]
        ['A · Queue size 0', 'single seeds', 'untrained network']
    """
    rows = [_lines(standing.title) for standing in standings]
    traces: list[Figure] = []
    for index, (standing, row) in enumerate(zip(standings, rows, strict=True)):
        if standing.mean is None:
            continue
        style = series_style(index)
        traces.append(
            _points(standing.title, [standing.mean], [row], style.color, style.symbol, 13)
            | {"error_x": {"type": "data", "array": [standing.half or 0], "thickness": 2.5, "width": 7}}
            | {"hovertemplate": f"%{{x:.4~g}} {_half(standing)}<extra></extra>"}
        )
        traces[-1]["error_x"]["color"] = style.color
    pairs = [(value, row) for one, row in zip(standings, rows, strict=True) for value in one.values.values()]
    if pairs:
        values, places = map(list, zip(*pairs, strict=True))
        traces.append(_points("single seeds", values, places, GRAY, "circle-open", 7))
    before = [(one.untrained, row) for one, row in zip(standings, rows, strict=True) if one.untrained is not None]
    if before:
        values, places = map(list, zip(*before, strict=True))
        traces.append(_points(UNTRAINED, values, places, GRAY, "line-ns-open", 18))
        traces[-1]["marker"]["line"] = {"width": 3}
    for trace in traces[: len(traces) - bool(pairs) - bool(before)]:
        trace["showlegend"] = False
    described = describe_metric(metric)
    unit = f"{described.unit} ({described.arrow} better)" if described.arrow else described.unit
    layout: Figure = {
        "uirevision": "keep",
        "title": {"text": described.title, "x": 0, "xref": "container", "xanchor": "left", "y": 1, "yanchor": "top"},
        "xaxis": {"title": {"text": unit}},
        "yaxis": {
            "categoryorder": "array",
            "categoryarray": list(reversed(rows)),
            "range": [-0.6, len(rows) - 0.4],
            "type": "category",
            "title": {"text": ""},
        },
        "hovermode": "closest",
        "legend": {"orientation": "h", "x": 0, "xanchor": "left", "y": 1.0, "yanchor": "bottom"},
        "margin": {"l": 8, "r": 16, "t": 58, "b": 48},
    }
    layout["title"]["pad"] = {"t": 8}
    return {"data": traces, "layout": layout}


def height_of(rows: int) -> int:
    """Pixels of a dot plot."""
    return AROUND + ROW * max(rows, 2)


def dots_spoken(standings: Sequence[Standing], metric: str) -> str:
    """A text alternative."""
    parts = []
    for one in standings:
        if one.mean is None:
            parts.append(f"{one.title}: not measured")
            continue
        before = "" if one.untrained is None else f", untrained {one.untrained:.3g}"
        parts.append(f"{one.title}: {one.mean:.4g} {_half(one)}{before}")
    return f"{describe_metric(metric).title} by setting. {'; '.join(parts)}."


def dots_table(standings: Sequence[Standing]) -> dict[str, list[Any]]:
    """The numbers of a dot plot as columns."""
    return {
        "arm": [one.title for one in standings],
        "mean": [one.mean for one in standings],
        "half width 95 %": [one.half for one in standings],
        "seeds": [len(one.values) for one in standings],
        "interval covers": [one.covers for one in standings],
        "untrained": [one.untrained for one in standings],
    }


def grid_figure(grid: Grid, metric: str) -> Figure:
    """Means as a heat map: one setting along each side, the number in each cell."""
    rows, columns = range(len(grid.rows[1])), range(len(grid.columns[1]))
    means = [[grid.means.get((row, column)) for column in columns] for row in rows]
    described = describe_metric(metric)
    trace = {
        "type": "heatmap",
        "name": described.title,
        "x": [plain_name(text) for text in grid.columns[1]],
        "y": [plain_name(text) for text in grid.rows[1]],
        "z": means,
        "colorscale": "Cividis",
        "reversescale": described.better == "lower",  # bright is better
        "texttemplate": "%{z:.3~g}",
        "hoverongaps": False,
        "xgap": 2,
        "ygap": 2,
        "colorbar": {"thickness": 12, "outlinewidth": 0},
    }
    layout: Figure = {
        "uirevision": "keep",
        "title": {"text": f"{described.title} by two settings", "x": 0, "xref": "container", "xanchor": "left"},
        "xaxis": {"title": {"text": grid.columns[0]}, "type": "category"},
        "yaxis": {"title": {"text": grid.rows[0]}, "type": "category"},
        "margin": {"l": 8, "r": 8, "t": 44, "b": 48},
    }
    layout["title"] |= {"y": 1, "yanchor": "top", "pad": {"t": 8}}
    return {"data": [trace], "layout": layout}


def grid_spoken(grid: Grid, metric: str) -> str:
    """A text alternative."""
    cells = [
        f"{grid.rows[1][row]} and {grid.columns[1][column]}: {mean:.4g}"
        for (row, column), mean in sorted(grid.means.items())
    ]
    return f"{describe_metric(metric).title} by {grid.rows[0]} and {grid.columns[0]}. {'; '.join(cells)}."


def _points(name: str, x: Sequence[float], y: Sequence[str], color: str, symbol: str, size: int) -> Figure:
    return {
        "type": "scatter",
        "mode": "markers",
        "name": name,
        "x": list(x),
        "y": list(y),
        "marker": {"color": color, "symbol": symbol, "size": size},
        "hovertemplate": f"%{{x:.4~g}}<extra>{name}</extra>",
    }


def _half(standing: Standing) -> str:
    seeds = len(standing.values)
    return f"± {standing.half:.2g}, {seeds} seeds" if standing.half is not None else f"({seeds} seed)"


def _lines(title: str) -> str:
    """A title in lines that leave room for the plot; each is its own category."""
    words, lines = plain_name(title).split(" "), [""]
    for word in words:
        if len(lines[-1]) + len(word) > LONGEST and lines[-1]:
            lines.append("")
        lines[-1] = f"{lines[-1]} {word}".strip()
    return "<br>".join(lines[:3]) + ("…" if len(lines) > 3 else "")
