"""What is said of and drawn over a figure of curves."""

from __future__ import annotations

import csv
import io
from itertools import pairwise

from cpc_engine.config import all_settings
from cpc_engine.csv_text import columns_csv, records_csv
from tests.ui.drawing.test_panels import RECORDS
from ui.drawing import curves
from ui.drawing.charts import Series, line_figure

FIGURE = line_figure([Series("sounds", [1, 2], [5, 4]), Series("pictures", [2, 3], [6, 7])], "step", "nats", "Loss")


def test_events_are_marked_with_a_few_words() -> None:
    events = [
        {"step": 7, "kind": "change", "setting": "loss.temperature", "value": 0.5},
        {"step": 9, "kind": "pause"},
        {"step": 9, "kind": "unheard of"},
    ]
    layout = curves.with_events(FIGURE, events, last=30)["layout"]
    assert [note["text"] for note in layout["annotations"]] == ["τ 0.5", "paused"]
    assert [line["x0"] for line in layout["shapes"]] == [7, 9]


def change(step: int, setting: str, value: object) -> dict[str, object]:
    return {"step": step, "kind": "change", "setting": setting, "value": value}


def test_labels_of_events_that_are_close_together_are_one_label() -> None:
    events = [
        change(50, "sampler.sigma", 0.1),
        change(52, "loss.temperature", 0.2),
        change(53, "loss.temperature", 0.3),
        change(120, "sampler.perturbed", True),
        change(199, "loss.temperature", 0.5),
        change(200, "sampler.sigma", 0.2),
    ]
    layout = curves.with_events(FIGURE, events, last=200)["layout"]
    notes = layout["annotations"]
    assert [note["text"] for note in notes] == ["σ 0.1, τ 0.3", "Noise-perturbed on", "τ 0.5, σ 0.2"]
    assert [line["x0"] for line in layout["shapes"]] == [event["step"] for event in events], "each has its line"
    places = [note["x"] for note in notes]
    assert all(after - before >= curves.CLOSE * 200 for before, after in pairwise(places))
    assert places[-1] < 200, "at the very end it would be cut off"


def test_many_events_at_once_make_a_label_that_fits() -> None:
    live = [setting for setting in all_settings() if setting.live]
    events = [change(5, setting.path, setting.default) for setting in live]
    [note] = curves.with_events(FIGURE, events, last=200)["layout"]["annotations"]
    assert len(note["text"]) <= curves.LABEL
    assert note["text"].endswith("…")


def test_a_text_says_where_each_curve_begins_and_stands() -> None:
    assert curves.spoken(FIGURE).startswith("Loss, nats: sounds from 5 at step 1 to 4 at 2; pictures from 6")


def test_tables_and_csv_hold_the_figure() -> None:
    columns = curves.table(FIGURE)
    assert columns == {"step": [1, 2, 3], "sounds": [5, 4, None], "pictures": [None, 6, 7]}
    assert list(csv.reader(io.StringIO(columns_csv(columns))))[:2] == [["step", "sounds", "pictures"], ["1", "5", ""]]
    whole = list(csv.DictReader(io.StringIO(records_csv(RECORDS))))
    assert len(whole) == 30
    assert whole[4]["modalities.audio.loss"] == "1.0"
