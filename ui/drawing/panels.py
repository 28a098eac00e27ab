"""A run's curves as one figure: panels above one another that share the step axis, its range, marks and hover.

Pure functions from records (lines of metrics.jsonl) to a plotly dict; `ui.components.live_chart` draws it.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, replace
from typing import Any

from cpc_engine.evaluation.alarms import COLLAPSED
from cpc_engine.evaluation.metric_info import METRICS
from cpc_engine.sources import SOURCES
from cpc_engine.storage.thinning import means
from cpc_engine.terms import ITEM_NOUNS

from .charts import Figure, Series, line_figure, stacked_figure
from .curves import Record, modalities, number, with_events
from .palette import GRAY, MODALITY_STYLES, SOURCE_STYLES, Style

GEOMETRY = ("alignment", "uniformity", "spread")
BOTH = ("modality_gap",)  # of both modalities together
POINTS = 240  # of one curve: a panel is about twice as many pixels wide
GAP, LINE = 36, 15  # pixels between two panels: with a title of one line, and for each further line
CHANCE = Style(GRAY, "circle", "dot")
UNUSED = ["toImage", "lasso2d", "select2d", "zoom2d", "pan2d", "zoomIn2d", "zoomOut2d", "autoScale2d"]
# Parts of the height.
TALL, MIDDLE, LOW, SINGLE = 1.5, 1.0, 0.72, 0.3


@dataclass(frozen=True)
class Panel:
    """One of the charts: `key` names it, `title` stands above it, `figure` has its traces and its y axis."""

    key: str
    title: str
    figure: Figure
    height: float = MIDDLE


def panels_of(records: Sequence[Record], names: Sequence[str] = (), more: Sequence[str] = ()) -> list[Panel]:
    """Loss, accuracy, the share of every source (for each modality), and the geometry of held-out items.

    Args:
        records: oldest first; without any the panels are empty, so that nothing moves when the first one comes.
        names: the modalities, where no record tells them yet.
        more: metrics of both modalities together that are drawn too; other names are passed over.
    """
    shown = modalities(records) or list(names)
    panels = [_loss(records, shown), _accuracy(records, shown), *(_shares(records, name, shown) for name in shown)]
    panels += [_geometry(records, metric, shown) for metric in GEOMETRY]
    return panels + [_geometry(records, metric, shown) for metric in BOTH if metric in more]


def level(runs: Sequence[Sequence[Panel]]) -> list[list[Panel]]:
    """The panels of several runs at the same heights, so that one lies beside the other; the first is the tallest."""
    heights: dict[str, float] = {}
    for panel in (panel for panels in runs for panel in panels[1:]):
        heights[panel.key] = min(max(heights.get(panel.key, 0.0), panel.height), MIDDLE)
    return [
        [replace(panels[0], height=TALL), *(replace(panel, height=heights[panel.key]) for panel in panels[1:])]
        for panels in runs
    ]


def alike(panels: Sequence[Panel]) -> None:
    """Give the panels of one metric in several runs one range of values, in place, unless it is fixed."""
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
        >>> figure = panels_figure(panels_of([], ["audio"]), steps=200)
        >>> figure["layout"]["xaxis"]["range"], len([name for name in figure["layout"] if name.startswith("yaxis")])
        ([0, 202.0], 6)
    """
    margin = {"l": 52, "r": 12, "t": 24 + LINE * panels[0].title.count("<br>"), "b": 36}
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
        own = panel.figure["layout"]["yaxis"] | {
            "title": {"text": ""},
            "domain": [bottom, top],
            "nticks": 4,
            "automargin": False,
        }
        layout[f"yaxis{index + 1}" if index else "yaxis"] = own | {"fixedrange": True}
        traces += [trace | {"yaxis": axis, "xaxis": "x", "meta": panel.key} for trace in panel.figure["data"]]
        place = {"xref": "paper", "x": 0, "xanchor": "left", "yref": "paper", "y": top, "yanchor": "bottom"}
        place |= {"xshift": -46, "yshift": 3}
        titles.append({"text": panel.title, "showarrow": False, "font": {"size": 12}, "align": "left"} | place)
        top = bottom - gap
    last = f"y{len(panels)}" if len(panels) > 1 else "y"
    layout["xaxis"] = {"title": {"text": "step", "standoff": 4}, "range": [0, 1.01 * steps], "anchor": last}
    layout["xaxis"] |= {"showspikes": True, "spikemode": "across", "spikethickness": 1, "spikedash": "dot"}
    figure = with_events({"data": traces, "layout": layout}, events)
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


def _loss(records: Sequence[Record], shown: Sequence[str]) -> Panel:
    figure = _curves(records, shown, "loss", lambda part: part["loss"], lambda m: math.log(m + 1))
    chance = "┄ chance" if len(shown) > 1 else "┄ chance ln(M+1)"
    items = "╌ whole items  " if any(record.get("items") for record in records) else ""
    return Panel("loss", f"<b>InfoNCE loss</b> (nats)  {_who(shown)}{items}{chance}", figure, TALL)


def _accuracy(records: Sequence[Record], shown: Sequence[str]) -> Panel:
    figure = _curves(
        records,
        shown,
        "accuracy",
        lambda part: None if part["accuracy"] is None else 100 * part["accuracy"],
        lambda m: 100 / (m + 1),
    )
    figure["layout"]["yaxis"] |= {"rangemode": "tozero"}
    return Panel("accuracy", "<b>Contrastive accuracy</b> (top-1, %)  ┄ chance 1/(M+1)", figure)


