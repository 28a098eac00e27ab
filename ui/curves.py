"""A run's records as figures: pure functions from plain values to plotly dicts (see `ui.charts`)."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Sequence
from typing import Any

from .charts import Figure, Series, line_figure, stacked_figure
from .palette import MODALITIES, SOURCES, series_style

Record = dict[str, Any]
SOURCE_WORDS = {
    "in_batch": "same batch",
    "queue": "memory",
    "perturbed": "noisy copies",
    "shuffled": "shuffled",
    "cross_modal": "other sense",
}
TABLE = "table"  # `meta` of a trace without a name in the legend that its chart's table has nevertheless
MODALITY_WORDS = {"audio": "sound", "image": "pictures"}
GEOMETRY = {
    "alignment": ("Alignment", "distance²", "How far predictions lie from what came; lower is better."),
    "uniformity": ("Uniformity", "log similarity", "How evenly contexts fill their space; lower is more even."),
    "effective_rank": ("Effective rank", "directions", "How many directions contexts use; higher is richer."),
}


def modalities(records: Sequence[Record]) -> list[str]:
    """Of the newest record, in a fixed order."""
    found = records[-1]["modalities"] if records else {}
    return [name for name in MODALITIES if name in found]


def loss_figure(records: Sequence[Record], events: Iterable[Record] = ()) -> Figure:
    """Loss per modality, and what was changed on the way as upright lines."""
    return with_events(
        _per_modality(records, lambda part: part["loss"], "Loss", "InfoNCE loss (nats)", smoothed=True), events
    )


def accuracy_figure(records: Sequence[Record]) -> Figure:
    """How often the true future wins, in percent."""
    return _per_modality(
        records,
        lambda part: None if part["accuracy"] is None else 100 * part["accuracy"],
        "Picking the true future",
        "anchors (%)",
        smoothed=True,
    )


def geometry_figure(records: Sequence[Record], measure: str) -> Figure:
    """One held-out measure (a key of GEOMETRY), a point each time it was taken."""
    title, unit, _ = GEOMETRY[measure]
    taken = [record for record in records if record.get("geometry")]
    steps = [record["step"] for record in taken]
    names = modalities(records)
    series = []
    for name in names:
        key = f"{name}.{measure}" if len(names) > 1 else measure
        values = [_number(record["geometry"].get(key)) for record in taken]
        series.append(Series(MODALITY_WORDS[name], steps, values, MODALITIES[name]))
    return line_figure(series, "step", unit, title)


def share_figure(records: Sequence[Record], modality: str) -> Figure:
    """Whose negatives pull: each source's share of the softmax mass of all negatives, stacked to 100 %."""
    present = [s for s in SOURCES if any(s in record["modalities"][modality]["sources"] for record in records[-1:])]
    steps = [record["step"] for record in records]
    series = []
    for source in present:
        found = [record["modalities"][modality]["sources"].get(source) for record in records]
        shares = [100 * _number(row["share"]) if row else 0.0 for row in found]
        series.append(Series(SOURCE_WORDS[source], steps, shares, SOURCES[source]))
    return stacked_figure(
        series, "step", "share of the pull (%)", f"Who pulls: negatives of {MODALITY_WORDS[modality]}"
    )


def with_events(figure: Figure, events: Iterable[Record]) -> Figure:
    """The figure with an upright dotted line and a few words where a knob was changed or the run paused."""
    words = {"pause": "paused", "resume": "resumed"}
    shapes, notes = [], []
    for event in events:
        if event["kind"] == "change":
            text = f"{event['knob'].partition('.')[2]} → {event['value']}"
        elif event["kind"] in words:
            text = words[event["kind"]]
        else:
            continue
        line = {"color": "#8c8c8c", "width": 1.5, "dash": "dot"}
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


def records_csv(records: Sequence[Record]) -> str:
    """All records as one flat table, a row a step."""
    rows = [dict(_flat(record)) for record in records]
    columns = list(dict.fromkeys(name for row in rows for name in row))
    lines = [",".join(columns)]
    lines += [",".join(str(row.get(name, "")) for name in columns) for row in rows]
    return "\n".join(lines) + "\n"


def columns_csv(columns: dict[str, list[Any]]) -> str:
    """Columns of equal length as CSV; names are quoted."""
    lines = [",".join('"' + name.replace('"', '""') + '"' for name in columns)]
    lines += [",".join("" if v is None else str(v) for v in row) for row in zip(*columns.values(), strict=True)]
    return "\n".join(lines) + "\n"


def _per_modality(
    records: Sequence[Record], pick: Callable[[Record], float | None], title: str, unit: str, smoothed: bool
) -> Figure:
    from cpc_engine.runs.live import means

    def line(rows: Sequence[Record], name: str) -> tuple[list[int], list[float]]:
        return [round(row["step"]) for row in rows], [_number(pick(row["modalities"][name])) for row in rows]

    averaged, series = means(records), []
    for index, name in enumerate(modalities(records)):
        style = MODALITIES.get(name, series_style(index))
        series.append(Series(MODALITY_WORDS[name], *line(records, name), style, line(averaged, name)))
    return line_figure(series, "step", unit, title, smoothed=smoothed and len(records) > 20)


def _number(value: float | None) -> float:
    return math.nan if value is None else value


def _flat(value: Record, prefix: str = "") -> Iterable[tuple[str, Any]]:
    for key, inner in value.items():
        if isinstance(inner, dict):
            yield from _flat(inner, f"{prefix}{key}.")
        else:
            yield f"{prefix}{key}", inner
