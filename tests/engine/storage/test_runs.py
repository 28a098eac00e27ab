"""Tests of run folders: copies, damaged files, full disks, crashes, and resuming bit for bit."""

from __future__ import annotations

import errno
import json
import os
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch

from cpc_engine.config import RunConfig
from cpc_engine.errors import RunError, StorageError
from cpc_engine.execution.evaluate import evaluate_run
from cpc_engine.execution.execute import Phase, Record, State, execute
from cpc_engine.maps.stored import load_map
from cpc_engine.placing import Placer
from cpc_engine.storage import files, process
from cpc_engine.storage.artifacts import load_model, load_probes
from cpc_engine.storage.folder import RunFolder, check_resumable
from cpc_engine.storage.listing import list_runs, scan_runs
from cpc_engine.storage.trash import discard, trashed
from cpc_engine.training.control import Control
from cpc_engine.training.trainer import Trainer
from tests.support.tiny import tiny

HYBRID = {
    "data__dataset": "tones_bars",
    "optimizer__steps": 6,
    "run__checkpoint_every": 3,
    "sampler__queue_size": 50,
    "sampler__perturbed": True,
    "sampler__shuffled": "batch",
    "sampler__key_momentum": 0.9,
    "loss__pair_weight": 0.5,
    "loss__learnable_temperature": True,
}
Observation = Record | Phase | State


def train(root: Path, config: RunConfig) -> RunFolder:
    folder = RunFolder.create(root, config)
    assert execute(folder, Control()) == State("finished")
    return folder


@pytest.fixture(scope="module")
def finished(tmp_path_factory: pytest.TempPathFactory) -> RunFolder:
    return train(tmp_path_factory.mktemp("finished"), tiny(run__name="first"))


@pytest.fixture
def copied(finished: RunFolder, tmp_path: Path) -> RunFolder:
    return RunFolder(shutil.copytree(finished.path, tmp_path / finished.id))


def orphan(folder: RunFolder) -> None:
    """Make run.json name a process that does not exist, as after a crash."""
    values = json.loads((folder.path / "run.json").read_text())
    (folder.path / "run.json").write_text(json.dumps(values | {"status": "running", "pid_started": 1}))


def without_seconds(folder: RunFolder) -> list[dict[str, Any]]:
    return [{key: value for key, value in record.items() if key != "seconds"} for record in folder.records()]


def same_weights(first: RunFolder, second: RunFolder) -> bool:
    a, b = first.tensors("weights"), second.tensors("weights")
    return a.keys() == b.keys() and all(torch.equal(a[name], b[name]) for name in a)


class Crash(BaseException):
    """An exception that the engine does not catch, as when the process is killed."""


def crash() -> None:
    raise Crash


def steering(at: dict[int, Callable[[], None]]) -> Callable[[Observation], None]:
    """An observer that calls a function when it observes the record of a step."""
    return lambda observed: at.get(observed["step"], lambda: None)() if isinstance(observed, dict) else None


def changing(
    control: Control,
    config: RunConfig,
    three: Callable[[], None] | None = None,
    five: Callable[[], None] = lambda: None,
) -> Callable[[Observation], None]:
    """Changes τ after step 2, λ after step 3 (where a checkpoint is made) and σ after step 4."""

    def change(path: str, value: object) -> Callable[[], None]:
        return lambda: control.change(config, path, value)

    pair = three or change("loss.pair_weight", 0.7)
    return steering({2: change("loss.temperature", 0.3), 3: pair, 4: change("sampler.sigma", "0.7"), 5: five})


# --- resuming ------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("end", ["stopped at step 3", "crashed after step 5"])
def test_a_resumed_run_equals_the_uninterrupted_one_bit_for_bit(end: str, tmp_path: Path) -> None:
    """Weights, records, and live changes; the crash comes after a change that the last checkpoint lacks."""
    config = tiny(**HYBRID)
    whole, control = RunFolder.create(tmp_path, config), Control()
    execute(whole, control, changing(control, config))
    changes = [(e["step"], e["setting"], e["value"]) for e in whole.events() if e["kind"] == "change"]
    assert changes == [(2, "loss.temperature", 0.3), (3, "loss.pair_weight", 0.7), (4, "sampler.sigma", 0.7)]

    broken, control = RunFolder.create(tmp_path, config), Control()
    if end.startswith("stopped"):
        assert execute(broken, control, changing(control, config, three=control.stop)).status == "stopped"
        control = Control()
        control.change(config, "loss.pair_weight", 0.7)
        observer = changing(control, config)
    else:
        with pytest.raises(Crash):
            execute(broken, control, changing(control, config, five=crash))
        assert [record["step"] for record in broken.records()] == [1, 2, 3, 4, 5]
        orphan(broken)
        control = Control()
        observer = steering({})  # λ and σ change again at their steps, from events.jsonl
    check_resumable(broken)
    assert execute(broken, control, observer, resume=True) == State("finished")

    assert same_weights(whole, broken)
    assert without_seconds(whole) == without_seconds(broken)
    assert [(e["step"], e["setting"], e["value"]) for e in broken.events() if e["kind"] == "change"] == changes
    assert [e["step"] for e in broken.events() if e["kind"] == "resume"] == [3]