def _curves(
    records: Sequence[Record],
    shown: Sequence[str],
    what: str,
    pick: Callable[[Record], float | None],
    chance: Callable[[float], float],
) -> Figure:
    """A curve for each modality, smoothed where it is long, and its chance line for M negatives."""

    def line(rows: Sequence[Record], name: str) -> tuple[list[int], list[float]]:
        return [round(row["step"]) for row in rows], [number(pick(row["modalities"][name])) for row in rows]

    averaged = means(records)
    series = [
        Series(_named(what, name, shown), *line(records, name), MODALITY_STYLES[name], line(averaged, name))
        for name in shown
        if records
    ]
    series += [
        Series(_named(f"{what} of whole items", name, shown), *_of_items(records, name, pick), _dashed(name))
        for name in shown
        if any(record.get("items") for record in records)
    ]
    figure = line_figure(series, "step", "", smoothed=len(records) > 20, limit=POINTS)
    if records:
        steps = [round(record["step"]) for record in records]
        counts = [_negatives(record["modalities"][shown[0]]) for record in records]
        by_chance = Series(f"{what} by chance", steps, [chance(count) for count in counts], CHANCE)
        line_of = line_figure([by_chance], "step", "", limit=POINTS)["data"]
        figure["data"] += [trace | {"mode": "lines", "line": trace["line"] | {"width": 1.5}} for trace in line_of]
    return figure


def _of_items(
    records: Sequence[Record], name: str, pick: Callable[[Record], float | None]
) -> tuple[list[int], list[float]]:
    """Steps and values of the item-level term, which compares two views of an item."""
    rows = [record for record in records if record.get("items")]
    return [round(row["step"]) for row in rows], [number(pick(row["items"][name])) for row in rows]


def _dashed(name: str) -> Style:
    style = MODALITY_STYLES[name]
    return Style(style.color, style.symbol, "dash")


def _negatives(part: Record) -> float:
    """How many negatives an anchor has on average."""
    counts: list[float] = [source["count"] - source["masked"] for source in part["sources"].values()]
    return max(sum(counts), 1.0)


def _shares(records: Sequence[Record], modality: str, shown: Sequence[str]) -> Panel:
    """Each source's share of the gradient of all negatives, which is its share of their softmax mass."""
    rows = [record["modalities"][modality]["sources"] for record in records]
    present = [name for name in SOURCES if any(name in row for row in rows)]
    series = [
        Series(
            f"share {_named(SOURCES[name].label, modality, shown)}",
            [record["step"] for record in records],
            [100 * number(row[name]["share"]) if name in row else 0.0 for row in rows],
            SOURCE_STYLES[name],
        )
        for name in present
    ]
    figure = stacked_figure(series, "step", "")
    for trace in figure["data"]:
        trace |= {"stackgroup": modality, "hovertemplate": "%{fullData.name} %{y:.1f} %<extra></extra>"}
    title = f"<b>Share of negative gradient</b> by source (%{f', {ITEM_NOUNS[modality][1]}' if len(shown) > 1 else ''})"
    if modality == shown[0]:
        names = [f"{_mark(SOURCE_STYLES[name].color)} {SOURCES[name].label.partition(' (')[0]}" for name in present]
        title += "<br>" + "  ".join(names)
    # A single source has all of it: a low bar says so.
    return Panel(f"share-{modality}", title, figure, MIDDLE if len(present) > 1 else SINGLE)


def _geometry(records: Sequence[Record], metric: str, shown: Sequence[str]) -> Panel:
    """One metric of held-out items, with a point at each step where it was measured."""
    measured = [record for record in records if record.get("geometry")]
    curves = [
        (_named(metric, name, shown), f"{name}.{metric}" if len(shown) > 1 else metric, MODALITY_STYLES[name])
        for name in shown
    ]
    if metric in BOTH:
        curves = [(METRICS[metric].title.lower(), metric, Style(GRAY, "circle"))]
    steps = [record["step"] for record in measured]
    series = [
        Series(label, steps, [number(record["geometry"].get(key)) for record in measured], style)
        for label, key, style in (curves if measured else ())
    ]
    figure = line_figure(series, "step", "")
    title = f"<b>{METRICS[metric].title}</b>"
    if metric == "spread":
        figure["layout"]["yaxis"] |= {"range": [0, 1.05]}
        if records:
            ends = [records[0]["step"], records[-1]["step"]]
            alarm = Series("spread: alarm below", ends, [COLLAPSED, COLLAPSED], CHANCE)
            figure["data"] += [
                trace | {"mode": "lines", "hoverinfo": "skip"} for trace in line_figure([alarm], "step", "")["data"]
            ]
        title += f" (1: even sphere; ┄ alarm below {COLLAPSED:g})"
    elif metric in BOTH:
        title += f" ({METRICS[metric].unit}; {METRICS[metric].better} is better)"
    else:
        title += " (Wang & Isola; lower is better)"
    return Panel(metric, title, figure, LOW)


def _named(what: str, modality: str, shown: Sequence[str]) -> str:
    return f"{what}, {ITEM_NOUNS[modality][1]}" if len(shown) > 1 else what


def _who(shown: Sequence[str]) -> str:
    """What the colors of two modalities mean; nothing where there is one."""
    if len(shown) < 2:
        return ""
    return "".join(f"{_mark(MODALITY_STYLES[name].color)} {ITEM_NOUNS[name][1]}  " for name in shown)


def _mark(color: str) -> str:
    """A colored square: small colored words would have too little contrast."""
    return f"<span style='color:{color}'>■</span>"
