"""One colour, shape and dash for each thing the lab draws, the same on every page.

Hues are Okabe and Ito's, told apart under the common colour-vision deficiencies. Colour never stands alone: sources
also have a marker and a dash, classes a marker. Black and yellow of the original eight are replaced by a grey and an
ochre, since each of them vanishes on one of the two backgrounds. `.streamlit/config.toml` lists the same eight.
"""

from __future__ import annotations

from dataclasses import dataclass

BLUE, ORANGE, GREEN, PURPLE = "#0072b2", "#e69f00", "#009e73", "#cc79a7"
VERMILION, SKY, GREY, OCHRE = "#d55e00", "#56b4e9", "#8c8c8c", "#b3a000"

COLORS = (BLUE, ORANGE, GREEN, PURPLE, VERMILION, SKY, GREY, OCHRE)
SYMBOLS = ("circle", "square", "diamond", "triangle-up", "x", "cross", "triangle-down", "star")
DASHES = ("solid", "dash", "dot", "dashdot", "longdash", "longdashdot")  # what plotly.js draws


@dataclass(frozen=True)
class Style:
    """How one thing is drawn; the names are plotly's."""

    color: str
    symbol: str
    dash: str = "solid"


SOURCES: dict[str, Style] = {
    "in_batch": Style(BLUE, "circle", "solid"),
    "queue": Style(ORANGE, "square", "dash"),
    "perturbed": Style(GREEN, "diamond", "dot"),
    "shuffled": Style(PURPLE, "triangle-up", "dashdot"),
    "cross_modal": Style(VERMILION, "x", "longdash"),
}
MODALITIES: dict[str, Style] = {"audio": Style(BLUE, "circle", "solid"), "image": Style(ORANGE, "square", "dash")}
KINDS = {"audio": "sound", "image": "picture"}  # what one item of a modality is called
UNLABELLED = Style(GREY, "circle-open")


def class_style(index: int) -> Style:
    """The style of class `index`: eight colours, each with its own shape, and new pairs of the two up to 64 classes."""
    return Style(COLORS[index % len(COLORS)], SYMBOLS[(index + index // len(COLORS)) % len(SYMBOLS)])


def series_style(index: int) -> Style:
    """The style of the `index`-th of several equal curves, such as runs laid over each other."""
    return Style(COLORS[index % len(COLORS)], SYMBOLS[index % len(SYMBOLS)], DASHES[index % len(DASHES)])
