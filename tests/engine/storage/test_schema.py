"""Damaged and hostile files of a run: each is refused in one line, and the rest of the run stays usable."""

from __future__ import annotations

import json
import os
import shutil
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from benchmarks.fuzz import fuzz, make_run
from cpc_engine.cli import main as cli
from cpc_engine.errors import RunError
from cpc_engine.execution.manager import RunManager
from cpc_engine.maps.snapshots import load_snapshots
from cpc_engine.maps.stored import load_map
from cpc_engine.media import Sound
from cpc_engine.placing import Placer
from cpc_engine.storage.files import MAX_JSON, read_tensors, write_tensors
from cpc_engine.storage.folder import RunFolder


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> RunFolder:
    return make_run(tmp_path_factory.mktemp("whole"))


@pytest.fixture
def run(whole: RunFolder, tmp_path: Path) -> RunFolder:
    return RunFolder(Path(shutil.copytree(whole.path, tmp_path / "run")))


def change(path: Path, edit: Callable[[Any], Any]) -> None:
    value = json.loads(path.read_text())
    edit(value)
    path.write_text(json.dumps(value))


@pytest.mark.parametrize(
    "line",
    [
        '{"step": 7}',
        '{"step": 1, "seconds": "1", "loss": 1.0, "modalities": {}}',
        '{"step": 1, "seconds": 1.0, "loss": [], "modalities": {"audio": 3}}',
        '{"step": true, "seconds": 1.0, "loss": 1.0, "modalities": {}}',
        '{"step": 1, "seconds": NaN, "loss": 1e999, "modalities": {}}',
        '{"step": 1, "seconds": 1.0, "loss": 1.0, "modalities": {"audio": {"loss": 1.0}}}',
        '{"step": 99999999999, "seconds": 1.0, "loss": 1.0, "modalities": {"audio": {}}}',
    ],
)
def test_lines_of_metrics_that_no_run_writes_are_left_out(line: str, run: RunFolder) -> None:
    records = run.records()
    with (run.path / "metrics.jsonl").open("a") as file:
        file.write(f"{line}\n")
    assert run.records() == records


def test_records_of_other_steps_or_modalities_are_left_out(run: RunFolder) -> None:
    records = run.records()
    beyond, doubled, other = (json.loads(json.dumps(records[-1])) for _ in range(3))
    beyond["step"] = run.config().optimizer.steps + 1
    other["modalities"].pop("image")
    other["step"] = doubled["step"] = 2
    run.append_record(beyond)
    run.append_record(other)
    run.append_record(doubled)
    found = run.records()
    assert [row["step"] for row in found] == [row["step"] for row in records]
    assert found[1]["loss"] == doubled["loss"]


@pytest.mark.parametrize(
    "event",
    [
        {"step": 1},
        {"step": 1, "kind": "change"},
        {"step": 1, "kind": "change", "setting": "data.path", "value": "/"},
        {"step": 1, "kind": "change", "setting": "loss.temperature", "value": "hot"},
        {"step": 1, "kind": "change", "setting": "loss.temperature\nrm -rf /", "value": 0.1},
        {"step": -1, "kind": "pause"},
        {"step": 1, "kind": "party"},
    ],
)
def test_events_that_no_run_writes_are_left_out(event: dict[str, Any], run: RunFolder) -> None:
    events = run.events()
    assert {"change"} <= {event["kind"] for event in events}
    run.append_event(event)
    assert run.events() == events


@pytest.mark.parametrize(
    ("name", "edit", "reason"),
    [
        ("map", lambda m: m["sources"].pop(), "map.json is damaged (it does not name each of"),
        ("map", lambda m: m.update(classes=["a"]), "map.json is damaged (its classes or modalities"),
        ("map", lambda m: m.update(maps=[]), "map.json is damaged (maps: input should be a valid dictionary)"),
        ("map", lambda m: m["maps"]["pca"].update(trustworthiness=None), "map.json is damaged (maps.pca.trustworth"),
        ("evolution", lambda m: m["modalities"].append("smell"), "evolution.json is damaged (modalities."),
    ],
)
def test_a_map_of_another_shape_is_told(name: str, edit: Any, reason: str, run: RunFolder) -> None:
    change(run.path / f"{name}.json", edit)
    with pytest.raises(RunError) as told:
        load_map(run) if name == "map" else load_snapshots(run)
    assert reason in str(told.value)
    assert run.records()


