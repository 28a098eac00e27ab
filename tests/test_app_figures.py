"""Figures, drawings and forms of the app as pure functions."""

from __future__ import annotations

import csv
import io
from pathlib import Path
from typing import Any

import pytest

from cpc_engine import PRESETS, RunConfig, RunFolder
from cpc_engine.errors import RunError
from cpc_engine.knobs import describe
from cpc_engine.runs.trash import discard, empty, restore, trashed
from ui import curves
from ui.knobs import as_text, help_of, label_of
from ui.palette import SYMBOLS
from ui.picture import run_picture
from ui.thumbs import SHAPES, curve_svg, map_svg


def record(step: int, sources: tuple[str, ...] = ("in_batch", "queue")) -> dict[str, Any]:
    part = {"loss": 5 / step, "accuracy": 0.25, "sources": {name: {"share": 1 / len(sources)} for name in sources}}
    geometry = {f"{m}.{name}": 1.5 for m in ("audio", "image") for name in curves.GEOMETRY}
    return {"step": step, "loss": 5 / step, "modalities": {"audio": part, "image": part}, "geometry": geometry}


RECORDS = [record(step) for step in range(1, 31)]


def test_the_loss_has_a_curve_per_modality_and_marks_what_was_changed() -> None:
    events = [
        {"step": 7, "kind": "change", "knob": "loss.temperature", "value": 0.5},
        {"step": 9, "kind": "pause"},
        {"step": 9, "kind": "unheard of"},
    ]
    figure = curves.loss_figure(RECORDS, events)
    assert [trace["name"] for trace in figure["data"] if trace.get("showlegend") is not False] == ["sound", "pictures"]
    assert [note["text"] for note in figure["layout"]["annotations"]] == ["temperature → 0.5", "paused"]
    assert [line["x0"] for line in figure["layout"]["shapes"]] == [7, 9]
    assert "Loss" in curves.spoken(figure)
    assert "sound from 3.75 at step 1" in curves.spoken(figure), "smoothed, as drawn"


def test_a_loss_that_is_no_number_is_a_gap() -> None:
    broken = record(31)
    broken["modalities"]["audio"]["loss"] = None
    assert curves.loss_figure([*RECORDS, broken])["data"][0]["y"][-1] is None


def test_shares_are_stacked_in_percent_and_stay_small() -> None:
    figure = curves.share_figure([record(step) for step in range(1, 100_001, 20)], "audio")
    assert [trace["name"] for trace in figure["data"]] == ["same batch", "memory"]
    assert all(len(trace["x"]) <= 300 for trace in figure["data"])
    assert {y for trace in figure["data"] for y in trace["y"]} == {50.0}


@pytest.mark.parametrize("measure", curves.GEOMETRY)
def test_geometry_has_a_point_where_it_was_taken(measure: str) -> None:
    rows = [*RECORDS, {**record(31), "geometry": None}]
    assert len(curves.geometry_figure(rows, measure)["data"][0]["x"]) == 30


def test_tables_and_csv_hold_the_figure() -> None:
    columns = curves.table(curves.accuracy_figure(RECORDS[:10]))
    assert list(columns) == ["step", "sound", "pictures"]
    rows = list(csv.reader(io.StringIO(curves.columns_csv(columns))))
    assert rows[0] == ["step", "sound", "pictures"]
    assert rows[1] == ["1", "25", "25"]
    whole = list(csv.DictReader(io.StringIO(curves.records_csv(RECORDS))))
    assert len(whole) == 30
    assert whole[4]["modalities.audio.loss"] == "1.0"


def test_small_drawings_are_whole_even_of_nothing() -> None:
    for svg in (curve_svg([]), curve_svg([None, 1.0]), curve_svg([3.0, 2.0, None, 2.5]), map_svg([], [])):
        assert svg.startswith("<svg")
        assert svg.rstrip().endswith("</svg>")
        assert "nan" not in svg
    assert map_svg([[0, 0], [1, 1]] * 500, [0, 1] * 500).count("<path") <= 220


def test_small_maps_draw_classes_in_shapes_too() -> None:
    assert set(SHAPES) == set(SYMBOLS)
    assert len(set(SHAPES.values())) == len(SYMBOLS)
    for drawing in (
        map_svg([[0, 0], [1, 1]], [0, 1]),
        run_picture([1, 2], [2.0, 1.0], [[0, 0], [1, 2]], [0, 1], ["a", "b"]),
    ):
        for name in SYMBOLS[:2]:
            assert SHAPES[name] in drawing


def test_help_says_what_is_usual() -> None:
    knob = next(knob for knob in describe(RunConfig) if knob.path == "optimiser.batch_size")
    assert "**Range** 2 to 4,096, in the presets 64 to 128" in help_of(knob, 64)


def test_the_picture_says_what_it_shows_and_harms_no_page() -> None:
    picture = run_picture(
        [1, 2, 9], [4.0, 3.0, 2.5], [[0, 0], [1, 2], [2, 1]], [0, 1, 0], ["<b>&", "a rather long name"]
    )
    assert "Loss from 4.00 to 2.50 over 9 steps." in picture
    assert picture.count("<svg") == picture.count("</svg>") == 2
    assert "&lt;b&gt;&amp;" in picture
    assert "<b>" not in picture
    assert "a rather…" in picture
    assert "nan" not in run_picture([1, 2], [1.0, 1.0], [[0, 0], [0, 0]], [0, 0], ["a"] * 40)


def test_every_knob_has_a_label_a_help_and_a_text() -> None:
    config = PRESETS["tones"].config()
    for knob in describe(RunConfig):
        section, _, name = knob.path.partition(".")
        value = getattr(getattr(config, section), name)
        assert label_of(knob)
        assert knob.path in help_of(knob, value)
        text = as_text(value)
        if knob.kind != "bool":
            assert getattr(getattr(config.replace({knob.path: text}), section), name) == value


def test_the_trash_gives_back_and_forgets(tmp_path: Path) -> None:
    run = RunFolder.create(tmp_path, RunConfig())
    with pytest.raises(RunError, match="still going on"):
        discard(run.id, tmp_path)
    run.update(status="finished")
    discard(run.id, tmp_path)
    assert trashed(tmp_path) == [run.id]
    restore(run.id, tmp_path)
    assert run.config() == RunConfig()
    discard(run.id, tmp_path)
    empty(tmp_path)
    assert trashed(tmp_path) == []
    for name in ("../x", "", ".trash", "a/b", "gone"):
        with pytest.raises(RunError):
            restore(name, tmp_path)
