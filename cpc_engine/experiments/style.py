"""Style of figures: Okabe-Ito colors, safe for color-vision deficiencies, always combined with a dash or a marker."""

from __future__ import annotations

from typing import Any

# The same values as in the palette of the app, which the engine must not import.
COLORS = ("#0072b2", "#e69f00", "#009e73", "#cc79a7", "#d55e00", "#56b4e9", "#8c8c8c", "#b3a000")
MARKERS = ("o", "s", "D", "^", "X", "P", "v", "*")
LINES = ("-", "--", ":", "-.")
_CYCLE = 7  # colors before the dash changes; gray and the second yellow are hard to tell as lines


def line_style(index: int) -> dict[str, Any]:
    """Return the color and dash of the `index`-th arm as matplotlib arguments.

    Example:
        >>> line_style(0)
        {'color': '#0072b2', 'linestyle': '-'}
    """
    return {"color": COLORS[index % _CYCLE], "linestyle": LINES[index // _CYCLE % len(LINES)]}


def class_marker(index: int) -> tuple[str, str]:
    """Return (color, marker) of the `index`-th class; 64 different pairs."""
    return COLORS[index % len(COLORS)], MARKERS[(index + index // len(COLORS)) % len(MARKERS)]
