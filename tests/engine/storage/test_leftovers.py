"""A process that is killed while folders come and go leaves nothing that is listed or stays."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path

import pytest
import torch

from cpc_engine.errors import StorageError
from cpc_engine.execution.execute import execute
from cpc_engine.maps import stored
from cpc_engine.maps.stored import keep_map, load_map
from cpc_engine.storage import leftovers
from cpc_engine.storage.files import read_tensors
from cpc_engine.storage.folder import RunFolder
from cpc_engine.storage.leftovers import making, sweep
from cpc_engine.storage.listing import scan_runs
from cpc_engine.storage.trash import discard, empty, restore, trashed
from cpc_engine.training.control import Control
from tests.support.tiny import tiny


def killed(act: Callable[[], object]) -> None:
    """Run `act` in a fork of this process, which has to end itself without any cleaning up."""
    child = os.fork()
    if child == 0:
        try:
            act()
        finally:
            os._exit(7)
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 9


def dies_in_rmtree(act: Callable[[], object]) -> None:
    """`act`, in a process that dies when the first file of a folder that it removes is gone."""

    def die(path: Path, **_: object) -> None:
        next(Path(path).rglob("run.json")).unlink()
        os._exit(9)

    leftovers.shutil.rmtree = die  # type: ignore[assignment]
    act()


@pytest.mark.parametrize("where", ["_write_config", "_write_info"])
def test_a_run_killed_while_it_is_made_leaves_nothing(where: str, tmp_path: Path) -> None:
    def create() -> None:
        setattr(RunFolder, where, lambda *_: os._exit(9))
        RunFolder.create(tmp_path, tiny())

    killed(create)
    assert scan_runs(tmp_path) == ([], [])
    made = RunFolder.create(tmp_path, tiny())
    assert [path.name for path in tmp_path.iterdir()] == [made.id]
    assert made.info().id == made.id


def test_a_run_killed_while_it_is_deleted_is_gone(tmp_path: Path) -> None:
    for run in (RunFolder.create(tmp_path, tiny()) for _ in range(2)):
        run.update(status="stopped")
        discard(run.id, tmp_path)
    killed(lambda: dies_in_rmtree(lambda: empty(tmp_path)))
    assert trashed(tmp_path) == []
    run = RunFolder.create(tmp_path, tiny())
    run.update(status="stopped")
    killed(lambda: dies_in_rmtree(run.remove))
    assert scan_runs(tmp_path) == ([], [])
    sweep(tmp_path)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("name", [".part-999999-1-abcdef-fedcba987654", ".part-999999-1-abcdef"])
def test_what_another_machine_makes_is_left_alone_for_a_day(name: str, tmp_path: Path) -> None:
    """Its processes are not those of this machine; names of earlier versions do not say whose they are."""
    (tmp_path / name).mkdir()
    RunFolder.create(tmp_path, tiny()).remove()
    assert [path.name for path in tmp_path.iterdir()] == [name]
    os.utime(tmp_path / name, (0, 0))
    sweep(tmp_path)
    assert list(tmp_path.iterdir()) == []


def test_what_lies_in_the_trash_is_whole(tmp_path: Path) -> None:
    run = RunFolder.create(tmp_path, tiny())
    run.update(status="stopped")
    discard(run.id, tmp_path)
    killed(lambda: dies_in_rmtree(lambda: leftovers.remove_folder(tmp_path / ".trash" / run.id)))
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
