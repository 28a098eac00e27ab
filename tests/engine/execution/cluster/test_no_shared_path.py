"""A Dask worker that shares no folder with the app: both know the address of an S3-compatible server, and no more."""

from __future__ import annotations

import os
import signal
from collections.abc import Iterator
from pathlib import Path

import pytest

from cpc_engine.execution.channel import Channel
from cpc_engine.execution.execute import execute
from cpc_engine.execution.manager import RunManager
from cpc_engine.storage.folder import RunFolder
from cpc_engine.storage.remote.mirrors import VARIABLE, local_root
from cpc_engine.training.control import Control
from tests.support.s3 import BUCKET, s3_server
from tests.support.stored import without_seconds
from tests.support.tiny import tiny
from tests.support.watched import patiently as wait_until
from tests.support.watched import status, step

pytest.importorskip("distributed")
from cpc_engine.execution.cluster.local import start_local

pytestmark = [pytest.mark.slow, pytest.mark.timeout(600)]
URL = f"s3://{BUCKET}/runs"


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with one for each machine."""
    folder = tmp_path_factory.mktemp("machines")
    for machine in ("app", "worker"):
        (folder / machine).mkdir()
    return folder


@pytest.fixture(scope="module")
def manager(place: Path) -> Iterator[RunManager]:
    """The app's; the worker has another folder for mirrors, and another working directory."""
    with pytest.MonkeyPatch.context() as patch, s3_server() as s3:
        for name, value in s3.environment().items():
            patch.setenv(name, value)
        patch.setenv(VARIABLE, str(place / "worker"))
        patch.chdir(place / "worker")
        address, process = start_local(1)
        patch.setenv(VARIABLE, str(place / "app"))
        patch.chdir(place / "app")
        manager = RunManager(local_root(URL), cluster=address)
        yield manager
        manager.close()
        process.kill()
        process.wait()
        for pipe in (process.stdin, process.stdout):
            assert pipe is not None
            pipe.close()


def resumed_at(folder: RunFolder) -> list[int]:
    """Return the steps from which workers have gone on with a run."""
    return [event["step"] for event in folder.events() if event["kind"] == "resume"]


def test_the_app_sees_and_steers_what_the_worker_trains(manager: RunManager, place: Path) -> None:
    """Records come while it goes; requests and a death pass through the URL, and no step is lost or doubled."""
    run = manager.start(tiny(optimizer__steps=100_000, run__checkpoint_every=10))
    step(manager, run, 5)
    folder = RunFolder(manager.root / run)
    assert folder.path.is_relative_to(place / "app")
    [trained] = (place / "worker").glob(f"*/{run}")
    assert manager.progress_of(run).where.startswith("cluster, ")
    manager.pause(run)
    paused = status(manager, run, "paused")
    manager.change(run, "loss.temperature", "0.5")
    manager.rename(run, "renamed", "a note")
    wait_until(lambda: RunFolder(trained).config().run.name == "renamed", "the new name")
    wait_until(lambda: any("setting" in one for one in Channel(trained).requests().values()), "the change")
    manager.unpause(run)
    before = step(manager, run, paused.step + 15)
    os.kill(folder.info().pid, signal.SIGKILL)
    # Its records arrive late: those of the killed worker may already be 30 steps ahead of what is seen here.
    wait_until(lambda: resumed_at(folder), "another worker to go on")
    step(manager, run, before.step + 30)
    manager.stop(run)
    ended = status(manager, run, "stopped")
    assert folder.info().name == "renamed"
    assert {record["temperature"] for record in folder.records() if record["step"] > paused.step + 1} == {0.5}
    assert [record["step"] for record in folder.records()] == list(range(1, ended.step + 1))
    [went_on] = resumed_at(folder)
    assert went_on % 10 == 0 or went_on == paused.step  # where checkpoints are written
    wait_until(lambda: not Channel(folder.path).is_open, "the end of the channel")
    wait_until(lambda: not (trained / "channel").exists(), "its end at the worker")
    for path in trained.glob("[!.]*"):
        assert path.read_bytes() == (folder.path / path.name).read_bytes(), path.name


def test_a_run_there_is_the_run_here(manager: RunManager, tmp_path: Path) -> None:
    run = manager.start(tiny(optimizer__steps=20, evaluation__every=5))
    ended = status(manager, run, "finished")
    there = RunFolder(manager.root / run)
    here = RunFolder.create(tmp_path / "plain", there.config())
    assert execute(here, Control()).status == "finished"
    assert without_seconds(there) == without_seconds(here)
    assert list(ended.records) == there.records()
    assert there.has("weights", "map", "checkpoint", "ood")
