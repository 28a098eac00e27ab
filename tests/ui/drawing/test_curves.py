"""A run's records as figures, tables and CSV."""

from __future__ import annotations

import csv
import io
from typing import Any

import pytest

from ui.drawing import curves
from ui.drawing.csv_text import columns_csv, records_csv


def record(step: int, sources: tuple[str, ...] = ("in_batch", "queue")) -> dict[str, Any]:
    part = {"loss": 5 / step, "accuracy": 0.25, "sources": {name: {"share": 1 / len(sources)} for name in sources}}
    geometry = {f"{m}.{name}": 1.5 for m in ("audio", "image") for name in curves.GEOMETRY}
    return {"step": step, "loss": 5 / step, "modalities": {"audio": part, "image": part}, "geometry": geometry}


RECORDS = [record(step) for step in range(1, 31)]


def test_the_loss_has_a_curve_per_modality_and_marks_what_was_changed() -> None:
    events = [
        {"step": 7, "kind": "change", "setting": "loss.temperature", "value": 0.5},
        {"step": 9, "kind": "pause"},
        {"step": 9, "kind": "unheard of"},
    ]
    figure = curves.loss_figure(RECORDS, events)
    assert [trace["name"] for trace in figure["data"] if trace.get("showlegend") is not False] == ["sounds", "pictures"]
    assert [note["text"] for note in figure["layout"]["annotations"]] == ["temperature → 0.5", "paused"]
    assert [line["x0"] for line in figure["layout"]["shapes"]] == [7, 9]
    assert "Loss" in curves.spoken(figure)
    assert "sounds from 3.75 at step 1" in curves.spoken(figure), "smoothed, as drawn"


def test_a_loss_that_is_no_number_is_a_gap() -> None:
    broken = record(31)
    broken["modalities"]["audio"]["loss"] = None
    assert curves.loss_figure([*RECORDS, broken])["data"][0]["y"][-1] is None


def test_shares_are_stacked_in_percent_and_stay_small() -> None:
    figure = curves.share_figure([record(step) for step in range(1, 100_001, 20)], "audio")
    assert [trace["name"] for trace in figure["data"]] == ["in-batch", "queue"]
    assert all(len(trace["x"]) <= 300 for trace in figure["data"])
    assert {y for trace in figure["data"] for y in trace["y"]} == {50.0}


@pytest.mark.parametrize("metric", curves.GEOMETRY)
def test_geometry_has_a_point_where_it_was_taken(metric: str) -> None:
    rows = [*RECORDS, {**record(31), "geometry": None}]
    assert len(curves.geometry_figure(rows, metric)["data"][0]["x"]) == 30


def test_tables_and_csv_hold_the_figure() -> None:
    columns = curves.table(curves.accuracy_figure(RECORDS[:10]))
    assert list(columns) == ["step", "sounds", "pictures"]
    rows = list(csv.reader(io.StringIO(columns_csv(columns))))
    assert rows[0] == ["step", "sounds", "pictures"]
    assert rows[1] == ["1", "25", "25"]
    whole = list(csv.DictReader(io.StringIO(records_csv(RECORDS))))
    assert len(whole) == 30
    assert whole[4]["modalities.audio.loss"] == "1.0"
