"""The list of runs is what reading every file anew would give, and files that stay as they are are read once."""

from __future__ import annotations

import os
import random
import shutil
import time
from dataclasses import replace
from pathlib import Path

import pytest

from cpc_engine.errors import CpcError
from cpc_engine.storage import folder as folder_module
from cpc_engine.storage import listing
from cpc_engine.storage.folder import RunFolder
from cpc_engine.storage.info import RunInfo
from cpc_engine.storage.listing import list_runs, scan_runs
from tests.support.tiny import tiny


def all_anew(root: Path) -> tuple[list[RunInfo], int]:
    """(runs, number of broken folders), each file read."""
    found, broken = [], 0
    for path in root.iterdir():
        try:
            config = RunFolder(path).config()
            found.append(replace(RunFolder(path).info(), seed=config.run.seed, note=config.run.note))
        except CpcError:
            broken += 1
    return sorted(found, key=lambda info: (info.created, info.id)), broken


def made(root: Path, status: str = "finished", age: float = 60) -> RunFolder:
    folder = RunFolder.create(root, tiny())
    folder.update(status=status)
    aged(folder, age)
    return folder


def aged(folder: RunFolder, seconds: float = 60) -> None:
    for name in ("config.json", "run.json"):
        if (folder.path / name).exists():
            os.utime(folder.path / name, (0, time.time() - seconds))


@pytest.mark.parametrize("seed", range(6))
def test_after_any_changes_it_is_what_the_files_say(tmp_path: Path, seed: int) -> None:
    rng = random.Random(seed)
    folders = [made(tmp_path, rng.choice(["finished", "stopped", "running", "failed"])) for _ in range(6)]
    for _ in range(40):
        folder = rng.choice(folders)
        act = rng.choice(["rename", "update", "damage", "mend", "remove", "copy", "nothing"])
        if act == "damage":  # in place, of the same size
            path = folder.path / rng.choice(["config.json", "run.json"])
            if path.exists():
                path.write_text(path.read_text().replace("{", "[", 1))
        elif act == "mend":
            for path in folder.path.glob("*.json"):
                path.write_text(
                    path.read_text().replace("[", "{", 1) if path.read_text()[0] == "[" else path.read_text()
                )
        elif act == "remove":
            shutil.rmtree(folder.path, ignore_errors=True)
        elif act == "copy" and folder.path.exists():
            folders.append(RunFolder(Path(shutil.copytree(folder.path, tmp_path / f"copy-{rng.randrange(10**9)}"))))
        elif folder.path.exists() and act in ("rename", "update"):
            try:
                if act == "rename":
                    folder.rename(rng.choice(["one", "two"]), rng.choice(["", "a note"]))
                else:
                    folder.update(status=rng.choice(["stopped", "finished"]))
            except CpcError:
                pass  # damaged
        if rng.random() < 0.5:
            aged(folder, rng.choice([2, 60]))
        runs, broken = scan_runs(tmp_path)
        expected = all_anew(tmp_path)
        assert (sorted(runs, key=lambda info: (info.created, info.id)), len(broken)) == expected


def test_of_runs_that_have_ended_no_file_is_read_again(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for _ in range(3):
        made(tmp_path)
    going_on = made(tmp_path, "running")
    first = list_runs(tmp_path)
    read: list[Path] = []
    real = folder_module.read_json
    monkeypatch.setattr(folder_module, "read_json", lambda path: read.append(path) or real(path))
    assert list_runs(tmp_path) == first
    assert {path.parent for path in read} == {going_on.path}, "its process may end without a word"


def test_a_file_that_was_just_written_is_not_trusted(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Two writes within one tick of the clock of a file system have the same time of change."""
    folder = made(tmp_path, age=0)
    stamp = (folder.path / "run.json").stat().st_mtime_ns
    assert list_runs(tmp_path)[0].status == "finished"
    text = (folder.path / "run.json").read_text()
    (folder.path / "run.json").write_text(text.replace('"finished"', '"diverged"'))
    os.utime(folder.path / "run.json", ns=(stamp, stamp))
    assert list_runs(tmp_path)[0].status == "diverged"


def test_few_folders_of_runs_are_kept_in_mind(tmp_path: Path) -> None:
    for number in range(10):
        made(tmp_path / str(number))
        list_runs(tmp_path / str(number))
    assert len(listing._kept) <= 4
