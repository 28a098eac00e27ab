"""One color, shape and dash for each thing the lab draws, the same on every page.

Hues are Okabe and Ito's, told apart under the common color-vision deficiencies. Color never stands alone: sources
also have a marker and a dash, classes a marker. Black and yellow of the original eight are replaced by a gray and an
ochre, since each of them vanishes on one of the two backgrounds. `.streamlit/config.toml` lists the same eight.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

from cpc_engine.sources import SOURCES
from cpc_engine.terms import MODALITIES

BLUE, ORANGE, GREEN, PURPLE = "#0072b2", "#e69f00", "#009e73", "#cc79a7"
VERMILION, SKY, GRAY, OCHRE = "#d55e00", "#56b4e9", "#8c8c8c", "#b3a000"

COLORS = (BLUE, ORANGE, GREEN, PURPLE, VERMILION, SKY, GRAY, OCHRE)
SYMBOLS = ("circle", "square", "diamond", "triangle-up", "x", "cross", "triangle-down", "star")
DASHES = ("solid", "dash", "dot", "dashdot", "longdash", "longdashdot")  # what plotly.js draws


@dataclass(frozen=True)
class Style:
    """How one thing is drawn; the names are plotly's."""

    color: str
    symbol: str
    dash: str = "solid"


def series_style(index: int) -> Style:
    """The style of the `index`-th of several equal curves, such as runs laid over each other."""
    return Style(COLORS[index % len(COLORS)], SYMBOLS[index % len(SYMBOLS)], DASHES[index % len(DASHES)])


def class_style(index: int) -> Style:
    """The style of class `index`: eight colors, each with its own shape, and new pairs of the two up to 64 classes."""
    return Style(COLORS[index % len(COLORS)], SYMBOLS[(index + index // len(COLORS)) % len(SYMBOLS)])


# Colors of the sources are named in the engine's registry; shape and dash follow their order there.
_HUES = dict(zip(("blue", "orange", "green", "purple", "vermilion", "sky", "gray", "ochre"), COLORS, strict=True))
SOURCE_STYLES: dict[str, Style] = {
    name: replace(series_style(index), color=_HUES[source.color])
    for index, (name, source) in enumerate(SOURCES.items())
}
MODALITY_STYLES: dict[str, Style] = {name: series_style(index) for index, name in enumerate(MODALITIES)}
UNLABELED = Style(GRAY, "circle-open")
