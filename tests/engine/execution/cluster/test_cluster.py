"""Runs on a Dask cluster of two processes of this machine, which one after another are killed."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from cpc_engine.cli import main
from cpc_engine.config import RunConfig
from cpc_engine.errors import ClusterError, ConfigError
from cpc_engine.execution.channel import Channel
from cpc_engine.execution.execute import execute
from cpc_engine.execution.manager import RunManager
from cpc_engine.execution.place import executor
from cpc_engine.storage.folder import RunFolder
from cpc_engine.storage.listing import list_runs
from cpc_engine.storage.lock import at_work
from cpc_engine.training.control import Control
from tests.support.tiny import CHANGES, tiny
from tests.support.watched import patiently as wait_until
from tests.support.watched import status, step

pytest.importorskip("distributed")
from cpc_engine.execution.cluster import client as connection
from cpc_engine.execution.cluster.local import start_local
from cpc_engine.execution.cluster.submit import _Follower, follow

LONG = 100_000  # steps: never reached


@pytest.fixture(scope="module")
def cluster() -> Iterator[tuple[str, subprocess.Popen[str]]]:
    """Address and process of a scheduler with two workers."""
    address, process = start_local(2)
    yield address, process
    process.kill()
    process.wait()
    for pipe in (process.stdin, process.stdout):
        assert pipe is not None
        pipe.close()


@pytest.fixture
def manager(tmp_path: Path, cluster: tuple[str, subprocess.Popen[str]]) -> Iterator[RunManager]:
    manager = RunManager(tmp_path, cluster=cluster[0])
    yield manager
    manager.close()


@pytest.fixture
def threads(tmp_path: Path) -> Iterator[RunManager]:
    manager = RunManager(tmp_path, cluster="threads")
    yield manager
    manager.close()


def trained_here(root: Path, config: RunConfig) -> RunFolder:
    """The same run, trained in this thread."""
    folder = RunFolder.create(root, config)
    assert execute(folder, Control()).status == "finished"
    return folder


def settings_in(channel: Channel) -> set[str]:
    """The settings whose change waits in a channel; a new name may wait beside them."""
    return {request["setting"] for request in channel.requests().values() if "setting" in request}


def untimed(folder: RunFolder) -> list[dict[str, Any]]:
    """The records of a run without the seconds."""
    return [{key: value for key, value in record.items() if key != "seconds"} for record in folder.records()]


def test_a_run_on_the_cluster_is_the_run_in_threads(
    manager: RunManager, tmp_path: Path, cluster: tuple[str, subprocess.Popen[str]]
) -> None:
    config = tiny(optimizer__steps=20, evaluation__every=5)
    there = manager.start(config)
    expected = untimed(trained_here(tmp_path, config))
    ended = status(manager, there, "finished")
    (tmp_path / "config.json").write_text(config.to_json())
    command = ["train", "--config", str(tmp_path / "config.json"), "--runs", str(tmp_path / "cli")]
    assert main([*command, "--cluster", cluster[0]]) == 0
    [told] = list_runs(tmp_path / "cli")
    assert len(expected) == 20
    for folder in (RunFolder(tmp_path / there), RunFolder(tmp_path / "cli" / told.id)):
        assert untimed(folder) == expected
        assert not Channel(folder.path).is_open
        assert folder.has("map", "weights", "checkpoint", "ood")
    assert list(ended.records) == RunFolder(tmp_path / there).records()
    assert ended.where == ""


def test_pause_change_rename_continue_stop_resume(manager: RunManager, tmp_path: Path) -> None:
    """Also from an app that has not started the run."""
    run = manager.start(tiny(optimizer__steps=LONG))
    step(manager, run, 2)
    other = RunManager(tmp_path)
    assert other.active() == [run]
    other.pause(run)
    paused = status(manager, run, "paused")
    assert status(other, run, "paused").where.startswith("cluster, ")
    with pytest.raises(ConfigError):
        manager.change(run, "loss.temperature", 0)
    manager.change(run, "loss.temperature", "0.5")
    manager.rename(run, "renamed", "a note")
    folder = RunFolder(tmp_path / run)
    wait_until(lambda: folder.config().run.name == "renamed", "the new name")
    manager.change(run, "sampler.sigma", 0.2)
    both = {"loss.temperature", "sampler.sigma"}
    wait_until(lambda: both <= settings_in(Channel(folder.path)), "both changes in the channel")
    manager.unpause(run)
    other.unpause(run)
    step(manager, run, paused.step + 2)
    wait_until(lambda: not Channel(folder.path).requests(), "the changes to be taken")
    manager.stop(run)
    ended = status(manager, run, "stopped")
    assert status(other, run, "stopped").step == ended.step
    other.close()
    assert {r["temperature"] for r in ended.records if r["step"] > paused.step} == {0.5}
    assert {r["temperature"] for r in ended.records if r["step"] <= paused.step} == {0.2}
    events = [(event["kind"], event["step"], event.get("setting")) for event in ended.events]
    assert sorted(events) == sorted(
        [
            ("pause", paused.step, None),
            ("continue", paused.step, None),
            ("change", paused.step, "loss.temperature"),
            ("change", paused.step, "sampler.sigma"),
        ]
    )
    assert folder.info().name == "renamed"
    manager.resume(run)
    step(manager, run, ended.step + 2)
    manager.stop(run)
    assert [r["step"] for r in status(manager, run, "stopped").records][-1] > ended.step


def test_a_killed_worker_loses_no_step(manager: RunManager, tmp_path: Path) -> None:
    config = tiny(optimizer__steps=120, run__checkpoint_every=10)
    run = manager.start(config)
    step(manager, run, 25)
    folder = RunFolder(tmp_path / run)
    os.kill(folder.info().pid, signal.SIGKILL)
    assert status(manager, run, "finished").step == 120
    assert "its worker was lost" in (folder.path / "log.jsonl").read_text()
    resumed = [event["step"] for event in folder.events() if event["kind"] == "resume"]
    assert len(resumed) == 1
    assert resumed[0] >= 20
    assert resumed[0] % 10 == 0
    assert untimed(folder) == untimed(trained_here(tmp_path, config))


def test_a_run_that_no_worker_goes_on_with_is_stopped_where_it_is(tmp_path: Path) -> None:
    class Waiting:
        """The task of a run whose worker has died, until another worker is free."""

        status, cancelled = "pending", False

        def cancel(self) -> None:
            self.cancelled = True

    folder = trained_here(tmp_path, tiny(optimizer__steps=6))
    folder.update(status="interrupted", message="")
    control, task = Control(), Waiting()
    control.stop()
    state = follow(folder, control, lambda observed: None, future=task)
    assert (state.status, state.message) == ("stopped", "stopped while it waited for another worker")
    assert (folder.info().status, folder.info().message) == (state.status, state.message)
    assert task.cancelled
    assert len(folder.records()) == 6


def test_changes_are_sent_before_a_pause_ends(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    folder, sent = RunFolder.create(tmp_path, tiny()), list[object]()
    monkeypatch.setattr(Channel, "set", lambda self, flag, on: sent.append((flag, on)))
    monkeypatch.setattr(Channel, "send", lambda self, request: sent.append(request["setting"]))
    control = Control()
    follower = _Follower(folder, control, lambda observed: None, None, None)
    control.pause()
    follower._send()
    control.change(folder.config(), "loss.temperature", "0.5")
    control.resume()
    follower._send()
    assert sent == [("pause", True), "loss.temperature", ("pause", False)]


def test_of_two_on_one_folder_one_is_refused(manager: RunManager, tmp_path: Path) -> None:
    run = manager.start(tiny(optimizer__steps=LONG))
    at = step(manager, run, 2).step
    folder = RunFolder(tmp_path / run)
    refused = execute(folder, Control(), resume=True)
    assert refused.status == "failed"
    assert "another process or thread is at work on it" in refused.message
    step(manager, run, at + 2)
    manager.stop(run)
    ended = status(manager, run, "stopped")
    with at_work(folder.path):
        manager.resume(run)
        assert "another process or thread" in status(manager, run, "failed").message
    assert [r["step"] for r in folder.records()][-1] == ended.step


def test_a_run_that_asks_for_a_gpu_waits_for_a_worker_that_has_one(manager: RunManager, tmp_path: Path) -> None:
    import torch

    if torch.cuda.is_available():
        pytest.skip("the workers have one")
    run = manager.start(tiny(run__device="cuda"))
    wait_until(lambda: manager.progress_of(run).phase == "waiting for a worker with a GPU", "what it waits for")
    manager.stop(run)
    assert status(manager, run, "stopped").message == "stopped before it began"
    assert manager.active() == []
    assert RunFolder(tmp_path / run).info().status == "stopped"


def test_a_sweep_trains_and_measures_there(tmp_path: Path, cluster: tuple[str, subprocess.Popen[str]]) -> None:
    pytest.importorskip("optuna")
    sets = [part for path, value in CHANGES.items() for part in ("--set", f"{path}={value}")]
    grid = ["--grid", "loss.temperature=0.1,0.3", "--runs", str(tmp_path), "--cluster", cluster[0]]
    assert main(["sweep", "s", "--preset", "tones", *sets, *grid]) == 0
    runs = list_runs(tmp_path)
    assert [run.status for run in runs] == ["finished", "finished"]
    for run in runs:
        folder = RunFolder(tmp_path / run.id)
        assert folder.json("evaluation") is not None
        assert (folder.path / ".lock").exists()  # it was sent to the cluster
        assert not Channel(folder.path).is_open


def test_a_worker_that_leaves_hands_its_run_on(
    manager: RunManager, tmp_path: Path, cluster: tuple[str, subprocess.Popen[str]]
) -> None:
    run = manager.start(tiny(optimizer__steps=LONG))
    step(manager, run, 2)
    folder = RunFolder(tmp_path / run)
    first, client = folder.info().pid, connection.client_for(cluster[0])
    [leaving] = [address for address, keys in client.processing().items() if keys]
    client.retire_workers([leaving])
    wait_until(lambda: folder.info().pid != first and folder.info().status == "running", "another worker")
    step(manager, run, manager.progress_of(run).step + 2)
    steps = [record["step"] for record in folder.records()]
    assert steps == list(range(1, len(steps) + 1))
    manager.stop(run)
    status(manager, run, "stopped")


def test_a_killed_scheduler_loses_no_run(
    manager: RunManager,
    threads: RunManager,
    tmp_path: Path,
    cluster: tuple[str, subprocess.Popen[str]],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    first = [manager.start(tiny(optimizer__steps=LONG, run__checkpoint_every=2)) for _ in range(2)]
    wait_until(lambda: any(manager.progress_of(run).step > 4 for run in first), "a run to train")
    last, tasks = manager.start(tiny()), connection.client_for(cluster[0]).futures
    wait_until(lambda: any(str(key).startswith(last) for key in list(tasks)), "the last one to be submitted")
    cluster[1].kill()
    for run in (*first, last):
        ended = status(manager, run, "interrupted")
        assert ended.message == "the cluster's scheduler has gone; the run can be resumed"
        assert RunFolder(tmp_path / run).info().status == "interrupted"
    assert manager.active() == []
    monkeypatch.setattr(connection, "TIMEOUT", 0.5)
    with pytest.raises(ClusterError, match="no Dask scheduler answers at tcp://"):
        executor(cluster[0])
    manager.resume(last)
    assert "no Dask scheduler answers at tcp://" in status(manager, last, "interrupted").message
    assert RunFolder(tmp_path / last).info().status == "interrupted"
    threads.resume(last)
    assert status(threads, last, "finished").step == 3
    begun = max(first, key=lambda run: manager.progress_of(run).step)
    at = manager.progress_of(begun).step
    threads.resume(begun)
    assert step(threads, begun, at + 2).records[0]["step"] == 1
    threads.stop(begun)
    status(threads, begun, "stopped")


def test_without_dask_one_line_names_the_extra(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setitem(sys.modules, "distributed", None)
    for address in ("tcp://127.0.0.1:1", "local:2"):
        with pytest.raises(ConfigError, match=r'pip install "\.\[cluster\]"'):
            executor(address)
    with pytest.raises(ConfigError, match="is no cluster"):
        executor("node1:8786")
    monkeypatch.setenv("CPC_CLUSTER", "local")
    manager = RunManager(tmp_path)
    with pytest.raises(ConfigError, match="is not installed: in the folder"):
        manager.start(tiny())
    assert list(tmp_path.iterdir()) == []
    manager.close()
