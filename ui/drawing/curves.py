"""A run's records as figures: pure functions from plain values to plotly dicts (see `ui.drawing.charts`)."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Sequence
from typing import Any

from cpc_engine.evaluation.metric_info import METRICS
from cpc_engine.sources import SOURCES
from cpc_engine.storage.thinning import means
from cpc_engine.terms import ITEM_NOUNS, MODALITIES

from .charts import Figure, Series, line_figure, stacked_figure
from .palette import GRAY, MODALITY_STYLES, SOURCE_STYLES

Record = dict[str, Any]
TABLE = "table"  # `meta` of a trace without a name in the legend that its chart's table has nevertheless
GEOMETRY = tuple(name for name, metric in METRICS.items() if metric.curve == "held_out")


def modalities(records: Sequence[Record]) -> list[str]:
    """Modalities of the newest record, in a fixed order."""
    present = records[-1]["modalities"] if records else {}
    return [name for name in MODALITIES if name in present]


def loss_figure(records: Sequence[Record], events: Iterable[Record] = ()) -> Figure:
    """Loss per modality, with upright lines where a setting was changed or the run paused."""
    figure = _per_modality(records, lambda part: part["loss"], METRICS["loss"].title, "InfoNCE loss (nats)")
    return with_events(figure, events)


def accuracy_figure(records: Sequence[Record]) -> Figure:
    """How often the true future scores highest, in percent."""
    title = METRICS["accuracy"].title
    return _per_modality(
        records, lambda part: None if part["accuracy"] is None else 100 * part["accuracy"], title, f"{title} (%)"
    )


def geometry_figure(records: Sequence[Record], metric: str) -> Figure:
    """One held-out metric of GEOMETRY, with a point at each step where it was measured."""
    measured = [record for record in records if record.get("geometry")]
    steps = [record["step"] for record in measured]
    names = modalities(records)
    series = []
    for name in names:
        key = f"{name}.{metric}" if len(names) > 1 else metric
        values = [_number(record["geometry"].get(key)) for record in measured]
        series.append(Series(ITEM_NOUNS[name][1], steps, values, MODALITY_STYLES[name]))
    return line_figure(series, "step", METRICS[metric].unit, METRICS[metric].title)


def share_figure(records: Sequence[Record], modality: str) -> Figure:
    """Each source's share of the gradient of all negatives; together they make 100 %."""
    rows = [record["modalities"][modality]["sources"] for record in records]
    steps = [record["step"] for record in records]
    series = [
        Series(
            source.label,
            steps,
            [100 * _number(row[name]["share"]) if name in row else 0.0 for row in rows],
            SOURCE_STYLES[name],
        )
        for name, source in SOURCES.items()
        if name in rows[-1]
    ]
    title = f"Gradient share by source: negatives of {ITEM_NOUNS[modality][1]}"
    return stacked_figure(series, "step", "gradient share (%)", title)


def with_events(figure: Figure, events: Iterable[Record]) -> Figure:
    """The figure with an upright dotted line and a few words where a setting was changed or a run paused or resumed."""
    words = {"pause": "paused", "resume": "resumed"}
    shapes, notes = [], []
    for event in events:
        if event["kind"] == "change":
            text = f"{event['setting'].partition('.')[2]} → {event['value']}"
        elif event["kind"] in words:
            text = words[event["kind"]]
        else:
            continue
        line = {"color": GRAY, "width": 1.5, "dash": "dot"}
        shapes.append({"type": "line", "x0": event["step"], "x1": event["step"], "yref": "paper", "y0": 0, "y1": 1})
        shapes[-1]["line"] = line
        place = {"x": event["step"], "yref": "paper", "y": 1, "xanchor": "left", "yanchor": "top", "textangle": 90}
        notes.append({"text": text, "showarrow": False, "font": {"size": 11}} | place)
    return figure | {"layout": figure["layout"] | {"shapes": shapes, "annotations": notes}}


def spoken(figure: Figure) -> str:
    """A text alternative: title, axes, and where each curve starts and stands."""
    layout = figure["layout"]
    unit, axis = layout["yaxis"]["title"]["text"], layout["xaxis"]["title"]["text"]
    parts = []
    for trace in figure["data"]:
        if trace.get("showlegend") is False:
            continue
        values = [(x, y) for x, y in zip(trace["x"], trace["y"], strict=True) if y is not None]
        if values:
            first, last = values[0], values[-1]
            parts.append(
                f"{trace['name']} from {first[1]:.3g} at {axis} {first[0]:.0f} to {last[1]:.3g} at {last[0]:.0f}"
            )
    return f"{layout['title']['text']}, {unit}: {'; '.join(parts) or 'nothing recorded yet'}."


def table(figure: Figure) -> dict[str, list[Any]]:
    """The figure's points as columns: x, then one column per curve; a gap is None."""
    axis = figure["layout"]["xaxis"]["title"]["text"]
    shown = [
        trace
        for trace in figure["data"]
        if trace.get("showlegend") is not False or trace.get("meta") == TABLE or len(figure["data"]) == 1
    ]
    xs = sorted({x for trace in shown for x in trace["x"]})
    columns: dict[str, list[Any]] = {axis: xs}
    for trace in shown:
        known = dict(zip(trace["x"], trace["y"], strict=True))
        columns[trace["name"]] = [known.get(x) for x in xs]
    return columns


def _per_modality(records: Sequence[Record], pick: Callable[[Record], float | None], title: str, unit: str) -> Figure:
    """A curve for each modality from `pick` of its part of every record; long ones are smoothed."""

    def line(rows: Sequence[Record], name: str) -> tuple[list[int], list[float]]:
        return [round(row["step"]) for row in rows], [_number(pick(row["modalities"][name])) for row in rows]

    averaged = means(records)
    series = [
        Series(ITEM_NOUNS[name][1], *line(records, name), MODALITY_STYLES[name], line(averaged, name))
        for name in modalities(records)
    ]
    return line_figure(series, "step", unit, title, smoothed=len(records) > 20)


def _number(value: float | None) -> float:
    return math.nan if value is None else value
