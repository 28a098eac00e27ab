"""Curves of what a run's negatives did."""

from __future__ import annotations

from typing import Any

from ui.negatives.over_time_figures import false_figure, parts_of, similarity_figure, staleness_figure


def row(step: int, drift: float | None = None) -> dict[str, Any]:
    source = {"similarity": 0.25, "spread": 0.125, "false_mass": 0.5}
    part = {"positive_similarity": 0.75, "sources": {"in_batch": source} | ({"queue": source} if step > 1 else {})}
    return {"step": step, "modalities": {"audio": part}, "geometry": {} if drift is None else {"queue_drift": drift}}


def test_curves_are_those_of_the_records() -> None:
    records = [row(1), row(2, drift=0.5), row(3)]
    parts = parts_of(records, "audio", "prediction")
    similarity = similarity_figure(parts)
    assert {trace["name"]: trace["x"] for trace in similarity["data"][2:]} == {
        "In-batch": [1, 2, 3],
        "Queue": [2, 3],
        "positive": [1, 2, 3],
    }
    assert similarity["data"][0]["y"] == [0.375] * 3 + [0.125] * 3
    assert false_figure(parts)["data"][0]["y"] == [50] * 3
    stale = staleness_figure(records, "audio")
    assert stale is not None
    assert (stale["data"][0]["x"], stale["data"][0]["y"]) == ([2], [0.5])
    assert staleness_figure(records[:1], "audio") is None
    assert parts_of(records, "audio", "item") == []
