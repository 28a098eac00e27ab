"""The picture on the start page: what one real run learned."""

from __future__ import annotations

from collections.abc import Sequence
from html import escape

import numpy as np
from numpy.typing import ArrayLike

from .charts import downsample
from .palette import BLUE
from .thumbnails import dot

WIDTH, HEIGHT = 340, 230  # about a phone's width, so that 14 stays 14 pixels there
TOP, LEFT, RIGHT, BOTTOM = 34, 44, 12, 34
DOTS = 300
NAMES = 10  # classes that fit into the legend


def run_picture(
    steps: ArrayLike, losses: ArrayLike, layout: ArrayLike, labels: Sequence[int], classes: Sequence[str]
) -> str:
    """A run's loss and its map, beside each other where there is room; finite losses, two or more."""
    return (
        '<div style="display: grid; grid-template-columns: repeat(auto-fit, minmax(min(18rem, 100%), 1fr)); gap: 16px; '
        f'max-width: 56rem">{_curve(steps, losses)}{_map(layout, labels, classes)}</div>'
    )


def _curve(steps: ArrayLike, losses: ArrayLike) -> str:
    x, y = downsample(steps, losses, 200)
    low, high = float(y.min()), float(y.max())
    across = LEFT + (WIDTH - LEFT - RIGHT) * (x - x[0]) / ((x[-1] - x[0]) or 1.0)
    down = TOP + (HEIGHT - TOP - BOTTOM) * (high - y) / ((high - low) or 1.0)
    points = " ".join(f"{a:.1f},{b:.1f}" for a, b in zip(across, down, strict=True))
    floor = HEIGHT - BOTTOM
    body = (
        f'<path d="M{LEFT} {TOP}V{floor}H{WIDTH - RIGHT}" fill="none" stroke="currentColor" stroke-opacity="0.35"/>'
        f'<polyline points="{points}" fill="none" stroke="{BLUE}" stroke-width="2.5" stroke-linejoin="round"/>'
        f'<text x="{LEFT - 6}" y="{TOP + 6}" text-anchor="end">{high:.1f}</text>'
        f'<text x="{LEFT - 6}" y="{floor}" text-anchor="end">{low:.1f}</text>'
        f'<text x="{LEFT}" y="{HEIGHT - 12}">step {x[0]:.0f}</text>'
        f'<text x="{WIDTH - RIGHT}" y="{HEIGHT - 12}" text-anchor="end">{x[-1]:.0f}</text>'
    )
    return _frame("Loss while it learned (nats)", body, f"Loss from {y[0]:.2f} to {y[-1]:.2f} over {x[-1]:.0f} steps.")


def _map(layout: ArrayLike, labels: Sequence[int], classes: Sequence[str]) -> str:
    positions = np.asarray(layout, dtype=np.float64).reshape(-1, 2)
    rows = np.linspace(0, len(positions) - 1, min(DOTS, len(positions))).round().astype(int)
    low, high = positions.min(0), positions.max(0)
    legend = [_short(name) for name in classes[:NAMES]] if len(classes) <= NAMES else []
    floor = HEIGHT - (BOTTOM if legend else 8)
    scale = min((WIDTH - 16) / ((high - low)[0] or 1.0), (floor - TOP - 8) / ((high - low)[1] or 1.0))
    middle = (low + high) / 2
    across = WIDTH / 2 + scale * (positions[:, 0] - middle[0])
    down = (TOP + floor) / 2 - scale * (positions[:, 1] - middle[1])
    dots = "".join(dot(across[row], down[row], 3, int(labels[row])) for row in rows.tolist())
    place = (WIDTH - 8) / max(len(legend), 1)
    names = "".join(
        f"{dot(10 + place * i, HEIGHT - 17, 5, i)}"
        f'<text x="{19 + place * i:.0f}" y="{HEIGHT - 12}">{escape(name)}</text>'
        for i, name in enumerate(legend)
    )
    spoken = f"Map of {len(positions)} items that it never trained on, colored by class."
    return _frame("Where unseen items land", dots + names, spoken)


def _short(name: str) -> str:
    return name if len(name) <= 9 else f"{name[:8]}…"


def _frame(title: str, body: str, spoken: str) -> str:
    return (
        f'<svg viewBox="0 0 {WIDTH} {HEIGHT}" role="img" aria-label="{escape(spoken)}" fill="currentColor" '
        f'font-size="14" font-family="inherit"><text x="4" y="18" font-weight="600">{title}</text>{body}</svg>'
    )
