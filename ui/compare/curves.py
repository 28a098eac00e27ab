"""Curves of several arms laid over each other: pure functions from records to plotly dicts."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
from numpy.typing import ArrayLike

from cpc_engine.comparison.arms import MIN_SEEDS
from cpc_engine.comparison.forks import CONTROL, SHARE, Difference, recorded
from cpc_engine.evaluation.intervals import half_widths
from cpc_engine.evaluation.metric_info import METRICS
from cpc_engine.sources import SOURCES
from cpc_engine.terms import ITEM_NOUNS

from ..drawing.charts import Figure, Floats, Series, downsample, line_figure, smooth
from ..drawing.curves import TABLE
from ..drawing.palette import GRAY, Style

Axis = Literal["step", "seconds"]
Seeds = Literal["each", "range", "interval"]
CURVES = tuple(name for name, metric in METRICS.items() if metric.curve)
AXES: dict[Axis, str] = {"step": "step", "seconds": "training time (s)"}
POINTS = 1800  # of one chart, all curves together: a refresh stays below 100 KB
GRID = 300  # points of a mean
PLAIN = ("share", "0…1")  # units that say nothing beside a difference
LONGEST = 44  # characters that a chart of a third of the page's width has room for
PAIRED = (
    "The two sides of a pair have the same weights, data order and random numbers, so their difference is what the "
    "change did. Pairs begin alike and go on with other data and other random numbers each. The line is the mean over "
    f"pairs. The band at each step is the 95 % interval of that mean, with fewer than {MIN_SEEDS} pairs their range; "
    "at 1 step of 20 it leaves the truth by chance. The verdict is about the last step."
)


@dataclass(frozen=True)
class Curve:
    """One run's values of one metric, in rising order of `x`.

    `means` is the curve behind lines of means, where x and y themselves are lows and highs of a longer curve.
    """

    x: Floats
    y: Floats
    means: Curve | None = None


@dataclass(frozen=True)
class Bundle:
    """The curves of one arm, one per run."""

    name: str
    style: Style
    curves: list[Curve]


def run_curve(records: Sequence[dict[str, Any]], metric: str, axis: Axis, modality: str = "") -> Curve:
    """One metric of CURVES of one run, of all modalities together or of one.

    A record that lacks it leaves no point, a broken number a gap.
    """
    from cpc_engine.storage.thinning import means

    def curve(rows: Sequence[dict[str, Any]], averaged: Curve | None) -> Curve:
        points = [(row[axis], value) for row in rows if axis in row for value in _values(row, metric, modality)]
        x, y = np.array(points, dtype=np.float64).reshape(-1, 2).T
        return Curve(x, y, averaged)

    thinned = METRICS[metric].curve == "training" and any("mean" in record for record in records)
    return curve(records, curve(means(records), None) if thinned else None)


def curves_figure(
    bundles: Sequence[Bundle], metric: str, axis: Axis, seeds: Seeds, smoothed: bool, modality: str = ""
) -> Figure:
    """Curves of arms: each run's own, or their mean with the range or the 95 % interval of its seeds."""
    title = METRICS[metric].title + (f": {ITEM_NOUNS[modality][1]}" if modality else "")
    lines: list[Series] = []
    owners: list[str] = []  # the bundle of each line
    faint: list[Figure] = []
    count = sum(len(bundle.curves) if seeds == "each" else 3 for bundle in bundles) * (2 if smoothed else 1)
    limit = min(600, max(40, POINTS // max(count, 1)))
    for bundle in bundles:
        curves = [curve for curve in bundle.curves if len(curve.x)]
        if seeds != "each" and len(curves) > 1:
            x, mean, low, high = _band([curve.means or curve for curve in curves], seeds)
            ends = ("lowest seed", "highest seed") if seeds == "range" else ("95 % from", "95 % to")
            faint += _band_traces(bundle.name, bundle.style, x, low, high, ends)
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
            owners.append(bundle.name)
    figure = line_figure(lines, AXES[axis], axis_title(metric, modality), title)
    for trace, owner in zip(figure["data"], owners, strict=True):
        trace["legendgroup"] = owner
    figure["data"] = faint + figure["data"]
    figure["layout"]["margin"]["t"] = 44 + 26 * min(math.ceil(sum(len(line.name) + 8 for line in lines) / 44), 4)
    return figure


def differences_figure(curves: Sequence[tuple[str, Style, Difference]]) -> Figure:
    """Child − control of one metric over the steps: a line with its band for each fork, and the control at zero.

    Args:
        curves: (name, look, difference) of each fork, all of one metric.
    """
    metric = curves[0][2].metric
    source = metric.removeprefix(SHARE)
    shares = metric.startswith(SHARE)
    scale = 100 if shares or metric == "accuracy" else 1
    what = f"Share of {SOURCES[source].label.partition(' (')[0]}" if shares else METRICS[metric].title
    unit = "points of 100" if scale == 100 else METRICS[metric].unit if METRICS[metric].unit not in PLAIN else ""
    title = f"{what}: fork − control"
    ends = [int(curve.steps[index]) for _, _, curve in curves for index in (0, -1)]
    lines = [Series(CONTROL, [min(ends), max(ends)], [0, 0], Style(GRAY, "line-ew", "dash"))]
    bands: list[Figure] = []
    for name, style, curve in curves:
        shown = np.unique(np.linspace(0, len(curve.steps) - 1, GRID).round().astype(int))
        steps = curve.steps[shown]
        if curve.band is not None:
            low, high = (scale * end[shown] for end in curve.band)
            bands += _band_traces(name, style, steps, low, high, (f"{curve.covers} from", f"{curve.covers} to"))
        lines.append(Series(name, steps, scale * curve.mean[shown], style))
    figure = line_figure(lines, "step", f"Δ {unit}".strip(), title if len(title) <= LONGEST else what)
    figure["data"][0] |= {"mode": "lines", "hoverinfo": "skip", "line": {"color": GRAY, "dash": "dash", "width": 1.5}}
    figure["data"] = bands + figure["data"]
    return figure


def axis_title(metric: str, modality: str = "") -> str:
    """What the y axis says: the unit, and which way is better."""
    if metric == "loss":
        return "InfoNCE loss (nats)" if modality else "total loss (nats)"
    described = METRICS[metric]
    if metric == "accuracy":
        return f"{described.title} (%)"
    return described.unit + (f" ({described.arrow} better)" if described.arrow else "")


def _values(record: dict[str, Any], metric: str, modality: str) -> list[float]:
    value = recorded(record, metric, modality)
    return [] if value is None else [100 * value if metric == "accuracy" else value]


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
    half = half_widths(values)
    return x, mean, mean - half, mean + half


def _band_traces(
    name: str, style: Style, x: ArrayLike, low: Floats, high: Floats, ends: tuple[str, str]
) -> list[Figure]:
    both: list[Figure] = line_figure(
        [Series(f"{name}: {end}", x, y) for end, y in zip(ends, (low, high), strict=True)], "", ""
    )["data"]
    for trace in both:
        trace |= {"mode": "lines", "showlegend": False, "hoverinfo": "skip", "legendgroup": name, "meta": TABLE}
        trace["line"] = {"width": 0, "color": style.color}
        trace.pop("hovertemplate")
    both[1] |= {"fill": "tonexty", "fillcolor": f"{style.color}33"}
    return both


def _faint(trace: Figure) -> Figure:
    line = {"color": trace["line"]["color"], "width": 1}
    trace = trace | {"opacity": 0.35, "showlegend": False, "hoverinfo": "skip", "mode": "lines", "line": line}
    trace.pop("hovertemplate")
    return trace
