"""Full disks, unwritable folders, and writes that are whole or not there."""

from __future__ import annotations

import errno
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from cpc_engine.errors import StorageError
from cpc_engine.execution.execute import State, execute
from cpc_engine.storage import files
from cpc_engine.storage.folder import RunFolder
from cpc_engine.storage.listing import list_runs
from cpc_engine.training.control import Control
from tests.support.stored import Observation, orphan, same_weights, train, without_seconds
from tests.support.tiny import tiny


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
