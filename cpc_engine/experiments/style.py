"""How figures look: hues (Okabe and Ito's) that the common colour-vision deficiencies tell apart, never alone."""

from __future__ import annotations

from typing import Any

# The values of the app's palette, which the engine may not import.
COLORS = ("#0072b2", "#e69f00", "#009e73", "#cc79a7", "#d55e00", "#56b4e9", "#8c8c8c", "#b3a000")
MARKERS = ("o", "s", "D", "^", "X", "P", "v", "*")
LINES = ("-", "--", ":", "-.")
_CYCLE = 7  # as many as the ablation has sources: there a colour is a source and a dash says whether it is masked


def line_style(index: int) -> dict[str, Any]:
    """Colour and dash of the `index`-th arm, as matplotlib takes them."""
    return {"color": COLORS[index % _CYCLE], "linestyle": LINES[index // _CYCLE % len(LINES)]}


def class_marker(index: int) -> tuple[str, str]:
    """(colour, marker) of a class: eight pairs, then new pairs of the same."""
    return COLORS[index % len(COLORS)], MARKERS[(index + index // len(COLORS)) % len(MARKERS)]
