"""A run's curves as panels: loss, accuracy, shares of the sources, geometry; `panel_stack` puts them together.

Pure functions from records (lines of metrics.jsonl) to plotly dicts.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass

from cpc_engine.config import RunConfig
from cpc_engine.evaluation.alarms import COLLAPSED
from cpc_engine.evaluation.metric_info import METRICS
from cpc_engine.sources import SOURCES
from cpc_engine.storage.thinning import means
from cpc_engine.terms import ITEM_NOUNS
from cpc_engine.training.plan import plan

from .charts import Figure, Series, line_figure, stacked_figure
from .curves import Record, modalities, number
from .palette import GRAY, MODALITY_STYLES, SOURCE_STYLES, Style
from .text import SHARE

GEOMETRY = ("alignment", "uniformity", "spread")
KEYS = 11  # size of the letters in the line of all sources, which has to fit beside the map
BOTH = ("modality_gap",)  # of both modalities together
POINTS = 240  # of one curve: a panel is about twice as many pixels wide
CHANCE = Style(GRAY, "circle", "dot")
# Parts of the height.
TALL, MIDDLE, LOW, SINGLE = 1.5, 1.0, 0.72, 0.3


@dataclass(frozen=True)
class Panel:
    """One of the charts: `key` names it, `title` stands above it, `figure` has its traces and its y axis.

    `waits` says when the first value comes; it stands in a panel without any.
    """

    key: str
    title: str
    figure: Figure
    height: float = MIDDLE
    waits: str = "begins with the first step"


def panels_of(records: Sequence[Record], config: RunConfig, more: Sequence[str] = ()) -> list[Panel]:
    """Loss, accuracy, the share of every source (for each modality), and the geometry of held-out items.

    Args:
        records: oldest first; a panel without any says what it waits for, so that nothing moves when one comes.
        config: of the run, as it is now.
        more: metrics of both modalities together that are drawn too; other names are passed over.
    """
    plans = {part.modality: part for part in plan(config)}
    shown = modalities(records) or list(plans)
    panels = [_loss(records, shown), _accuracy(records, shown)]
    panels += [_shares(records, name, shown, plans[name].candidates if name in plans else {}) for name in shown]
    first = first_measured(config)
    panels += [_geometry(records, metric, shown, first) for metric in GEOMETRY]
    return panels + [_geometry(records, metric, shown, first) for metric in BOTH if metric in more]


def first_measured(config: RunConfig) -> int:
    """The step at which held-out items are measured first.

    Example:
        >>> first_measured(RunConfig().replace({"evaluation.every": 25, "optimizer.steps": 200}))
        25
        >>> first_measured(RunConfig().replace({"evaluation.every": 0, "optimizer.steps": 200}))
        200
    """
    steps = config.optimizer.steps
    return min(config.evaluation.every or steps, steps)


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


def _shares(records: Sequence[Record], modality: str, shown: Sequence[str], planned: Collection[str]) -> Panel:
    """Each source's share of the gradient of all negatives, which is its share of their softmax mass.

    The `planned` sources have their place before they are recorded.
    """
    rows = [record["modalities"][modality]["sources"] for record in records]
    present = [name for name in SOURCES if name in planned or any(name in row for row in rows)]
    series = [
        Series(
            f"share {_named(SOURCES[name].label, modality, shown)}",
            [record["step"] for record in records],
            [100 * number(row[name]["share"]) if name in row else 0.0 for row in rows],
            SOURCE_STYLES[name],
        )
        for name in present
        if records
    ]
    figure = stacked_figure(series, "step", "")
    for trace in figure["data"]:
        trace |= {"stackgroup": modality, "hovertemplate": "%{fullData.name} %{y:.1f} %<extra></extra>"}
    if len(present) < 2:
        figure["layout"]["yaxis"] |= {"tickvals": [0, 100]}
    title = f"<b>{SHARE}</b> (%{f', {ITEM_NOUNS[modality][1]}' if len(shown) > 1 else ''})"
    if modality == shown[0]:
        names = [f"{_mark(SOURCE_STYLES[name].color)} {SOURCES[name].label.partition(' (')[0]}" for name in present]
        title += f'<br><span style="font-size:{KEYS}px">{"  ".join(names)}</span>'
    # A single source has all of it: a low bar says so.
    return Panel(f"share-{modality}", title, figure, MIDDLE if len(present) > 1 else SINGLE)


def _geometry(records: Sequence[Record], metric: str, shown: Sequence[str], first: int) -> Panel:
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
        if measured:
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
    return Panel(metric, title, figure, LOW, f"first at step {first:,}")


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
