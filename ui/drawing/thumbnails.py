"""Small drawings of a run for a card: its curve and its map, as SVG text in the page's own colors."""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np
from numpy.typing import ArrayLike

from .charts import downsample
from .palette import BLUE, class_style

WIDTH, HEIGHT = 150, 84
DOTS = 220  # most points of a small map
# Plotly's markers, about as large as a circle of radius 1.
SHAPES = {
    "circle": "M-1 0a1 1 0 1 0 2 0a1 1 0 1 0-2 0",
    "square": "M-.9-.9H.9V.9H-.9z",
    "diamond": "M0-1.2 1.2 0 0 1.2-1.2 0z",
    "triangle-up": "M0-1.2 1.1.8H-1.1z",
    "triangle-down": "M0 1.2 1.1-.8H-1.1z",
    "x": "M-1.1-.6-.6-1.1 0-.5.6-1.1 1.1-.6.5 0 1.1.6.6 1.1 0 .5-.6 1.1-1.1.6-.5 0z",
    "cross": "M-.4-1.2H.4V-.4H1.2V.4H.4V1.2H-.4V.4H-1.2V-.4H-.4z",
    "star": "M0-1.3 .4-.4 1.3-.3.6.3.8 1.2 0 .7-.8 1.2-.6.3-1.3-.3-.4-.4z",
}


def curve_svg(values: Sequence[float | None]) -> str:
    """A loss curve without axes; empty where there is nothing to draw."""
    numbers = np.array([math.nan if value is None else value for value in values], dtype=np.float64)
    numbers = numbers[np.isfinite(numbers)]
    if len(numbers) < 2:
        return _frame("", "no curve yet")
    x, y = downsample(np.arange(len(numbers), dtype=np.float64), numbers, 120)
    low, high = y.min(), y.max()
    across = 4 + (WIDTH - 8) * x / x[-1]
    down = 6 + (HEIGHT - 12) * (high - y) / ((high - low) or 1.0)
    points = " ".join(f"{a:.1f},{b:.1f}" for a, b in zip(across, down, strict=True))
    line = f'<polyline points="{points}" fill="none" stroke="{BLUE}" stroke-width="2.5" stroke-linejoin="round"/>'
    return _frame(line, f"loss from {numbers[0]:.3g} to {numbers[-1]:.3g}")


def map_svg(xy: ArrayLike, labels: Sequence[int]) -> str:
    """A map's dots by class."""
    positions = np.asarray(xy, dtype=np.float64).reshape(-1, 2)
    if len(positions) < 2:
        return _frame("", "no map yet")
    rows = np.linspace(0, len(positions) - 1, min(DOTS, len(positions))).round().astype(int)
    low, high = positions.min(0), positions.max(0)
    scale = min((WIDTH - 12) / ((high - low)[0] or 1.0), (HEIGHT - 12) / ((high - low)[1] or 1.0))
    middle = (low + high) / 2
    across = WIDTH / 2 + scale * (positions[:, 0] - middle[0])
    down = HEIGHT / 2 - scale * (positions[:, 1] - middle[1])
    dots = "".join(dot(across[row], down[row], 2.2, int(labels[row])) for row in rows.tolist())
    return _frame(dots, f"map of {len(positions)} items")


def dot(x: float, y: float, r: float, label: int) -> str:
    """One item of class `label`, in the color and the shape that it has on every map."""
    style = class_style(label)
    path = SHAPES[style.symbol]
    where = f"translate({x:.1f} {y:.1f}) scale({r:g})"
    return f'<path d="{path}" transform="{where}" fill="{style.color}" fill-opacity="0.85"/>'


def side_by_side(left: str, right: str) -> str:
    """Two small drawings in one row."""
    return f'<div style="display: grid; grid-template-columns: 1fr 1fr; gap: 8px">{left}{right}</div>'


def _frame(inside: str, text: str) -> str:
    empty = f'<text x="{WIDTH / 2}" y="{HEIGHT / 2 + 4}" text-anchor="middle" font-size="12">{text}</text>'
    return (
        f'<svg viewBox="0 0 {WIDTH} {HEIGHT}" role="img" aria-label="{text}" fill="currentColor">'
        f'<rect x="0.5" y="0.5" width="{WIDTH - 1}" height="{HEIGHT - 1}" rx="6" fill="none" stroke="currentColor" '
        f'stroke-opacity="0.2"/>{inside or empty}</svg>'
    )