def test_a_change_shows_in_the_records(tmp_path: Path) -> None:
    config = tiny(optimizer__steps=4)
    folder, control = RunFolder.create(tmp_path, config), Control()
    execute(folder, control, steering({2: lambda: control.change(config, "loss.temperature", 0.5)}))
    assert [round(r["temperature"], 5) for r in folder.records()] == [0.2, 0.2, 0.5, 0.5]


def test_resuming_deletes_the_map_and_the_probe_of_older_weights(tmp_path: Path) -> None:
    folder, control = RunFolder.create(tmp_path, tiny(optimizer__steps=4)), Control()
    execute(folder, control, steering({2: control.stop}))
    evaluate_run(folder)
    assert {"map.json", "evaluation.json", "probe.safetensors"} <= set(os.listdir(folder.path))
    listings: list[set[str]] = []

    def look(observed: object) -> None:
        if isinstance(observed, Phase) and observed.text == "drawing the map":
            listings.append(set(os.listdir(folder.path)))

    execute(folder, Control(), look, resume=True)
    assert not {"map.json", "typicality.safetensors"} & listings[0]
    assert folder.json("map") is not None  # drawn again
    assert folder.json("evaluation") is None
    assert not folder.has_tensors("probe")


def test_a_run_without_a_first_checkpoint_starts_again(tmp_path: Path) -> None:
    config = tiny(optimizer__steps=4)
    whole = train(tmp_path, config)
    folder = RunFolder.create(tmp_path, config)
    with pytest.raises(Crash):
        execute(folder, Control(), steering({2: crash}))
    orphan(folder)
    check_resumable(folder)
    assert execute(folder, Control(), resume=True) == State("finished")
    assert without_seconds(folder) == without_seconds(whole)


def test_a_run_with_a_lost_checkpoint_cannot_be_resumed(tmp_path: Path) -> None:
    folder, control = RunFolder.create(tmp_path, tiny()), Control()
    execute(folder, control, steering({2: control.stop}))
    (folder.path / "checkpoint.safetensors").unlink()
    with pytest.raises(RunError, match="no checkpoint to go on from"):
        check_resumable(folder)


def test_a_checkpoint_of_another_network_is_refused(tmp_path: Path) -> None:
    folder, control = RunFolder.create(tmp_path, tiny()), Control()
    execute(folder, control, steering({2: control.stop}))
    folder.save_json("config", tiny(context__hidden_dim=24).to_dict())
    records = folder.records()
    end = execute(folder, Control(), resume=True)
    assert (end.status, end.unexpected) == ("failed", False)
    assert "checkpoint.safetensors does not fit" in end.message
    assert "\n" not in end.message
    assert folder.records() == records


# --- copies and broken folders -------------------------------------------------------------------------------------


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


# --- the process of a run ------------------------------------------------------------------------------------------


def test_a_reused_process_id_is_not_the_process_of_the_run(copied: RunFolder) -> None:
    """A restarted container has the same process ids: the run must not look active forever."""
    copied.update(status="running")
    assert copied.info().status == "running"
    orphan(copied)
    assert json.loads((copied.path / "run.json").read_text())["pid"] == os.getpid()
    assert copied.info().status == "interrupted"
    check_resumable(copied)


def test_processes_are_distinguished_by_their_start_time() -> None:
    mine = process.started(os.getpid())
    assert process.is_alive(os.getpid(), mine, 0)
    assert process.is_alive(os.getpid(), 0, 0)
    assert not process.is_alive(2**22 + 1, 0, 0)
    if mine:
        assert not process.is_alive(os.getpid(), mine + 1, 0)


# --- full disks and unwritable folders -----------------------------------------------------------------------------