@pytest.mark.parametrize(
    ("tensor", "edit"),
    [
        ("labels", lambda t: t + 100),
        ("labels", lambda t: t.float()),
        ("labels", lambda t: t[:-1]),
        ("features", lambda t: t[:, :-1]),
        ("features", lambda t: t[0]),
        ("features", lambda t: t * torch.nan),
        ("rows", lambda t: t - 10_000),
        ("pca.layout", lambda t: t[:, :1]),
        ("tsne.layout", lambda t: t[: len(t) // 2]),
        ("pca.mean", lambda t: t[:3]),
        ("tsne.layout", lambda t: t * 1e30),  # placing an item on it would end the process
    ],
)
def test_tensors_of_another_shape_are_told(tensor: str, edit: Any, run: RunFolder) -> None:
    path = run.path / "map.safetensors"
    tensors = read_tensors(path)
    write_tensors(path, tensors | {tensor: edit(tensors[tensor])})
    with pytest.raises(RunError, match=r"map\.safetensors is damaged \(" + tensor):
        load_map(run)


@pytest.mark.parametrize("name", ["typicality", "probe"])
def test_parts_of_another_width_are_left_out_and_told(name: str, run: RunFolder) -> None:
    path = run.path / f"{name}.safetensors"
    tensors = read_tensors(path)
    key = next(key for key in tensors if key.endswith("mean"))
    write_tensors(path, tensors | {key: torch.zeros(3)})
    placer = Placer(run)
    assert len(placer.damaged) == 1
    assert f"{name}.safetensors is damaged" in placer.damaged[0]
    placed = placer.place(Sound(np.zeros(4000, np.float32), 8000))
    assert placer.damaged[0] in placed.notes
    assert (placed.predicted is None) == (name == "probe")
    assert (placed.typicality is None) == (name == "typicality")


@pytest.mark.parametrize(
    "edit",
    [
        lambda e: e.update(probe=[1]),
        lambda e: e.update(spread="high"),
        lambda e: e.update(spread=True),
        lambda e: e["probe"]["audio.mean_context"].update(trained=7.0),
        lambda e: e["probe"]["audio.mean_context"].pop("interval"),
        lambda e: e.update(probe={"audio.mean_context": 3}),
    ],
)
def test_a_comparison_goes_on_without_a_damaged_evaluation(
    edit: Any, whole: RunFolder, run: RunFolder, capsys: pytest.CaptureFixture[str]
) -> None:
    change(run.path / "evaluation.json", edit)
    assert cli(["compare", str(run.path), str(whole.path)]) == 0
    out, err = capsys.readouterr()
    assert "left out: run: evaluation.json is damaged (" in err
    assert "Loss" in out


@pytest.mark.parametrize("name", ["metrics.jsonl", "evaluation.json", "map.safetensors", "config.json", "run.json"])
def test_links_that_leave_the_folder_are_refused(name: str, run: RunFolder, tmp_path: Path) -> None:
    read = {"metrics.jsonl": run.records, "config.json": run.config, "run.json": run.info}.get(
        name, lambda: (run.json("evaluation"), run.tensors("map"))
    )
    path = run.path / name
    outside = Path(shutil.move(path, tmp_path / "outside"))
    path.symlink_to(outside)
    with pytest.raises(RunError, match=rf"{name} is a link that leaves the run's folder"):
        read()
    inside = Path(shutil.copyfile(outside, run.path / "inside"))
    path.unlink()
    path.symlink_to(inside.name)
    read()
    for bad in ("/dev/zero", "pipe", "/nowhere"):
        path.unlink()
        os.mkfifo(path) if bad == "pipe" else path.symlink_to(bad)
        began = time.monotonic()
        with pytest.raises(RunError):
            read()
        assert time.monotonic() - began < 10


def test_a_file_that_is_too_large_is_not_read(run: RunFolder) -> None:
    with (run.path / "evaluation.json").open("wb") as file:
        file.truncate(MAX_JSON + 1)
    with pytest.raises(RunError, match=r"evaluation\.json is too large \(16 MiB where at most 16 MiB can be right\)"):
        run.json("evaluation")


def test_nothing_is_written_through_a_link(run: RunFolder, tmp_path: Path) -> None:
    (tmp_path / "outside").write_text("mine")
    for name in ("log.jsonl", "events.jsonl"):
        (run.path / name).unlink()
        (run.path / name).symlink_to(tmp_path / "outside")
    run.log("a line")
    with pytest.raises(Exception, match=r"cannot write .*events\.jsonl"):
        run.append_event({"step": 1, "kind": "pause"})
    assert (tmp_path / "outside").read_text() == "mine"


def test_what_cannot_be_read_of_a_run_costs_its_progress_nothing_else(run: RunFolder) -> None:
    (run.path / "metrics.jsonl").unlink()
    (run.path / "metrics.jsonl").symlink_to("/dev/zero")
    progress = RunManager(run.path.parent).progress_of(run.id)
    assert (progress.status, progress.records) == ("finished", ())
    assert progress.events
    assert "metrics.jsonl" in progress.message


def test_random_damage_is_always_told_in_one_line(whole: RunFolder, tmp_path: Path) -> None:
    """A short part of `python -m benchmarks.fuzz`."""
    assert fuzz(whole, tmp_path, 96, seed=7)["failures"] == []
