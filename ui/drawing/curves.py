"""What is said of and drawn over a figure of curves: marks, a text alternative, a table. Pure functions."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from textwrap import shorten
from typing import Any

from cpc_engine.config import sign_of, value_text
from cpc_engine.terms import MODALITIES

from .charts import Figure
from .palette import GRAY

Record = dict[str, Any]
CLOSE = 0.06  # of the width: an upright label of a chart of 300 pixels, in letters for a projector too
LABEL = 48  # letters of an upright label
_LABEL = {
    "showarrow": False,
    "font": {"size": 11},
    "yref": "paper",
    "y": 1,
    "xanchor": "left",
    "yanchor": "top",
    "textangle": 90,
}
LEGEND = "legend"  # `meta` of a trace without points, an entry of the legend that says how others are drawn
TABLE = "table"  # `meta` of a trace without a name in the legend that its chart's table has nevertheless


def modalities(records: Sequence[Record]) -> list[str]:
    """Modalities of the newest record, in a fixed order."""
    present = records[-1]["modalities"] if records else {}
    return [name for name in MODALITIES if name in present]


def with_events(figure: Figure, events: Iterable[Record], last: float) -> Figure:
    """The figure with an upright dotted line where a setting was changed or a run paused or resumed, and its words.

    Words of events that are close together are one label, since labels would be printed over each other.

    Args:
        last: the step at the right end, from which follows what is close.
    """
    words = {"pause": "paused", "resume": "resumed"}
    shapes: list[Figure] = []
    labels: list[tuple[float, dict[str, str]]] = []  # step, {what was changed: what to say}; the newest value counts
    for event in sorted(events, key=lambda event: float(event["step"])):
        if event["kind"] == "change":
            sign = sign_of(event["setting"])
            said = {sign: f"{sign} {value_text(event['value'])}"}
        elif event["kind"] in words:
            said = {"run": words[event["kind"]]}
        else:
            continue
        line = {"color": GRAY, "width": 1.5, "dash": "dot"}
        shapes.append({"type": "line", "x0": event["step"], "x1": event["step"], "yref": "paper", "y0": 0, "y1": 1})
        shapes[-1]["line"] = line
        at = min(event["step"], (1 - CLOSE / 2) * last)  # a label at the very end would be cut off
        if labels and at - labels[-1][0] < CLOSE * last:
            labels[-1][1].update(said)
        else:
            labels.append((at, said))
    notes = [
        {"text": shorten(", ".join(said.values()), LABEL, placeholder=" …"), "x": at} | _LABEL for at, said in labels
    ]
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
        if (trace.get("showlegend") is not False or trace.get("meta") == TABLE or len(figure["data"]) == 1)
        and trace.get("meta") != LEGEND
    ]
    xs = sorted({x for trace in shown for x in trace["x"]})
    columns: dict[str, list[Any]] = {axis: xs}
    for trace in shown:
        known = dict(zip(trace["x"], trace["y"], strict=True))
        columns[trace["name"]] = [known.get(x) for x in xs]
    return columns


def number(value: float | None) -> float:
    """A recorded number; NaN, a gap in a curve, where it was not finite."""
    return math.nan if value is None else value
