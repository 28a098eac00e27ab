"""Tests of run folders of format 1: opened, resumed, placed on, and compared; later formats are refused."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import numpy as np
import pytest

import cpc_engine as cpc
from cpc_engine.comparison.arms import group
from cpc_engine.comparison.collect import changes_of, load_compared
from cpc_engine.config import RunConfig
from cpc_engine.errors import RunError
from cpc_engine.media import Sound
from cpc_engine.storage.files import read_json
from cpc_engine.storage.folder import RunFolder
from cpc_engine.storage.format import FORMAT

STORED = Path(__file__).resolve().parents[2] / "support" / "runs_format_1"


@pytest.fixture
def root(tmp_path: Path) -> Path:
    for name in ("stopped", "finished"):
        shutil.copytree(STORED / name, tmp_path / name)
    return tmp_path


def test_old_names_of_settings_are_migrated(root: Path) -> None:
    config = cpc.open("stopped", root).config
    assert config.optimizer.steps == 10
    assert config.audio.center
    assert config.evaluation.neighbors == 5
    assert config.sampler.mode == "reference"
    assert changes_of(RunFolder(root / "stopped")) == (
        (4, "loss.temperature", "0.1"),
        (4, "optimizer.learning_rate", "0.0005"),
    )


def test_runs_from_before_predict_across_the_end_of_a_row(root: Path) -> None:
    """Whether image rows wrap was no setting; runs with images did, for others nothing changes."""
    run = RunFolder(root / "stopped")
    assert run.config().image.wrap
    path = run.path / "config.json"
    for dataset, stored, expected in (("bars", {}, True), ("bars", {"wrap": False}, False), ("tones", {}, False)):
        config = RunConfig().replace({"data.dataset": dataset}).to_dict()
        del config["image"]["wrap"]
        path.write_text(json.dumps({"format": 2, **config, "image": {**config["image"], **stored}}))
        assert run.config().image.wrap == expected


def test_opening_changes_no_file(root: Path) -> None:
    before = {path: path.read_bytes() for path in sorted(root.rglob("*")) if path.is_file()}
    run = cpc.open("finished", root)
    assert run.evaluation is not None
    assert "audio.effective_rank_uncentered" in run.evaluation.metrics
    assert not [name for name in run.evaluation.document if "uncentred" in name]
    assert "geometry.effective_rank_uncentered" not in run.metrics  # two modalities: names have a prefix
    assert "geometry.audio.effective_rank_uncentered" in run.metrics
    assert not [name for name in run.metrics if "uncentred" in name]
    assert len(run.map("pca")) == len(run.map("umap")) == 2 * 24
    assert run.snapshots() is not None
    assert {path: path.read_bytes() for path in sorted(root.rglob("*")) if path.is_file()} == before


def test_a_resumed_run_equals_the_uninterrupted_one(root: Path) -> None:
    """Tensors of the checkpoint, changed settings, and queues of format 1 are all restored."""
    expected = [json.loads(line) for line in (STORED / "uninterrupted.jsonl").read_text().splitlines()]
    run = cpc.open("stopped", root).resume(progress=False)
    assert run.status == "finished"
    records = run.folder.records()
    assert [record["step"] for record in records] == list(range(1, 11))
    for record, other in zip(records, expected, strict=True):
        # Not exactly: pictures that shrink are antialiased now, and of a batch the queue keeps other items. Lost
        # moments or queues would show in the first digit.
        assert record["loss"] == pytest.approx(other["loss"], rel=5e-3)
        assert record["temperature"] == pytest.approx(other["temperature"])
        assert record["learning_rate"] == pytest.approx(other["learning_rate"])
    assert read_json(run.path / "run.json")["format"] == FORMAT


def test_items_are_placed_and_runs_are_compared(root: Path) -> None:
    time = np.arange(4000) / 8000
    tone = Sound(0.5 * np.sin(2 * np.pi * 440 * time).astype(np.float32), 8000)
    [placed] = cpc.place("finished", [tone], root)
    assert placed.placement is not None
    assert placed.placement.predicted in cpc.open("finished", root).info.data["classes"]
    arms = group([load_compared(RunFolder(root / name)) for name in ("finished", "stopped")])
    assert [arm.letter for arm in arms] == ["A"]  # the same settings with the same changes during training
    assert not cpc.compare(["finished"], root).empty


def test_a_renamed_run_is_written_in_the_current_format(root: Path) -> None:
    RunFolder(root / "finished").rename("new name", "a note")
    stored = read_json(root / "finished" / "config.json")
    assert stored["format"] == FORMAT
    assert "optimiser" not in stored
    assert cpc.open("finished", root).config.run.name == "new name"


@pytest.mark.parametrize("number", [FORMAT + 1, 0, "2", None])
def test_a_folder_of_an_unknown_format_is_refused(root: Path, number: object) -> None:
    path = root / "finished" / "config.json"
    path.write_text(json.dumps(read_json(path) | {"format": number}))
    with pytest.raises(RunError, match="its format is"):
        _ = cpc.open("finished", root).config