class FullDisk:
    """A disk that is full from the n-th line of metrics.jsonl on: half a line fits, and no file can be created."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch, lines: int) -> None:
        self.lines = lines
        for module in ("files", "folder"):
            monkeypatch.setattr(f"cpc_engine.storage.{module}.open", self.open, raising=False)

    def open(self, path: Path, mode: str = "r", **options: Any) -> Any:
        writes, metrics = mode[0] in "wa", Path(path).name == "metrics.jsonl"
        self.lines -= writes and metrics
        if writes and self.lines < 0:
            if metrics:
                with open(path, mode, **options) as file:
                    file.write('{"step":99,"seco')
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        return open(path, mode, **options)


def test_a_full_disk_ends_a_run_and_loses_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    config = tiny(optimizer__steps=6, run__checkpoint_every=2)
    whole = train(tmp_path, config)
    folder = RunFolder.create(tmp_path, config)
    observed: list[Observation] = []
    with monkeypatch.context() as patch:
        FullDisk(patch, lines=3)
        end = execute(folder, Control(), observed.append)
    assert end.status == "failed"
    assert not end.unexpected
    assert "no space left on the disk" in end.message
    assert "\n" not in end.message
    assert observed[-1] == end  # reported although run.json could not be written
    assert [record["step"] for record in folder.records()] == [1, 2, 3]
    assert folder.info().steps_done == 2
    assert not list(folder.path.glob(".*.part"))
    assert folder.tensors("weights").keys() == whole.tensors("weights").keys()

    orphan(folder)
    assert execute(folder, Control(), resume=True) == State("finished")
    assert without_seconds(folder) == without_seconds(whole)
    assert same_weights(folder, whole)


def test_a_full_disk_during_a_checkpoint_keeps_the_previous_one(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = RunFolder.create(tmp_path, tiny(optimizer__steps=4, run__checkpoint_every=1))
    kept: list[bytes] = []
    monkeypatch.setattr("cpc_engine.storage.files.os.fsync", _full_once(folder.path / "checkpoint.safetensors", kept))
    end = execute(folder, Control())
    assert end.status == "failed"
    assert "checkpoint.safetensors: no space left" in end.message
    assert folder.info().status == "failed"
    assert folder.info().message == end.message
    assert (folder.path / "checkpoint.safetensors").read_bytes() == kept[0]
    assert not list(folder.path.glob(".*.part"))
    monkeypatch.undo()
    assert execute(folder, Control(), resume=True) == State("finished")


def _full_once(path: Path, kept: list[bytes]) -> Callable[[int], None]:
    """An fsync that fails the second time `path` is written."""

    def fsync(descriptor: int) -> None:
        if path.exists() and not kept and list(path.parent.glob(f".{path.name}.*.part")):
            kept.append(path.read_bytes())
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    return fsync


@pytest.mark.parametrize(
    ("number", "reason"),
    [
        (errno.EACCES, "permission denied"),
        (errno.EROFS, "the file system is read-only"),
        (errno.ENOSPC, "no space left on the disk"),
        (errno.EDQUOT, "the disk quota is used up"),
    ],
)
def test_a_folder_that_cannot_be_created_leaves_no_files(
    number: int, reason: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(*_: object) -> None:
        raise OSError(number, os.strerror(number))

    with monkeypatch.context() as patch:
        patch.setattr(Path, "mkdir", lambda *_, **__: refuse())
        with pytest.raises(StorageError, match=reason):
            RunFolder.create(tmp_path, tiny())
    monkeypatch.setattr("cpc_engine.storage.files.os.replace", refuse)
    with pytest.raises(StorageError, match=f"config.json: {reason}"):
        RunFolder.create(tmp_path, tiny())
    assert list(tmp_path.iterdir()) == []


def test_a_file_in_place_of_the_folder_of_runs_is_reported(tmp_path: Path) -> None:
    (tmp_path / "runs").write_text("")
    for root in (tmp_path / "runs", tmp_path / "runs" / "below"):
        with pytest.raises(StorageError, match="a file stands where a folder is needed"):
            RunFolder.create(root, tiny())
    assert list_runs(tmp_path / "runs") == []


def test_writes_are_atomic(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "x.json"
    files.write_json(path, {"a": 1})

    def refuse(*_: object) -> None:
        raise OSError(errno.ENOSPC, "")

    monkeypatch.setattr("cpc_engine.storage.files.os.fsync", refuse)
    with pytest.raises(StorageError):
        files.write_json(path, {"a": 2})
    assert files.read_json(path) == {"a": 1}
    assert list(tmp_path.iterdir()) == [path]


# --- failures of training ------------------------------------------------------------------------------------------


def test_too_few_items_for_a_map_are_refused_before_training(tmp_path: Path) -> None:
    folder = RunFolder.create(tmp_path, tiny(data__test_items=4))
    end = execute(folder, Control())
    assert end == State("failed", "tones: too few held-out items for a map, 4 where 5 are needed")
    assert folder.records() == []
    assert execute(RunFolder.create(tmp_path, tiny(data__test_items=5)), Control()).status == "finished"


def test_an_unexpected_error_ends_the_run_with_one_line_and_a_logged_traceback(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def explode(*_: object) -> None:
        raise ZeroDivisionError("by zero\nand more")

    monkeypatch.setattr("cpc_engine.execution.execute.geometry_metrics", explode)
    folder = RunFolder.create(tmp_path, tiny())
    end = execute(folder, Control())
    lines = [json.loads(line) for line in (folder.path / "log.jsonl").read_text().splitlines()]
    [line] = [line for line in lines if line["level"] == "error"]
    message = f"unexpected ZeroDivisionError: by zero ({line['id']} in log.jsonl)"
    assert end == State("failed", message, unexpected=True)
    assert folder.info().message == end.message
    assert (line["error"], line["message"]) == ("ZeroDivisionError", "by zero\nand more")
    assert "Traceback" in line["traceback"]


def test_a_diverged_run_keeps_finite_weights(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    clip = Trainer._clip
    monkeypatch.setattr(Trainer, "_clip", lambda self: clip(self) * (float("nan") if self.steps_done == 2 else 1))
    folder = RunFolder.create(tmp_path, tiny(optimizer__steps=5))
    end = execute(folder, Control())
    assert end == State("diverged", "the loss or a gradient stopped being a finite number")
    assert [record["step"] for record in folder.records()] == [1, 2, 3]
    assert folder.info().steps_done == 2
    assert all(bool(torch.isfinite(tensor).all()) for tensor in folder.tensors("weights").values())
    assert not folder.has("map")
    assert not folder.has_tensors("typicality")
    with pytest.raises(RunError, match="has no map: it diverged"):
        Placer(folder)
    with pytest.raises(RunError, match="diverged; start a new run"):
        check_resumable(folder)


@pytest.mark.parametrize("spoiled", [float("nan"), float("inf"), 1e30])
@pytest.mark.parametrize("at", [5, 6])
@pytest.mark.parametrize("kept", [True, False])
def test_a_network_that_is_no_longer_finite_costs_no_good_weights(
    spoiled: float, at: int, kept: bool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Spoiled by the last step, after a finite loss, or by the one before it."""
    update, good = Trainer._update_momentum_encoders, {}

    def spoil(self: Trainer) -> None:
        update(self)
        if self.steps_done == 3:  # the fourth step is going on
            good.update({name: tensor.clone() for name, tensor in self.model.weights().items()})
        if self.steps_done == at - 1:
            with torch.no_grad():
                for parameter in self.model.parameters():
                    parameter.fill_(spoiled)

    monkeypatch.setattr(Trainer, "_update_momentum_encoders", spoil)
    every = 2 if kept else 100
    folder = RunFolder.create(tmp_path, tiny(optimizer__steps=6, run__checkpoint_every=every))
    end = execute(folder, Control())
    assert (end.status, folder.info().status) == ("diverged", "diverged")
    assert not folder.has("map")
    if kept:
        stored = folder.tensors("weights")
        assert stored.keys() == good.keys()
        assert all(torch.equal(stored[name], good[name]) for name in good)
        assert folder.info().steps_done == 4
    else:
        assert not folder.has_tensors("weights")


def test_an_active_run_cannot_be_deleted(copied: RunFolder) -> None:
    copied.update(status="running")
    with pytest.raises(RunError, match="stop it first"):
        copied.delete()
    copied.update(status="stopped")
    copied.delete()
    assert not copied.path.exists()


def test_an_example_cannot_be_changed(copied: RunFolder) -> None:
    copied.update(status="stopped")
    copied.mark_example("How it looks when it works.", 1)
    before = {path.name: path.read_bytes() for path in copied.path.iterdir()}
    for change in (
        lambda: copied.rename("mine", ""),
        lambda: discard(copied.id, copied.path.parent),
        lambda: check_resumable(copied),
    ):
        with pytest.raises(RunError, match="an example that ships with the lab"):
            change()
    assert {path.name: path.read_bytes() for path in copied.path.iterdir()} == before
    assert not trashed(copied.path.parent)
