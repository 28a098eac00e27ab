"""Figures of one anchor's candidates."""

from __future__ import annotations

from ui.drawing.figure_file import Look, figure_file
from ui.negatives.lineup_figures import Ticks, ruler_columns, ruler_figure, shares_columns, shares_figure, titled


def test_every_source_has_a_strip_with_its_own_class_marked() -> None:
    ticks = Ticks([0.5, -0.25], ["<b>a", "b"], [True, False])
    figure = ruler_figure({"in_batch": ticks, "queue": ticks}, positive=0.7)
    assert [trace["x"] for trace in figure["data"]] == [[-0.25], [0.5]] * 2
    assert [trace["marker"]["symbol"] for trace in figure["data"]] == ["line-ns-open", "x-thin-open"] * 2
    assert figure["data"][1]["text"] == ["‹b›a"]
    assert figure["layout"]["shapes"][0]["x0"] == 0.7
    assert figure["layout"]["yaxis"]["categoryarray"] == ["Queue", "In-batch"]


def test_bars_have_two_parts_for_each_source() -> None:
    figure = shares_figure({"this anchor": {"queue": (0.25, 0.5), "in_batch": (0.25, 0.0)}, "whole batch": {}})
    assert [trace["x"] for trace in figure["data"]] == [[25.0, 0.0], [0.0, 0.0], [25.0, 0.0], [50.0, 0.0]]
    assert ["pattern" in trace["marker"] for trace in figure["data"]] == [False, True] * 2


def test_both_figures_have_their_data_and_are_drawn_for_a_paper() -> None:
    strips = {"in_batch": Ticks([0.5, -0.25], ["a/1", "a/2"], [True, False]), "queue": Ticks([0.75], ["b/3"], [False])}
    assert ruler_columns(strips, 0.9) == {
        "source": ["positive", "In-batch", "In-batch", "Queue"],
        "item": ["", "a/1", "a/2", "b/3"],
        "similarity": [0.9, 0.5, -0.25, 0.75],
        "own class": [True, True, False, False],
    }
    rows = {"this anchor": {"queue": (0.25, 0.5), "in_batch": (0.25, 0.0)}, "whole batch": {"queue": (1.0, 0.0)}}
    columns = shares_columns(rows)
    assert columns["source"] == ["Queue", "In-batch", "Queue"]
    assert columns["own class (%)"] == [50.0, 0.0, 0.0]
    ruler = titled(ruler_figure(strips, 0.9), "Similarities")
    bars = titled(shares_figure(rows), "Shares")
    for figure, words in ((ruler, (b"Similarities", b"In-batch", b"Queue")), (bars, (b"this anchor", b"whole batch"))):
        svg = figure_file(figure, Look(height_cm=7), "SVG")
        assert all(word in svg for word in words)
        assert figure_file(figure, Look(height_cm=7), "PDF")[:4] == b"%PDF"
    assert ruler_figure(strips, 0.9)["layout"]["title"]["text"] == "", "the page has its own words"
