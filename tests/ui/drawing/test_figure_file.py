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
from ui.drawing import fonts
from ui.drawing.charts import Figure, Series, line_figure, stacked_figure
from ui.drawing.figure_file import Look, _drawn, figure_file, legend_of, letters_lacking
from ui.drawing.fonts import lacking
from ui.drawing.map_figure import amounts_figure, groups_figure
from ui.drawing.palette import series_style
from ui.drawing.panel_stack import panels_figure
from ui.drawing.panels import panels_of
from ui.negatives.over_time_figures import safety_figure

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


SCRIPTS = {
    "Chinese": "狗",
    "Japanese": "いぬ",
    "Korean": "개",
    "Hindi": "कुत्ता",
    "Thai": "หมา",
    "emoji": "🐶",
    "Hebrew": "כלב",
    "Arabic": "كلب",
}


def words_in(figure: Figure, look: Look) -> str:
    """The text of a figure as SVG."""
    return "".join(ElementTree.fromstring(figure_file(figure, look, "SVG")).itertext())


@pytest.mark.parametrize("script", SCRIPTS)
def test_letters_that_no_font_has_do_not_cost_the_figure_and_are_told(script: str) -> None:
    name = SCRIPTS[script]
    charts = [
        groups_figure(np.random.rand(20, 2), np.arange(20) % 2, [name, "b"], title=name),
        line_figure([Series(name, X, X), Series("b", X, X)], "step", "loss", "Loss"),
        dots_figure([Standing("A", name, {0: 0.8, 1: 0.9}, 0.85, 0.1, "seeds", 0.4)], "probe"),
    ]
    for figure in charts:
        assert name in words_in(figure, Look(30.0, 25.0))
        assert figure_file(figure, Look(30.0, 25.0), "PDF").startswith(b"%PDF")
        assert figure_file(figure, Look(30.0, 25.0), "PNG").startswith(b"\x89PNG")
        has = set("".join(lacking([name])))
        assert set(letters_lacking(figure, Look())) == has
        assert set(letters_lacking(figure, Look(names={name: "dog"}))) <= has
        with pytest.raises(ConfigError, match="larger"):
            figure_file(figure, Look(4.0, 3.0, 24.0), "SVG")


def test_letters_are_looked_for_in_all_fonts_that_are_installed(monkeypatch: pytest.MonkeyPatch) -> None:
    assert lacking(["Größe σ², 1.5 → 2", "a\nb"]) == []
    assert lacking(["犬a猫", "猫\ufe0f"]) == [letter for letter in "犬猫" if lacking([letter])]
    monkeypatch.setattr(fonts, "FIRST", "cmr10")  # without Greek; so a letter of another font counts
    monkeypatch.setattr(fonts, "FALLBACKS", ("Not installed", "DejaVu Sans"))
    cached = (fonts.families, fonts._known)
    for function in cached:
        function.cache_clear()
    try:
        assert fonts.families() == ["cmr10", "DejaVu Sans"]
        assert lacking(["σ"]) == []
        monkeypatch.setattr(fonts, "FALLBACKS", ())
        for function in cached:
            function.cache_clear()
        assert lacking(["σa"]) == ["σ"]
    finally:
        for function in cached:
            function.cache_clear()


def test_names_that_begin_with_an_underscore_stand_in_the_legend() -> None:
    names = ["_background_noise_", "_silence_", "yes"]
    charts = [
        groups_figure(np.random.rand(30, 2), np.arange(30) % 3, names, title="Map"),
        line_figure([Series(name, X, X) for name in names], "step", "loss", "Loss"),
        stacked_figure([Series(name, X, X) for name in names], "step", "%", "Share"),
    ]
    for figure in charts:
        words = words_in(figure, Look(20.0, 20.0))
        assert all(name in words for name in legend_of(figure))
        assert legend_of(figure) == names
        assert "_mine" in words_in(figure, Look(20.0, 20.0, names={"yes": "_mine"}))


def test_text_stays_text_and_names_are_the_readers_own() -> None:
    look = Look(names={"a $x$": "with queue"})
    words = "".join(ElementTree.fromstring(figure_file(FIGURES["lines"], look, "SVG")).itertext())
    for word in ("Loss", "step", "with queue", "b"):
        assert word in words
    assert "a $x$" not in words
    assert "$x$" in "".join(ElementTree.fromstring(figure_file(FIGURES["dots"], Look(), "SVG")).itertext())
    assert legend_of(FIGURES["lines"]) == ["a $x$", "b"]
    assert legend_of(FIGURES["dots"]) == ["single seeds", "untrained network"]


def test_a_logarithmic_axis_stays_one() -> None:
    figure = safety_figure(64, 0.1)
    assert figure["layout"]["xaxis"]["type"] == "log"
    with_range = {
        "data": figure["data"],
        "layout": figure["layout"] | {"xaxis": figure["layout"]["xaxis"] | {"range": [-3, 1]}},
    }
    for drawn, ends in ((figure, None), (with_range, (1e-3, 10.0))):
        [axes] = _drawn(drawn, Look()).axes
        assert axes.get_xscale() == "log"
        assert ends is None or axes.get_xlim() == pytest.approx(ends)
    assert _drawn(FIGURES["lines"], Look()).axes[0].get_xscale() == "linear"


def test_a_dot_plot_says_in_words_what_it_shows() -> None:
    text = dots_spoken(STANDINGS, "probe")
    assert text == (
        "Linear probe by setting. A · $x$ <b>off: 0.85 ± 0.1, 2 seeds, untrained 0.4; B · on: not measured."
    )
    assert FIGURES["dots"]["data"][0]["y"] == ["A · $x$ ‹b›off"]
