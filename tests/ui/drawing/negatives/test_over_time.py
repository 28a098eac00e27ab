"""Curves of what every source's negatives did, from records."""

from __future__ import annotations

from typing import Any

import pytest

from ui.drawing.curves import spoken, table
from ui.drawing.figure_file import Look, figure_file, legend_of
from ui.drawing.negatives.over_time import false_figure, false_words, parts_of, share_figure, similarity_figure


def row(step: int, mass: float | None = 0.5) -> dict[str, Any]:
    source = {"similarity": 0.25, "spread": 0.125, "false_mass": mass, "false_negatives": 0.125, "share": 0.75}
    others = {"queue": source | {"share": 0.25}} if step > 1 else {}
    part = {"positive_similarity": 0.75, "sources": {"in_batch": source} | others}
    return {"step": step, "modalities": {"audio": part}}


PARTS = parts_of([row(1), row(2), row(3)], "audio", "prediction")


def test_curves_are_those_of_the_records() -> None:
    similarity = similarity_figure(PARTS)
    assert {trace["name"]: trace["x"] for trace in similarity["data"][2:]} == {
        "In-batch": [1, 2, 3],
        "Queue": [2, 3],
        "positive": [1, 2, 3],
    }
    assert similarity["data"][0]["y"] == [0.375] * 3 + [0.125] * 3
    assert parts_of([row(1)], "audio", "item") == []


def test_shares_lie_on_top_of_each_other() -> None:
    assert table(share_figure(PARTS)) == {"step": [1, 2, 3], "In-batch": [75, 75, 75], "Queue": [0, 25, 25]}


def test_false_negatives_have_their_number_beside_their_mass() -> None:
    figure = false_figure(PARTS)
    assert table(figure) == {
        "step": [1, 2, 3],
        "In-batch": [50, 50, 50],
        "Queue": [None, 50, 50],
        "In-batch, by number": [12.5] * 3,
        "Queue, by number": [None, 12.5, 12.5],
    }
    looks = {trace["name"]: (trace["line"]["dash"], trace["line"]["color"]) for trace in figure["data"]}
    for name in ("In-batch", "Queue"):
        assert (looks[name][0], looks[f"{name}, by number"][0]) == ("solid", "dot")
        assert looks[name][1] == looks[f"{name}, by number"][1]
    entries = legend_of(figure)
    assert entries == ["In-batch", "Queue", "dotted: part of the number"], "one entry for all that is dotted"
    assert looks[entries[-1]][0] == "dot"
    assert b"dotted: part of the number" in figure_file(figure, Look(), "SVG")
    assert spoken(figure).endswith("In-batch from 50 at step 1 to 50 at 3; Queue from 50 at step 2 to 50 at 3.")


def test_the_newest_false_negatives_in_words() -> None:
    both = "In-batch 12% of the number, 50% of the mass; Queue 12% of the number, 50% of the mass"
    assert false_words(PARTS) == f"At step 3 negatives of the anchor's class: {both}."
    broken = parts_of([row(1, mass=None)], "audio", "prediction")
    assert false_words(broken) == "At step 1 negatives of the anchor's class: not measured."


def test_a_band_of_similarities_is_drawn_in_the_figure_for_a_paper() -> None:
    figure = similarity_figure(PARTS)
    without = figure | {"data": [trace for trace in figure["data"] if trace.get("fill") != "toself"]}
    filled, bare = (figure_file(one, Look(), "SVG").count(b"opacity: 0.2") for one in (figure, without))
    assert filled > bare


@pytest.mark.parametrize("draw", [similarity_figure, false_figure])
def test_a_long_run_has_no_more_points_than_are_asked_for(draw: Any) -> None:
    parts = parts_of([row(step) for step in range(1, 1001)], "audio", "prediction")
    for trace in draw(parts, limit=50)["data"]:
        assert len(trace["x"]) <= (100 if trace.get("fill") else 50), "a band has two edges"
