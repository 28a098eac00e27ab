"""Copies of runs, and folders whose files are damaged or missing."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import pytest
import torch

from cpc_engine.errors import RunError
from cpc_engine.execution.evaluate import evaluate_run
from cpc_engine.execution.execute import execute
from cpc_engine.maps.stored import load_map
from cpc_engine.placing import Placer
from cpc_engine.storage.artifacts import load_model, load_probes
from cpc_engine.storage.folder import RunFolder
from cpc_engine.storage.listing import list_runs, scan_runs
from cpc_engine.training.control import Control
from tests.support.stored import Crash, crash, orphan, steering, train, without_seconds
from tests.support.tiny import tiny


def test_a_copied_run_embeds_and_evaluates(tmp_path: Path) -> None:
    original = train(tmp_path / "here", tiny())
    folder = RunFolder(shutil.copytree(original.path, tmp_path / "there" / "Copy of it (2)"))
    shutil.rmtree(original.path.parent)
    assert RunFolder.open("Copy of it (2)", tmp_path / "there").info().id == "Copy of it (2)"
    evaluation = evaluate_run(folder)
    assert evaluation["run"] == "Copy of it (2)"
    placer = Placer(folder)
    assert set(placer.probes) == {"audio"}
    assert len(placer.map.labels) == 32
    assert [info.id for info in list_runs(tmp_path / "there")] == ["Copy of it (2)"]


def damage(folder: RunFolder, name: str, content: str | None) -> None:
    """Replace a file: None deletes it, "half" cuts it in two."""
    path = folder.path / name
    if content is None:
        path.unlink()
    elif content == "half":
        path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])
    else:
        path.write_text(content)


@pytest.mark.parametrize("content", [None, "half", "", "[]", "5", '{"id": "x"}', '{"status": "odd"}'])
def test_a_broken_run_json_is_reported_and_hides_no_other_run(
    content: str | None, copied: RunFolder, finished: RunFolder
) -> None:
    shutil.copytree(finished.path, copied.path.parent / "whole")
    damage(copied, "run.json", content)
    with pytest.raises(RunError, match=r"run\.json") as error:
        copied.info()
    assert "\n" not in str(error.value)
    good, broken = scan_runs(copied.path.parent)
    assert [info.id for info in good] == ["whole"]
    assert broken == [str(error.value)]


def test_types_in_run_json_are_checked(copied: RunFolder) -> None:
    values = json.loads((copied.path / "run.json").read_text())
    for change in ({"created": "yesterday"}, {"status": "odd"}, {"steps": None}, {"data": []}, {"loss_last": "low"}):
        copied.save_json("run", values | change)
        with pytest.raises(RunError, match=rf"run\.json is damaged \({next(iter(change))}"):
            copied.info()
    copied.save_json("run", values | {"from_a_later_version": 1})
    assert copied.info().status == "finished"


@pytest.mark.parametrize("content", [None, "half", "[]", '{"data": {"dataset": "tones", "volume": 11}}', '{"loss": 1}'])
def test_a_broken_or_foreign_config_is_reported(content: str | None, copied: RunFolder) -> None:
    damage(copied, "config.json", content)
    with pytest.raises(RunError, match=r"config\.json"):
        copied.config()
    end = execute(copied, Control())
    assert end.status == "failed"
    assert "config.json" in end.message


@pytest.mark.parametrize("name", ["weights", "map", "probe"])
@pytest.mark.parametrize("content", ["half", "", "not a tensor"])
def test_damaged_tensors_are_reported(name: str, content: str, copied: RunFolder) -> None:
    if name == "probe":
        copied.save_tensors("probe", {"audio.mean_context.weight": torch.zeros(2)})
    damage(copied, f"{name}.safetensors", content)
    with pytest.raises(RunError, match=rf"{name}\.safetensors is damaged"):
        load_probes(copied, load_model(copied)) if name == "probe" else Placer(copied)


def test_tensors_that_do_not_fit_are_reported(copied: RunFolder) -> None:
    copied.save_tensors("probe", {"audio.mean_context.weight": torch.zeros(2)})
    assert Placer(copied).damaged == (f"{copied.id}: probe.safetensors is damaged (mean is missing)",)
    copied.save_tensors("map", {"features": torch.zeros(2)})
    with pytest.raises(RunError, match=r"map\.safetensors is damaged \(features has the shape \(2,\), not"):
        load_map(copied)
    copied.save_tensors("weights", {"something": torch.zeros(2)})
    with pytest.raises(RunError, match=r"weights\.safetensors does not fit"):
        Placer(copied)


def test_a_run_without_weights_or_facts_is_reported(copied: RunFolder, tmp_path: Path) -> None:
    fresh = RunFolder.create(tmp_path, tiny())
    for use in (Placer, evaluate_run):
        with pytest.raises(RunError, match=r"never began|no weights"):
            use(fresh)
    (copied.path / "weights.safetensors").unlink()
    for use in (Placer, evaluate_run):
        with pytest.raises(RunError, match="no weights"):
            use(copied)


def test_a_truncated_line_is_skipped_and_repaired_on_resume(tmp_path: Path) -> None:
    config = tiny(optimizer__steps=4, run__checkpoint_every=2)
    whole = train(tmp_path, config)
    folder = RunFolder.create(tmp_path, config)
    with pytest.raises(Crash):
        execute(folder, Control(), steering({3: crash}))
    metrics = folder.path / "metrics.jsonl"
    lines = metrics.read_text().splitlines(keepends=True)
    metrics.write_text("".join(lines[:2]) + lines[2][:40])
    assert [record["step"] for record in folder.records()] == [1, 2]
    orphan(folder)
    execute(folder, Control(), resume=True)
    assert without_seconds(folder) == without_seconds(whole)
    assert all(json.loads(line) for line in metrics.read_text().splitlines())


@pytest.mark.parametrize("line", [b"\xff\xfe{", b"5", b'"text"', b"null", b"[" * 9999])
def test_a_damaged_line_hides_no_other(line: bytes, copied: RunFolder) -> None:
    records = copied.records()
    metrics = copied.path / "metrics.jsonl"
    metrics.write_bytes(line + b"\n" + metrics.read_bytes() + line)
    assert copied.records() == records


def test_metrics_that_cannot_be_read_are_reported(copied: RunFolder) -> None:
    (copied.path / "metrics.jsonl").unlink()
    assert copied.records() == []
    (copied.path / "metrics.jsonl").mkdir()
    with pytest.raises(RunError, match=r"metrics\.jsonl is not a regular file"):
        copied.records()


@pytest.mark.parametrize("name", ["..", ".", "", "/", "../x", "a/../../b", "x\0y", "~", "*"])
def test_only_a_plain_name_is_an_id(name: str, tmp_path: Path) -> None:
    (tmp_path / "runs").mkdir()
    (tmp_path / "config.json").write_text("{}")
    with pytest.raises(RunError):
        RunFolder.open(name, tmp_path / "runs")


def test_an_unknown_run_suggests_the_nearest_id(copied: RunFolder) -> None:
    with pytest.raises(RunError, match=f"did you mean '{copied.id}'"):
        RunFolder.open(copied.id[:-1], copied.path.parent)
    with pytest.raises(RunError, match="holds no runs"):
        RunFolder.open("tones", copied.path / "none")


def test_of_many_runs_an_unknown_one_names_the_nearest_few(tmp_path: Path) -> None:
    for number in range(60):
        folder = tmp_path / f"20260101-{number:06d}-{'bars' if number % 2 else 'chirps'}-0a1b"
        folder.mkdir()
        (folder / "config.json").write_text("{}")
    with pytest.raises(RunError, match="the nearest of 60") as error:
        RunFolder.open("bars", tmp_path)
    assert len(str(error.value)) < 400
    assert str(error.value).count("-bars-") == 5
