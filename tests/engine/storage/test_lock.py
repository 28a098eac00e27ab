"""Tests of the lock of a run folder, across threads and processes that are killed."""

from __future__ import annotations

import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from cpc_engine.errors import RunError, StorageError
from cpc_engine.execution.evaluate import evaluate_run
from cpc_engine.execution.execute import State, execute
from cpc_engine.storage.folder import RunFolder
from cpc_engine.storage.format import FORMAT
from cpc_engine.storage.lock import at_work
from cpc_engine.storage.process import started
from cpc_engine.training.control import Control
from tests.support.forks import Fork
from tests.support.paths import REPOSITORY
from tests.support.tiny import tiny, wait_until

HOLD = """
import sys, time
from pathlib import Path
from cpc_engine.storage.format import FORMAT
from cpc_engine.storage.lock import at_work
from cpc_engine.storage.process import started
with at_work(Path(sys.argv[1])):
    print("held", flush=True)
    time.sleep(60)
"""


@contextmanager
def held(folder: RunFolder) -> Iterator[subprocess.Popen[str]]:
    """A process that holds the lock of a run, until the end of the block at most."""
    command = [sys.executable, "-c", HOLD, folder.path]
    with subprocess.Popen(command, cwd=REPOSITORY, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == "held\n"
        yield process
        process.kill()


@pytest.fixture
def interrupted(tmp_path: Path) -> RunFolder:
    folder = RunFolder.create(tmp_path, tiny(optimizer__steps=3))
    folder.update(status="interrupted")
    return folder


def test_nobody_trains_or_evaluates_a_run_that_is_at_work(interrupted: RunFolder) -> None:
    with held(interrupted):
        before = {path.name: path.read_bytes() for path in interrupted.path.iterdir()}
        state = execute(interrupted, Control(), resume=True)
        assert state.status == "failed"
        assert "is at work on it" in state.message
        assert {path.name: path.read_bytes() for path in interrupted.path.iterdir()} == before
    assert execute(interrupted, Control(), resume=True) == State("finished")
    with at_work(interrupted.path), pytest.raises(RunError, match="is at work on it"):
        evaluate_run(interrupted)


@pytest.mark.slow
def test_of_two_processes_that_resume_a_run_at_once_one_says_who_is_at_work(
    interrupted: RunFolder, tmp_path_factory: pytest.TempPathFactory
) -> None:
    said_in = tmp_path_factory.mktemp("said")  # not among the runs
    both = [
        Fork("tests.support.resumed", str(interrupted.path), place=REPOSITORY, out=said_in / name)
        for name in ("one", "two")
    ]
    said = [process.communicate(timeout=200)[0].strip() for process in both]
    assert sorted("is at work on it" in line for line in said) in (
        [False, True],
        [False, False],
    )  # or one after another
    assert [record["step"] for record in interrupted.records()] == [1, 2, 3]
    assert interrupted.info().status == "finished"


def test_a_killed_process_releases_the_lock_even_where_nobody_waits_for_it(interrupted: RunFolder) -> None:
    with held(interrupted) as process:
        facts = {
            **vars(interrupted.info()),
            "status": "running",
            "pid": process.pid,
            "pid_started": started(process.pid),
        }
        interrupted.save_json("run", {"format": FORMAT, **facts})
        assert interrupted.info().status == "running"
        process.send_signal(signal.SIGKILL)
        wait_until(lambda: interrupted.info().status == "interrupted", "the zombie to be noticed")
        with at_work(interrupted.path):
            pass


def test_what_a_killed_process_left_half_written_is_swept(interrupted: RunFolder) -> None:
    (interrupted.path / ".weights.safetensors.0f0f0f0f.part").write_bytes(b"half")
    with at_work(interrupted.path):
        assert not list(interrupted.path.glob(".*.part"))


def test_a_folder_that_is_gone_is_one_sentence(tmp_path: Path) -> None:
    with pytest.raises(StorageError, match="gone"), at_work(tmp_path / "gone"):
        pass
