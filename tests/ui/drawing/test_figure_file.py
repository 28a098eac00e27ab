"""Figures for papers: every kind of chart of the app, in each format, with the reader's names."""

from __future__ import annotations

import io
import xml.etree.ElementTree as ElementTree
from typing import Any

import numpy as np
import pytest
from PIL import Image

from cpc_engine.comparison.standings import Grid, Standing
from cpc_engine.config import RunConfig
from cpc_engine.errors import ConfigError
from ui.compare.curves import Bundle, Curve, curves_figure
from ui.components.beside.dots import dots_figure, dots_spoken, grid_figure
from ui.drawing.charts import Figure, Series, line_figure, stacked_figure
from ui.drawing.figure_file import Look, figure_file, legend_of
from ui.drawing.map_figure import amounts_figure, groups_figure
from ui.drawing.palette import series_style
from ui.drawing.panel_stack import panels_figure
from ui.drawing.panels import panels_of

X = np.arange(30.0)
RECORD: dict[str, Any] = {
    "step": 1,
    "loss": 2.0,
    "geometry": {"spread": 0.9, "alignment": 0.5, "uniformity": -2.0},
    "modalities": {
        "audio": {
            "loss": 2.0,
            "accuracy": 0.5,
            "sources": {
                "in_batch": {"share": 0.6, "count": 9, "masked": 1},
                "queue": {"share": 0.4, "count": 5, "masked": 0},
            },
        }
    },
}
STANDINGS = [
    Standing("A", "A · $x$ <b>off", {0: 0.8, 1: 0.9}, 0.85, 0.1, "seeds", 0.4),
    Standing("B", "B · on", {}, None, None, "", None),
]
FIGURES: dict[str, Figure] = {
    "lines": line_figure([Series("a $x$", X, X), Series("b", X, np.where(X == 3, np.nan, -X))], "step", "loss", "Loss"),
    "areas": stacked_figure([Series("a", X, X), Series("b", X, 100 - X)], "step", "%", "Share"),
    "panels": panels_figure(panels_of([RECORD, RECORD | {"step": 2}], RunConfig()), 10, [{"kind": "pause", "step": 1}]),
    "bands": curves_figure(
        [Bundle("A", series_style(0), [Curve(X, X), Curve(X, X + 1)])], "loss", "step", "range", True
    ),
    "map": groups_figure(np.random.rand(20, 2), np.arange(20) % 3, ["a", "b"], ["audio"] * 19 + ["image"], "Map"),
    "amounts": amounts_figure(np.random.rand(20, 2), np.random.rand(20), "cosine", None, "Map"),
    "dots": dots_figure(STANDINGS, "probe"),
    "grid": grid_figure(Grid(("τ", ["0.1", "0.2"]), ("σ", ["1", "2", "3"]), {(0, 0): 0.5, (1, 2): 0.9}), "alignment"),
}


@pytest.mark.parametrize("name", FIGURES)
def test_every_chart_becomes_a_figure_of_the_size_that_was_asked_for(name: str) -> None:
    picture = Image.open(io.BytesIO(figure_file(FIGURES[name], Look(10.0, 18.0, 8.0), "PNG")))
    assert picture.width == pytest.approx(10 / 2.54 * 300, abs=2)
    assert picture.height == pytest.approx(18 / 2.54 * 300, abs=2)
    assert len(np.unique(np.asarray(picture.convert("L")))) > 5, "something is drawn"
    assert figure_file(FIGURES[name], Look(12.0, 18.0), "PDF").startswith(b"%PDF")


def test_a_figure_without_room_for_its_letters_is_refused() -> None:
    with pytest.raises(ConfigError, match="larger"):
        figure_file(FIGURES["panels"], Look(4.0, 3.0, 24.0), "SVG")


def test_text_stays_text_and_names_are_the_readers_own() -> None:
    look = Look(names={"a $x$": "with queue"})
    words = "".join(ElementTree.fromstring(figure_file(FIGURES["lines"], look, "SVG")).itertext())
    for word in ("Loss", "step", "with queue", "b"):
        assert word in words
    assert "a $x$" not in words
    assert "$x$" in "".join(ElementTree.fromstring(figure_file(FIGURES["dots"], Look(), "SVG")).itertext())
    assert legend_of(FIGURES["lines"]) == ["a $x$", "b"]
    assert legend_of(FIGURES["dots"]) == ["single seeds", "untrained network"]


def test_a_dot_plot_says_in_words_what_it_shows() -> None:
    text = dots_spoken(STANDINGS, "probe")
    assert text == (
        "Linear probe by setting. A · $x$ <b>off: 0.85 ± 0.1, 2 seeds, untrained 0.4; B · on: not measured."
    )
    assert FIGURES["dots"]["data"][0]["y"] == ["A · $x$ ‹b›off"]
