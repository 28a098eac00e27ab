"""Curves of several settings laid over each other: pure functions from records to plotly dicts."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np

from .charts import Figure, Floats, Series, downsample, line_figure, smooth
from .curves import MODALITY_WORDS, TABLE
from .palette import Style

Axis = Literal["step", "seconds"]
Seeds = Literal["each", "range", "interval"]
CURVES = {
    "loss": ("Loss", "total loss (nats)"),
    "accuracy": ("Picking the true future", "anchors (%)"),
    "alignment": ("Alignment", "distance² (↓ better)"),
    "uniformity": ("Uniformity", "log similarity (↓ better)"),
    "effective_rank": ("Effective rank", "directions (↑ better)"),
}
AXES: dict[Axis, str] = {"step": "step", "seconds": "training time (s)"}
POINTS = 1800  # of one chart, all curves together: a refresh stays below 100 KB
GRID = 300  # points of a mean
LONGEST = 60  # letters of a name on a chart


@dataclass(frozen=True)
class Curve:
    """One run's values of one measure, in rising order of `x`.

    `means` is the curve behind lines of means, where x and y themselves are lows and highs of a longer curve.
    """

    x: Floats
    y: Floats
    means: Curve | None = None


@dataclass(frozen=True)
class Bundle:
    """The curves of one setting, one per run."""

    name: str
    style: Style
    curves: list[Curve]


def plain_name(name: str) -> str:
    """A name as plotly shows it letter by letter, where it would take <b> for bold; long ones are cut."""
    name = name if len(name) <= LONGEST else f"{name[: LONGEST - 1]}…"
    return name.replace("<", "‹").replace(">", "›")


def run_curve(records: Sequence[dict[str, Any]], measure: str, axis: Axis, modality: str = "") -> Curve:
    """One measure (a key of CURVES) of one run, of all modalities together or of one.

    A record that lacks it leaves no point, a broken number a gap.
    """
    from cpc_engine.runs.live import means

    def curve(rows: Sequence[dict[str, Any]], averaged: Curve | None) -> Curve:
        points = [(row[axis], value) for row in rows if axis in row for value in _values(row, measure, modality)]
        x, y = np.array(points, dtype=np.float64).reshape(-1, 2).T
        return Curve(x, y, averaged)

    thinned = measure in ("loss", "accuracy") and any("mean" in record for record in records)
    return curve(records, curve(means(records), None) if thinned else None)


def curves_figure(
    bundles: Sequence[Bundle], measure: str, axis: Axis, seeds: Seeds, smoothed: bool, modality: str = ""
) -> Figure:
    """Curves of settings: each run's own, or their mean with the range or the 95 % interval of its seeds."""
    title, unit = CURVES[measure]
    if modality:
        title, unit = f"{title}: {MODALITY_WORDS[modality]}", unit.removeprefix("total ")
    lines: list[Series] = []
    faint: list[Figure] = []
    count = sum(len(bundle.curves) if seeds == "each" else 3 for bundle in bundles) * (2 if smoothed else 1)
    limit = min(600, max(40, POINTS // max(count, 1)))
    for bundle in bundles:
        curves = [curve for curve in bundle.curves if len(curve.x)]
        if seeds != "each" and len(curves) > 1:
            x, mean, low, high = _band([curve.means or curve for curve in curves], seeds)
            faint += _band_traces(bundle, x, low, high, seeds)
            curves = [Curve(x, mean)]
        for index, curve in enumerate(curves):
            x, y = curve.x, curve.y
            if smoothed and len(y) > 20:
                raw = line_figure([Series(bundle.name, *downsample(x, y, limit), bundle.style)], "", "")["data"]
                faint += [_faint(trace) for trace in raw]
                drawn = curve.means or curve
                x, y = drawn.x, smooth(drawn.y)
            name = bundle.name if index == 0 else f"{bundle.name} ({index + 1})"
            lines.append(Series(name, *downsample(x, y, limit), bundle.style))
    figure = line_figure(lines, AXES[axis], unit, title)
    for trace, line in zip(figure["data"], lines, strict=True):
        bundle = next(b for b in bundles if line.name.startswith(b.name))
        trace["legendgroup"] = bundle.name
    figure["data"] = faint + figure["data"]
    figure["layout"]["margin"]["t"] = 44 + 26 * min(math.ceil(sum(len(line.name) + 8 for line in lines) / 44), 4)
    return figure


def _values(record: dict[str, Any], measure: str, modality: str) -> list[float]:
    parts = record.get("modalities", {})
    if modality:
        parts = {modality: parts[modality]} if modality in parts else {}
    if measure == "loss":
        return [_number(part.get("loss")) for part in parts.values()] if modality else [_number(record.get("loss"))]
    if measure == "accuracy":
        values = [_number(part.get("accuracy")) for part in parts.values()]
        return [100 * sum(values) / len(values)] if values else []
    geometry = record.get("geometry") or {}
    name = f"{modality}.{measure}" if modality else measure
    return [_number(geometry[name])] if name in geometry else []


def _number(value: float | None) -> float:
    return math.nan if value is None else float(value)


def _band(curves: Sequence[Curve], seeds: Seeds) -> tuple[Floats, Floats, Floats, Floats]:
    """(x, mean, low, high) as far as all curves go; between recorded points they are taken as straight."""
    start, end = max(curve.x[0] for curve in curves), min(curve.x[-1] for curve in curves)
    x = curves[0].x[(curves[0].x >= start) & (curves[0].x <= end)]
    if len(x) > GRID or len(x) < 2:
        x = np.linspace(start, end, GRID if len(x) > GRID else 2)
    values = np.stack([np.interp(x, curve.x, curve.y) for curve in curves])
    mean = values.mean(0)
    if seeds == "range":
        return x, mean, values.min(0), values.max(0)
    from scipy.special import stdtrit

    half = stdtrit(len(curves) - 1, 0.975) * values.std(0, ddof=1) / math.sqrt(len(curves))
    return x, mean, mean - half, mean + half


def _band_traces(bundle: Bundle, x: Floats, low: Floats, high: Floats, seeds: Seeds) -> list[Figure]:
    ends = ("lowest seed", "highest seed") if seeds == "range" else ("95 % from", "95 % to")
    names = [f"{bundle.name}: {end}" for end in ends]
    both = line_figure([Series(name, x, y) for name, y in zip(names, (low, high), strict=True)], "", "")["data"]
    for trace in both:
        trace |= {"mode": "lines", "showlegend": False, "hoverinfo": "skip", "legendgroup": bundle.name, "meta": TABLE}
        trace["line"] = {"width": 0, "color": bundle.style.color}
        trace.pop("hovertemplate")
    both[1] |= {"fill": "tonexty", "fillcolor": f"{bundle.style.color}33"}
    return both


def _faint(trace: Figure) -> Figure:
    line = {"color": trace["line"]["color"], "width": 1}
    trace = trace | {"opacity": 0.35, "showlegend": False, "hoverinfo": "skip", "mode": "lines", "line": line}
    trace.pop("hovertemplate")
    return trace
