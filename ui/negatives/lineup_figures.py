"""Figures of one anchor's candidates: a ruler of similarities, and bars of gradient shares by source."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from cpc_engine.sources import SOURCES

from ..drawing.charts import Figure
from ..drawing.palette import GRAY, SOURCE_STYLES
from ..drawing.text import plain_name, source_label

ROW, BAR = 40, 30  # pixels of a strip, of a bar
_PLAIN = {"displayModeBar": False}
CATEGORIES = {
    "type": "category",
    "categoryorder": "array",
    "title": {"text": ""},
    "fixedrange": True,
    "automargin": True,
}


@dataclass(frozen=True)
class Ticks:
    """Some candidates of one source: similarity, name, and whether each has the anchor's class."""

    similarities: Sequence[float]
    names: Sequence[str]
    same: Sequence[bool]


def ruler_figure(strips: Mapping[str, Ticks], positive: float) -> Figure:
    """Where the positive and the candidates lie by similarity, a strip per source.

    Crosses are candidates of the anchor's class, the upright line is the positive.
    """
    labels = [source_label(name) for name in strips]
    traces = []
    for name, ticks in strips.items():
        color = SOURCE_STYLES[name].color
        for same in (False, True):
            at = [i for i, flag in enumerate(ticks.same) if flag == same]
            symbol = "x-thin-open" if same else "line-ns-open"
            traces.append(
                {
                    "type": "scatter",
                    "mode": "markers",
                    "x": [round(ticks.similarities[i], 4) for i in at],
                    "y": [source_label(name)] * len(at),
                    "text": [plain_name(ticks.names[i]) for i in at],
                    "hovertemplate": "%{text}<br>similarity %{x:.3f}<extra></extra>",
                    "name": f"{source_label(name)}, {'own class' if same else 'other class'}",
                    "showlegend": False,
                    "marker": {
                        "symbol": symbol,
                        "size": 11 if same else 16,
                        "color": color,
                        "line": {"width": 2 if same else 1.4, "color": color},
                        "opacity": 0.9 if same else 0.55,
                    },
                }
            )
    line = {"type": "line", "xref": "x", "yref": "paper", "x0": positive, "x1": positive, "y0": 0, "y1": 1}
    note = {
        "x": positive,
        "xref": "x",
        "y": 1,
        "yref": "paper",
        "yanchor": "bottom",
        "text": "positive",
        "showarrow": False,
    }
    layout = _layout(len(strips) * ROW + 66) | {
        "xaxis": {"title": {"text": "similarity to the anchor", "standoff": 4}, "zeroline": False, "fixedrange": True},
        "yaxis": {"categoryarray": labels[::-1]} | CATEGORIES,
        "shapes": [line | {"line": {"width": 3, "color": GRAY}}],
        "annotations": [note | {"font": {"size": 12}}],
        "hovermode": "closest",
    }
    return {"data": traces, "layout": layout, "config": _PLAIN}


def shares_figure(rows: Mapping[str, Mapping[str, tuple[float, float]]]) -> Figure:
    """Bars of 100 %: how much of the gradient on negatives comes from each source.

    Args:
        rows: by label, from top to bottom: by source (its share from other classes, from the anchor's own), 0 to 1.
    """
    names = [name for name in SOURCES if any(name in row for row in rows.values())]
    labels = list(rows)
    traces: list[dict[str, Any]] = []
    for name in names:
        for part, words in enumerate(("other classes", "own class: false negatives")):
            marker: dict[str, Any] = {"color": SOURCE_STYLES[name].color, "line": {"width": 0}}
            if part:
                marker["pattern"] = {
                    "shape": "/",
                    "size": 7,
                    "solidity": 0.45,
                    "fgcolor": "#ffffff",
                    "fillmode": "overlay",
                }
            traces.append(
                {
                    "type": "bar",
                    "orientation": "h",
                    "y": labels,
                    "x": [round(100 * rows[label].get(name, (0.0, 0.0))[part], 2) for label in labels],
                    "name": f"{source_label(name)}, {words}",
                    "marker": marker,
                    "hovertemplate": "%{fullData.name}: %{x:.1f} %<extra>%{y}</extra>",
                }
            )
    layout = _layout(len(rows) * BAR + 56) | {
        "barmode": "relative",
        "bargap": 0.25,
        "xaxis": {"title": {"text": ""}, "ticksuffix": " %", "fixedrange": True, "range": [0, 100], "zeroline": False},
        "yaxis": {"categoryarray": labels[::-1]} | CATEGORIES,
        "hovermode": "closest",
    }
    return {"data": traces, "layout": layout, "config": _PLAIN}


def ruler_columns(strips: Mapping[str, Ticks], positive: float) -> dict[str, list[Any]]:
    """The ruler's marks as columns, the positive first."""
    rows: list[tuple[Any, ...]] = [("positive", "", positive, True)]
    for name, ticks in strips.items():
        marks = zip(ticks.names, ticks.similarities, ticks.same, strict=True)
        rows += [(source_label(name), plain_name(item), similarity, same) for item, similarity, same in marks]
    return {title: [row[i] for row in rows] for i, title in enumerate(("source", "item", "similarity", "own class"))}


def shares_columns(rows: Mapping[str, Mapping[str, tuple[float, float]]]) -> dict[str, list[Any]]:
    """The bars as columns: a row for each bar and source, in percent of the bar's gradient."""
    found = [(label, source_label(name), *shares) for label, row in rows.items() for name, shares in row.items()]
    return {
        "of": [row[0] for row in found],
        "source": [row[1] for row in found],
        "other classes (%)": [100 * row[2] for row in found],
        "own class (%)": [100 * row[3] for row in found],
    }


def titled(figure: Figure, title: str) -> Figure:
    """The same for a paper, where nothing around it says what it is."""
    return figure | {"layout": figure["layout"] | {"title": {"text": title}}}


def _layout(height: int) -> Figure:
    return {
        "uirevision": "keep",
        "showlegend": False,
        "title": {"text": ""},
        "height": height,
        "margin": {"l": 8, "r": 12, "t": 20, "b": 36},
    }
