"""Panels above one another in one figure, with one step axis, its range, marks and hover. Pure functions."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from dataclasses import replace
from typing import Any

from .charts import Figure
from .curves import Record, with_events
from .panels import MIDDLE, TALL, Panel

GAP, LINE = 38, 16  # pixels between two panels: with a title of one line, and for each further line
ABOVE = 8  # pixels from a panel to its title: half of the number at the top of its axis
# Plotly draws no axes where nothing is on them, and puts notes that refer to them on the first panel's.
NOTHING: Figure = {"type": "scatter", "name": "", "x": [0], "y": [None], "hoverinfo": "skip", "showlegend": False}
UNUSED = ["toImage", "lasso2d", "select2d", "zoom2d", "pan2d", "zoomIn2d", "zoomOut2d", "autoScale2d"]


def level(runs: Sequence[Sequence[Panel]]) -> list[list[Panel]]:
    """The panels of several runs at the same heights, so that one lies beside the other; the first is the tallest."""
    heights: dict[str, float] = {}
    for panel in (panel for panels in runs for panel in panels[1:]):
        heights[panel.key] = min(max(heights.get(panel.key, 0.0), panel.height), MIDDLE)
    return [
        [replace(panels[0], height=TALL), *(replace(panel, height=heights[panel.key]) for panel in panels[1:])]
        for panels in runs
    ]


def alike(runs: Sequence[Sequence[Panel]]) -> None:
    """Give the panels of the same quantity in several runs one range of values, in place, unless it is fixed."""
    for key in dict.fromkeys(panel.key for panels in runs for panel in panels):
        _one_range([panel for panels in runs for panel in panels if panel.key == key])


def _one_range(panels: Sequence[Panel]) -> None:
    drawn = [y for panel in panels for trace in panel.figure["data"] for y in trace["y"] if y is not None]
    values = [y for y in drawn if math.isfinite(y)]
    axes = [panel.figure["layout"]["yaxis"] for panel in panels]
    if values and not any("range" in axis for axis in axes):
        low, high = min(values), max(values)
        room = 0.06 * ((high - low) or abs(high) or 1.0)
        bottom = 0.0 if axes[0].get("rangemode") == "tozero" else low - room
        for axis in axes:
            axis["range"] = [min(bottom, low), high + room]


def panels_figure(panels: Sequence[Panel], steps: int, events: Iterable[Record] = (), height: int = 690) -> Figure:
    """The panels in one figure; the step axis reaches to `steps`, the run's last, from the beginning.

    Args:
        height: about how many pixels there are, from which the room for the titles follows.

    Example:
        >>> from cpc_engine.config import RunConfig
        >>> from ui.drawing.panels import panels_of
        >>> figure = panels_figure(panels_of([], RunConfig()), steps=200)
        >>> figure["layout"]["xaxis"]["range"], len([name for name in figure["layout"] if name.startswith("yaxis")])
        ([0, 202.0], 6)
    """
    margin = {"l": 52, "r": 19, "t": 24 + LINE * panels[0].title.count("<br>"), "b": 44}
    inner = height - margin["t"] - margin["b"]
    gaps = [(GAP + LINE * panel.title.count("<br>")) / inner for panel in panels[1:]]
    layout: Figure = {
        "uirevision": "keep",
        "hovermode": "x unified",
        "hoversubplots": "axis",  # one hover over all panels
        "showlegend": False,  # the titles say what is what
        "margin": margin,
        "title": {"text": ""},
    }
    room = 1 - sum(gaps)
    unit = room / sum(panel.height for panel in panels)
    top, traces, titles = 1.0, [], []
    for index, (panel, gap) in enumerate(zip(panels, [*gaps, 0.0], strict=True)):
        axis = f"y{index + 1}" if index else "y"
        bottom = max(top - unit * panel.height, 0.0)
        drawn = panel.figure["data"]
        own = panel.figure["layout"]["yaxis"] | {
            "title": {"text": ""},
            "domain": [bottom, top],
            "nticks": 4 if panel.height >= MIDDLE else 3,
            "automargin": False,
            **dict.fromkeys(("showticklabels", "showgrid", "zeroline"), bool(drawn)),  # of no curve they say nothing
        }
        layout[f"yaxis{index + 1}" if index else "yaxis"] = own | {"fixedrange": True}
        traces += [trace | {"yaxis": axis, "xaxis": "x", "meta": panel.key} for trace in drawn or [NOTHING]]
        place = {"xref": "paper", "x": 0, "xanchor": "left", "yref": "paper", "y": top, "yanchor": "bottom"}
        place |= {"xshift": -46, "yshift": ABOVE}
        titles.append({"text": panel.title, "showarrow": False, "font": {"size": 12}, "align": "left"} | place)
        if not drawn:
            place = {"xref": "x domain", "x": 0.5, "yref": f"{axis} domain", "y": 0.5}
            titles.append({"text": panel.waits, "showarrow": False, "font": {"size": 12}} | place)
        top = bottom - gap
    last = f"y{len(panels)}" if len(panels) > 1 else "y"
    layout["xaxis"] = {"title": {"text": "step", "standoff": 4}, "range": [0, 1.01 * steps], "anchor": last}
    layout["xaxis"]["automargin"] = False  # to find the margins that it has anyway takes half of the time of drawing
    layout["xaxis"] |= {"showspikes": True, "spikemode": "across", "spikethickness": 1, "spikedash": "dot"}
    figure = with_events({"data": traces, "layout": layout}, events, steps)
    figure["layout"]["annotations"] += titles
    return figure | {"config": {"modeBarButtonsToRemove": UNUSED}}


def panels_spoken(figure: Figure, name: str) -> str:
    """A text alternative: where each curve stands."""
    parts = []
    for trace in figure["data"]:
        values = [(x, y) for x, y in zip(trace["x"], trace["y"], strict=True) if y is not None]
        if values and trace.get("hoverinfo") != "skip":
            parts.append(f"{trace['name']} {values[-1][1]:.3g} at step {values[-1][0]:.0f}")
    return f"Curves of {name}: {'; '.join(parts) or 'nothing recorded yet'}."


def panels_table(figure: Figure) -> dict[str, list[Any]]:
    """The drawn points as columns: step, then one column for each curve; a gap is None."""
    shown = [trace for trace in figure["data"] if trace.get("hoverinfo") != "skip"]
    steps = sorted({x for trace in shown for x in trace["x"]})
    columns: dict[str, list[Any]] = {"step": steps}
    for trace in shown:
        known = dict(zip(trace["x"], trace["y"], strict=True))
        columns[trace["name"]] = [known.get(step) for step in steps]
    return columns
