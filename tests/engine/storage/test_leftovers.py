"""A process that is killed while folders come and go leaves nothing that is listed or stays."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest
import torch

from cpc_engine.errors import StorageError
from cpc_engine.execution.execute import execute
from cpc_engine.maps import stored
from cpc_engine.maps.stored import keep_map, load_map
from cpc_engine.storage.files import read_tensors
from cpc_engine.storage.folder import RunFolder
from cpc_engine.storage.leftovers import making, sweep
from cpc_engine.storage.listing import scan_runs
from cpc_engine.storage.trash import discard, empty, restore, trashed
from cpc_engine.training.control import Control
from tests.support.tiny import tiny

KILLED = """
import os, shutil, sys
from pathlib import Path
from cpc_engine.storage import files, folder, leftovers, trash
from tests.support.tiny import tiny
root = Path(sys.argv[1])
{patch}
{act}
os._exit(7)
"""
DIES_IN_RMTREE = (
    "leftovers.shutil.rmtree = lambda path, **_: (next(Path(path).rglob('run.json')).unlink(), os._exit(9))"
)


def killed(root: Path, patch: str, act: str) -> None:
    """Run `act` in a process that ends without any cleaning up, where `patch` says."""
    done = subprocess.run([sys.executable, "-c", KILLED.format(patch=patch, act=act), str(root)], check=False)
    assert done.returncode == 9


@pytest.mark.parametrize("where", ["_write_config", "_write_info"])
def test_a_run_killed_while_it_is_made_leaves_nothing(where: str, tmp_path: Path) -> None:
    patch = f"folder.RunFolder.{where} = lambda *_: os._exit(9)"
    killed(tmp_path, patch, "folder.RunFolder.create(root, tiny())")
    assert scan_runs(tmp_path) == ([], [])
    made = RunFolder.create(tmp_path, tiny())
    assert [path.name for path in tmp_path.iterdir()] == [made.id]
    assert made.info().id == made.id


def test_a_run_killed_while_it_is_deleted_is_gone(tmp_path: Path) -> None:
    for run in (RunFolder.create(tmp_path, tiny()) for _ in range(2)):
        run.update(status="stopped")
        discard(run.id, tmp_path)
    killed(tmp_path, DIES_IN_RMTREE, "trash.empty(root)")
    assert trashed(tmp_path) == []
    run = RunFolder.create(tmp_path, tiny())
    run.update(status="stopped")
    killed(tmp_path, DIES_IN_RMTREE, f"folder.RunFolder(root / {run.id!r}).remove()")
    assert scan_runs(tmp_path) == ([], [])
    sweep(tmp_path)
    assert list(tmp_path.iterdir()) == []


def test_what_lies_in_the_trash_is_whole(tmp_path: Path) -> None:
    run = RunFolder.create(tmp_path, tiny())
    run.update(status="stopped")
    discard(run.id, tmp_path)
    killed(tmp_path, DIES_IN_RMTREE, f"leftovers.remove_folder(root / '.trash' / {run.id!r})")
    assert trashed(tmp_path) == []
    other = RunFolder.create(tmp_path, tiny())
    other.update(status="stopped")
    discard(other.id, tmp_path)
    restore(other.id, tmp_path)
    assert RunFolder.open(other.id, tmp_path).info().status == "stopped"
    empty(tmp_path)
    assert [path.name for path in tmp_path.iterdir()] == [other.id]


def test_what_a_living_process_makes_is_left_alone(tmp_path: Path) -> None:
    with making(tmp_path / "one") as hidden:
        sweep(tmp_path)
        assert hidden.is_dir()
        with making(tmp_path / "two"):
            assert hidden.is_dir()
    assert sorted(path.name for path in tmp_path.iterdir()) == ["one", "two"]
    with pytest.raises(ZeroDivisionError), making(tmp_path / "three"):
        _ = 1 / 0
    assert sorted(path.name for path in tmp_path.iterdir()) == ["one", "two"]


def test_snapshots_are_projected_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Killed while the map is fitted, after the snapshots were projected."""

    class Killed(BaseException):
        pass

    def die(*_: object) -> None:
        raise Killed

    folder = RunFolder.create(tmp_path, tiny(context__hidden_dim=48, optimizer__steps=4))
    monkeypatch.setattr("cpc_engine.execution.execute.save_maps", die)
    with pytest.raises(Killed):
        execute(folder, Control())
    monkeypatch.undo()
    before = (folder.path / "evolution.safetensors").read_bytes()
    assert read_tensors(folder.path / "evolution.safetensors")["features"].shape[2] < 48
    assert execute(folder, Control(), resume=True).status == "finished"
    assert (folder.path / "evolution.safetensors").read_bytes() == before


def test_a_map_is_written_whole_or_not_at_all(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    folder = RunFolder.create(tmp_path, tiny())
    assert execute(folder, Control()).status == "finished"
    before = load_map(folder)

    def full(*_: object) -> None:
        raise StorageError("no space left")

    monkeypatch.setattr(RunFolder, "save_json", full)
    with pytest.raises(StorageError):
        keep_map(folder, "umap")
    after = stored._read(folder)
    assert after.maps.keys() == before.maps.keys()
    for name in before.maps:
        assert torch.equal(torch.tensor(after.maps[name].layout), torch.tensor(before.maps[name].layout))
