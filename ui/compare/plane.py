"""The alignment–uniformity plane: where each run's space lies while it learns, as a trail. Pure functions."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from cpc_engine.evaluation.alarms import COLLAPSED
from cpc_engine.terms import ITEM_NOUNS

from ..drawing.charts import Figure, line_figure
from ..drawing.palette import VERMILION, Style

MEANING = (
    "Lower left is better: predictions near their futures, contexts spread evenly. The large mark is the newest step. "
    "Shaded: collapse, where everything is alike and alignment is low for that reason alone."
)
# A spread of s leaves a mean squared distance of 2s² between unit vectors; Gaussian potentials with t = 2 turn it into
# about −4s². Below the alarm's spread a space counts as collapsed.
ZONE = -4 * COLLAPSED**2
_ROWS = ("step", "uniformity", "alignment")


@dataclass(frozen=True)
class Trail:
    """A run's way; `arm` names its entry in the legend, `points` are (step, uniformity, alignment), rising by step."""

    run: str
    arm: str
    style: Style
    points: Sequence[tuple[int, float, float]]


def trail_points(records: Sequence[dict[str, Any]], modality: str = "") -> list[tuple[int, float, float]]:
    """(step, uniformity, alignment) of the records that have both, of all modalities together or of one.

    Example:
        >>> trail_points([{"step": 5, "geometry": {"uniformity": -2.0, "alignment": 0.5}}, {"step": 6}])
        [(5, -2.0, 0.5)]
    """
    names = [f"{modality}.{name}" if modality else name for name in _ROWS[1:]]
    found = []
    for record in records:
        uniformity, alignment = ((record.get("geometry") or {}).get(name) for name in names)
        if uniformity is not None and alignment is not None:
            found.append((int(record["step"]), float(uniformity), float(alignment)))
    return found


def plane_figure(trails: Sequence[Trail], modality: str = "") -> Figure:
    """Trails of runs over uniformity and alignment, with the zone of collapse shaded."""
    title = "Alignment and uniformity" + (f": {ITEM_NOUNS[modality][1]}" if modality else "")
    figure = line_figure([], "uniformity (↓ better)", "alignment, distance² (↓ better)", title)
    values = [point for trail in trails for point in trail.points]
    left = min([-1.0, *(point[1] for point in values)]) - 0.15
    right = max([0.02, *(point[1] for point in values)])
    top = 1.08 * max([point[2] for point in values], default=1.0)
    zone: Figure = {
        "type": "scatter",
        "mode": "lines",
        "fill": "toself",
        "fillcolor": f"{VERMILION}26",
        "name": "collapse",
    }
    zone |= {"x": [ZONE, right, right, ZONE], "y": [0, 0, top, top], "hoverinfo": "skip", "showlegend": False}
    figure["data"].append(zone | {"line": {"width": 0, "color": VERMILION}})
    note = {"text": "collapse", "x": (ZONE + right) / 2, "y": top, "yanchor": "top", "showarrow": False}
    figure["layout"]["annotations"] = [note | {"font": {"size": 12}}]
    named: set[str] = set()
    for trail in trails:
        steps, x, y = ([row[i] for row in trail.points] for i in range(3))
        color, label = trail.style.color, f"{trail.run}<br>step %{{customdata:,}}"
        hover = f"{label}<br>uniformity %{{x:.3f}}, alignment %{{y:.3f}}<extra></extra>"
        own: Figure = {"type": "scatter", "name": trail.arm, "legendgroup": trail.arm, "hovertemplate": hover}
        way: Figure = {
            "mode": "lines+markers",
            "x": x,
            "y": y,
            "customdata": steps,
            "showlegend": False,
            "opacity": 0.6,
        }
        way |= {"line": {"color": color, "width": 1.5, "dash": trail.style.dash}, "marker": {"size": 4, "color": color}}
        newest: Figure = {"mode": "markers", "x": x[-1:], "y": y[-1:], "customdata": steps[-1:]}
        newest |= {"marker": {"size": 12, "color": color, "symbol": trail.style.symbol}}
        figure["data"] += [own | way, own | newest | {"showlegend": trail.arm not in named}]
        named.add(trail.arm)
    figure["layout"] |= {"hovermode": "closest", "showlegend": True}
    figure["layout"]["xaxis"] |= {"range": [left, right]}
    figure["layout"]["yaxis"] |= {"range": [0, top]}
    return figure


def plane_columns(trails: Sequence[Trail]) -> dict[str, list[Any]]:
    """The points as columns, for a table: one row per run and step."""
    rows = [(trail.run, *point) for trail in trails for point in trail.points]
    return {name: [row[index] for row in rows] for index, name in enumerate(("run", *_ROWS))}


def plane_words(trails: Sequence[Trail]) -> str:
    """A text alternative: where each run begins and stands, and whether that is in the zone of collapse."""
    parts = []
    for trail in trails:
        (first, x0, y0), (last, x1, y1) = trail.points[0], trail.points[-1]
        collapsed = ", collapsed" if x1 > ZONE else ""
        parts.append(
            f"{trail.run} from uniformity {x0:.2f}, alignment {y0:.2f} at step {first} to {x1:.2f}, {y1:.2f} at step "
            f"{last}{collapsed}"
        )
    return f"Alignment against uniformity: {'; '.join(parts)}."
