"""Files that another process writes or deletes between two looks at them are there or not there, and no error."""

from __future__ import annotations

import contextlib
import json
import os
import shutil
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from cpc_engine.config import RunConfig
from cpc_engine.errors import RunError
from cpc_engine.execution.progress import stored_records
from cpc_engine.storage import trash
from cpc_engine.storage.files import append_line, read_lines
from cpc_engine.storage.folder import RunFolder
from cpc_engine.sweeps.background import list_sweeps
from cpc_engine.sweeps.study import FOLDER
from tests.support.tiny import tiny

Looks = Callable[[Path, int, Callable[[], None]], None]


@pytest.fixture
def after_look(monkeypatch: pytest.MonkeyPatch) -> Looks:
    """Have something done right after the nth look at a file, whichever way the look is made."""

    def install(target: Path, nth: int, act: Callable[[], None]) -> None:
        looks = [0]
        real_stat, real_lstat = os.stat, os.lstat

        def looked(real: Callable[..., os.stat_result]) -> Callable[..., os.stat_result]:
            def look(path: Path | str | int, *args: object, **kwargs: object) -> os.stat_result:
                try:
                    return real(path, *args, **kwargs)
                finally:
                    if str(path) == str(target):
                        looks[0] += 1
                        if looks[0] == nth:
                            act()

            return look

        monkeypatch.setattr(os, "stat", looked(real_stat))
        monkeypatch.setattr(os, "lstat", looked(real_lstat))

    return install


@pytest.mark.parametrize("nth", [1, 2, 3])
def test_lines_that_appear_meanwhile(tmp_path: Path, after_look: Looks, nth: int) -> None:
    path = tmp_path / "events.jsonl"
    after_look(path, nth, lambda: append_line(path, {"step": 1}))
    assert read_lines(path, lambda row: True) in ([], [{"step": 1}])


@pytest.mark.parametrize("nth", [1, 2, 3])
def test_lines_that_are_deleted_meanwhile(tmp_path: Path, after_look: Looks, nth: int) -> None:
    path = tmp_path / "events.jsonl"
    append_line(path, {"step": 1})
    after_look(path, nth, path.unlink)
    assert read_lines(path, lambda row: True) in ([], [{"step": 1}])


@pytest.mark.parametrize("nth", [1, 2])
def test_a_stamp_of_records_that_are_deleted_meanwhile(tmp_path: Path, after_look: Looks, nth: int) -> None:
    folder = RunFolder.create(tmp_path, tiny())
    path = folder.path / "metrics.jsonl"
    path.touch()
    written = path.stat().st_mtime_ns
    after_look(path, nth, path.unlink)
    assert folder.stamp("metrics") in ((written,), (0,))


@pytest.mark.parametrize("nth", [1, 2])
def test_records_that_are_deleted_while_they_are_read(tmp_path: Path, after_look: Looks, nth: int) -> None:
    folder = RunFolder.create(tmp_path, tiny())
    path = folder.path / "metrics.jsonl"
    path.touch()
    after_look(path, nth, path.unlink)
    assert stored_records(folder) == ()
    assert not path.exists(), "it was looked at that often"


@pytest.mark.parametrize("nth", range(1, 6))
def test_a_run_of_another_machine_is_deleted_while_it_is_asked(tmp_path: Path, after_look: Looks, nth: int) -> None:
    folder = RunFolder.create(tmp_path, tiny())
    path = folder.path / "run.json"
    path.write_text(json.dumps(json.loads(path.read_text()) | {"status": "running", "machine": "another"}))
    after_look(path, nth, path.unlink)
    with contextlib.suppress(RunError):  # in one line that run.json is missing
        assert folder.info().status in ("running", "interrupted")


def test_the_trash_is_emptied_and_a_sweep_deleted_while_they_are_listed(tmp_path: Path, after_look: Looks) -> None:
    discarded = tmp_path / trash.NAME / "a-run"
    discarded.mkdir(parents=True)
    after_look(discarded, 1, lambda: shutil.rmtree(discarded))
    assert trash.trashed(tmp_path) == []
    sweep = tmp_path / FOLDER / "one.db"
    sweep.parent.mkdir()
    sweep.touch()
    after_look(sweep, 1, sweep.unlink)
    assert list_sweeps(tmp_path) in ([], ["one"])


def test_a_name_given_while_settings_follow_from_the_data_is_kept(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A worker settles what "follows the data" means while the person who started the run gives it another name."""
    folder = RunFolder.create(tmp_path, tiny())
    read = RunFolder.config

    def slowly(self: RunFolder) -> RunConfig:
        config = read(self)
        time.sleep(0.05)  # so that both have read before one of them writes, unless one waits for the other
        return config

    with monkeypatch.context() as patch, ThreadPoolExecutor() as threads:
        patch.setattr(RunFolder, "config", slowly)
        named = threads.submit(folder.rename, "another", "a note")
        threads.submit(folder.settle, {"sampler.sigma": 0.7}).result()
        named.result()
    config = folder.config()
    assert (config.sampler.sigma, config.run.name, config.run.note) == (0.7, "another", "a note")
    assert folder.info().name == "another"
