"""How similar candidates are, step by step, and how far queued latents have drifted, age by age."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np

from cpc_engine.sources import SOURCES

from ..drawing.charts import Figure, Series, line_figure
from ..drawing.curves import TABLE
from ..drawing.palette import GRAY, SOURCE_STYLES, Style
from ..drawing.text import source_label

if TYPE_CHECKING:
    from cpc_engine.anatomy.over_time import Distribution, Staleness

RIDGE, AROUND = 66, 92  # pixels of one step, of title and axis
POSITIVE = Style(GRAY, "circle")


def ridge_figure(found: Sequence[Distribution], source: str) -> Figure:
    """How often a source's candidates (filled) and positives (gray) have each similarity, a row per step.

    Each curve is relative to its own peak: positives can be so alike that nothing else would be seen beside them.

    Args:
        found: in the order of the rows, from top to bottom; those without candidates of the source are left out.
    """
    rows = _with(found, source)
    style = SOURCE_STYLES[source]
    title = f"{source_label(source)}; positives gray"
    figure = line_figure([], "similarity to the anchor", "", title)
    layout, height = figure["layout"], 1 / max(len(rows), 1)
    for index, row in enumerate(rows):
        axis, top = f"{index + 1}" if index else "", 1 - index * height
        edges = row.edges.numpy().astype(np.float64)
        centers = (edges[1:] + edges[:-1]) / 2
        for name, counts, one in (
            (source_label(source), row.sources[source], style),
            ("positive", row.positive, POSITIVE),
        ):
            density = counts.numpy().astype(np.float64) / float(counts.max())
            [trace] = line_figure([Series(f"{name}, step {row.step}", centers, density, one)], "", "")["data"]
            trace |= {"mode": "lines", "showlegend": False, "meta": TABLE, "yaxis": f"y{axis}", "xaxis": "x"}
            trace["line"] = {"color": one.color, "width": 1.5}
            if one is style:
                trace |= {"fill": "tozeroy", "fillcolor": f"{one.color}66"}
            figure["data"].append(trace)
        layout[f"yaxis{axis}"] = {
            "title": {"text": f"step {row.step:,}", "standoff": 2, "font": {"size": 12}},
            "domain": [top - 0.86 * height, top],
            "range": [0, 1.05],
            "tickvals": [],
            "showgrid": False,
            "fixedrange": True,
        }
    last = f"y{len(rows)}" if len(rows) > 1 else "y"
    layout["xaxis"] |= {"anchor": last, "range": [float(rows[0].edges[0]), float(rows[0].edges[-1])]} if rows else {}
    layout |= {"hovermode": "closest", "showlegend": False}
    layout["margin"] |= {"l": 36, "t": 40, "b": 44}
    return figure


def closer_figure(found: Sequence[Distribution]) -> Figure:
    """Which part of each source's candidates is more similar to the anchor than its positive, at each step."""
    series = []
    for name in SOURCES:
        rows = _with(found, name)
        if rows:
            shares = [100 * row.closer[name] / float(row.sources[name].sum()) for row in rows]
            series.append(Series(source_label(name), [row.step for row in rows], shares, SOURCE_STYLES[name]))
    figure = line_figure(series, "step", "% of the candidates", "Closer than the positive")
    figure["layout"]["yaxis"] |= {"rangemode": "tozero"}
    return figure


def _with(found: Sequence[Distribution], source: str) -> list[Distribution]:
    """The steps that have candidates of a source."""
    return [row for row in found if source in row.sources and float(row.sources[source].sum()) > 0]


def ridge_height(figure: Figure) -> int:
    """Pixels that a figure of ridges needs."""
    rows = [name for name in figure["layout"] if name.startswith("yaxis")]
    return AROUND + RIDGE * len(rows)


def ridge_words(found: Sequence[Distribution], source: str) -> str:
    """A text alternative: mean similarities at the first and the last step that have candidates of the source.

    Switches are turned while a run trains, so a source need not be there at every step.
    """
    label, rows, parts = source_label(source), _with(found, source), []
    if not rows:
        return f"{label}: no candidates at any of these steps."
    for row in (rows[0], *rows[1:][-1:]):
        centers = (row.edges[1:] + row.edges[:-1]) / 2
        means = [float((centers * c).sum() / c.sum().clamp(min=1)) for c in (row.sources[source], row.positive)]
        parts.append(f"at step {row.step} negatives {means[0]:.2f}, positives {means[1]:.2f}")
    return f"Similarities of {label.lower()} negatives and of positives: on average {'; '.join(parts)}."


def age_figure(found: Staleness, step: int) -> Figure:
    """Cosine of queued latents to the same encoded again, by age: median, 5th and 95th percentile."""
    ages = sorted(set(found.ages.tolist()))
    groups = [found.cosines[found.ages == age].numpy() for age in ages]
    low, median, high = (np.array([np.quantile(group, q) for group in groups]) for q in (0.05, 0.5, 0.95))
    style = SOURCE_STYLES["queue"]
    figure = line_figure(
        [Series("median", ages, median, style)], "age (steps)", "cosine", f"Queue at step {step:,}, by age"
    )
    if len(ages) < 12:
        figure["layout"]["xaxis"] |= {"dtick": 1}
    band = line_figure([Series("5 %", ages, low, style), Series("95 %", ages, high, style)], "", "")["data"]
    for trace in band:
        trace |= {"mode": "lines", "showlegend": False, "meta": TABLE, "line": {"color": style.color, "width": 0}}
    band[1] |= {"fill": "tonexty", "fillcolor": f"{style.color}33"}
    figure["data"] = [*band, *figure["data"]]
    return figure
