"""Figures of one anchor's candidates."""

from __future__ import annotations

from ui.negatives.lineup_figures import Ticks, ruler_figure, shares_figure


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
