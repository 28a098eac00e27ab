"""Tests of background runs: started, queued, controlled, and observed from many threads, and resumed after a crash."""

from __future__ import annotations

import errno
import json
import os
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest

from cpc_engine.errors import ConfigError, CpcError, RunError, StorageError
from cpc_engine.execution.manager import RunManager, manager_for
from cpc_engine.execution.progress import RunProgress
from cpc_engine.storage.folder import RunFolder
from cpc_engine.storage.lock import at_work
from tests.support.forks import Fork
from tests.support.tiny import CHANGES, tiny, wait_until
from tests.support.watched import status, step

LONG = 100_000  # steps: never reached


@pytest.fixture
def manager(tmp_path: Path) -> Iterator[RunManager]:
    manager = RunManager(tmp_path)
    yield manager
    manager.close(240)
    assert manager.active() == []


def long_run(manager: RunManager, **changes: Any) -> str:
    return manager.start(tiny(optimizer__steps=LONG, **changes))


def test_a_run_from_the_queue_to_its_end(manager: RunManager, tmp_path: Path) -> None:
    run = manager.start(tiny(run__name="mine"))
    ended = status(manager, run, "finished")
    assert (ended.id, ended.name, ended.step, ended.steps, ended.message) == (run, "mine", 3, 3, "")
    assert [record["step"] for record in ended.records] == [1, 2, 3]
    assert list(ended.records) == RunFolder(tmp_path / run).records()
    assert ended.seconds > 0
    with pytest.raises(RunError, match="not going on"):
        manager.stop(run)


def test_a_run_whose_turn_comes_while_another_is_at_work_on_it_has_not_failed(
    manager: RunManager, tmp_path: Path
) -> None:
    """As where it is evaluated on the command line meanwhile."""
    run = long_run(manager)
    step(manager, run, 2)
    manager.stop(run)
    ended = status(manager, run, "stopped")
    folder = RunFolder(tmp_path / run)
    with at_work(folder.path):
        manager.resume(run)
        assert "at work on it" in status(manager, run, "interrupted").message
        folder.update(status="running")
    assert folder.info().status == "running", "what the other one writes stays"
    folder.update(status="stopped")
    manager.resume(run)
    step(manager, run, ended.step + 1)
    manager.stop(run)


def test_pause_change_continue_stop(manager: RunManager, tmp_path: Path) -> None:
    run = long_run(manager)
    step(manager, run, 2)
    manager.pause(run)
    paused = status(manager, run, "paused")
    manager.change(run, "loss.temperature", "0.5")
    assert RunFolder(tmp_path / run).has_tensors("checkpoint")
    assert manager.active() == [run]
    assert manager.progress_of(run).step == paused.step
    manager.unpause(run)
    step(manager, run, paused.step + 2)
    manager.stop(run)
    ended = status(manager, run, "stopped")
    assert {r["temperature"] for r in ended.records if r["step"] > paused.step} == {0.5}
    assert {r["temperature"] for r in ended.records if r["step"] <= paused.step} == {0.2}
    events = [(event["kind"], event["step"]) for event in ended.events]
    assert events == [("pause", paused.step), ("continue", paused.step), ("change", paused.step)]
    assert ended.events[-1]["value"] == 0.5
    assert RunFolder(tmp_path / run).json("map") is not None


def test_a_paused_run_can_be_stopped(manager: RunManager) -> None:
    run = long_run(manager)
    step(manager, run, 1)
    manager.pause(run)
    status(manager, run, "paused")
    manager.stop(run)
    status(manager, run, "stopped")


def test_invalid_changes_are_refused_and_have_no_effect(manager: RunManager) -> None:
    run = long_run(manager)
    for path, value in (("loss.temperature", 0), ("loss.temprature", 1), ("optimizer.steps", 5), ("context.layers", 2)):
        with pytest.raises(ConfigError):
            manager.change(run, path, value)
    step(manager, run, 2)
    manager.stop(run)
    assert status(manager, run, "stopped").events == ()


def test_one_run_trains_while_others_wait(manager: RunManager) -> None:
    first, second, third = long_run(manager), manager.start(tiny()), manager.start(tiny())
    step(manager, first, 2)
    assert manager.active() == [first, second, third]
    assert [manager.progress_of(run).status for run in (second, third)] == ["queued", "queued"]
    manager.stop(first)
    assert status(manager, third, "finished").step == 3
    assert manager.progress_of(second).status == "finished"
    assert manager.active() == []


def test_a_stopped_queued_run_ends_at_once_and_can_be_resumed(manager: RunManager, tmp_path: Path) -> None:
    first, second = long_run(manager), manager.start(tiny())
    manager.stop(second)
    ended = manager.progress_of(second)  # without waiting: the run before it is still active
    assert (ended.status, ended.message) == ("stopped", "stopped before it began")
    assert RunFolder(tmp_path / second).info().status == "stopped"
    assert manager.active() == [first]
    manager.resume(second)
    manager.stop(first)
    assert status(manager, second, "finished").step == 3
    assert "stopped" not in (tmp_path / second / "log.jsonl").read_text()  # its first place in the queue was released


def test_resume_continues_at_the_checkpoint(manager: RunManager, tmp_path: Path) -> None:
    run = manager.start(tiny(optimizer__steps=40))
    step(manager, run, 1)
    manager.pause(run)
    at = status(manager, run, "paused").step
    manager.stop(run)
    status(manager, run, "stopped")
    assert manager.resume(run) == run
    ended = status(manager, run, "finished")
    assert [record["step"] for record in ended.records] == list(range(1, 41))
    assert ("resume", at) in [(event["kind"], event["step"]) for event in ended.events]
    with pytest.raises(RunError, match="has finished all its 40 steps"):
        manager.resume(run)


def test_of_concurrent_resumes_only_one_succeeds(manager: RunManager) -> None:
    run = manager.start(tiny(optimizer__steps=LONG))
    manager.stop(run)
    status(manager, run, "stopped")
    barrier = threading.Barrier(6)

    def resume(_: int) -> str:
        barrier.wait()
        try:
            return manager.resume(run)
        except RunError as error:
            return str(error)

    with ThreadPoolExecutor(6) as pool:
        answers = sorted(pool.map(resume, range(6)))
    assert answers == sorted([run] + [f"{run} is still going on"] * 5)
    manager.stop(run)
    status(manager, run, "stopped")


def test_records_of_a_resumed_run_are_not_shown_twice(manager: RunManager, tmp_path: Path) -> None:
    """After a crash there are records newer than the checkpoint; the resumed run produces them again."""
    folder = RunFolder.create(tmp_path, tiny(optimizer__steps=12, run__checkpoint_every=4))
    records = crashed(folder)
    run = manager.resume(folder.id)
    observed: list[list[int]] = []

    def done() -> bool:
        progress = manager.progress_of(run)
        observed.append([record["step"] for record in progress.records])
        return progress.status == "finished"

    wait_until(done, "the end")
    assert len(records) > 8
    assert all(steps == sorted(set(steps)) for steps in observed)
    assert observed[-1] == list(range(1, 13))


def crashed(folder: RunFolder) -> list[dict[str, Any]]:
    """Train a run to step 10 of 12 in this thread and simulate a crash, with a checkpoint at step 8."""
    from cpc_engine.execution.execute import execute
    from cpc_engine.training.control import Control

    class Crash(BaseException):
        pass

    def crash(observed: object) -> None:
        if isinstance(observed, dict) and observed["step"] == 10:
            raise Crash

    with pytest.raises(Crash):
        execute(folder, Control(), crash)
    values = json.loads((folder.path / "run.json").read_text())
    folder.save_json("run", values | {"pid_started": 1})
    assert folder.info().status == "interrupted"
    return folder.records()


def test_a_failed_run_has_a_one_line_reason_and_the_next_run_trains(manager: RunManager, tmp_path: Path) -> None:
    failing = manager.start(tiny(data__dataset="audio_folder", data__path=str(tmp_path / "missing")))
    unfit = manager.start(tiny(context__horizons=[500]))
    valid = manager.start(tiny())
    ended = status(manager, failing, "failed")
    assert ended.message.startswith("no such folder: ")
    assert "no horizon" in status(manager, unfit, "failed").message
    assert "\n" not in ended.message
    assert status(manager, valid, "finished").step == 3
    assert RunFolder(tmp_path / failing).info().message == ended.message


def test_a_full_disk_ends_the_run_and_not_the_manager(
    manager: RunManager, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    run = long_run(manager, run__checkpoint_every=1)
    step(manager, run, 2)
    with monkeypatch.context() as patch:
        full_disk(patch)
        ended = status(manager, run, "failed")
        assert "no space left on the disk" in ended.message
        assert RunFolder(tmp_path / run).info().status == "running"  # run.json could not be written
        with pytest.raises(StorageError, match="no space left"):
            manager.start(tiny())
        assert len(ended.records) >= 2
        assert [path.name for path in tmp_path.iterdir()] == [run]
    assert manager.progress_of(run).status == "failed"
    assert RunFolder(tmp_path / run).info().status == "failed"  # the disk has space again
    assert manager.resume(run) == run
    step(manager, run, ended.step + 1)
    manager.stop(run)
    status(manager, run, "stopped")


def full_disk(monkeypatch: pytest.MonkeyPatch) -> None:
    real = open

    def full(path: Any, mode: str = "r", **options: Any) -> Any:
        if mode[0] in "wa":
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        return real(path, mode, **options)

    for module in ("files", "folder"):
        monkeypatch.setattr(f"cpc_engine.storage.{module}.open", full, raising=False)


@pytest.mark.parametrize("resumed", [False, True])
def test_a_change_is_judged_beside_those_made_before(manager: RunManager, resumed: bool) -> None:
    """Whether a source of negatives is left depends on the others as they are now, not as the run began."""
    run = long_run(manager, sampler__in_batch=False, sampler__perturbed=True)
    step(manager, run, 1)
    manager.change(run, "sampler.shuffled", "input")
    if resumed:
        step(manager, run, manager.progress_of(run).step + 2)
        manager.stop(run)
        status(manager, run, "stopped")
        manager.resume(run)
        step(manager, run, manager.progress_of(run).step + 1)
    manager.change(run, "sampler.perturbed", False)
    with pytest.raises(ConfigError, match="No negatives are left"):
        manager.change(run, "sampler.shuffled", "off")
    manager.change(run, "sampler.perturbed", True)
    manager.change(run, "sampler.shuffled", "off")
    manager.stop(run)


def test_many_threads_may_control_and_observe_a_run(manager: RunManager) -> None:
    run = long_run(manager)
    step(manager, run, 1)
    barrier, failed = threading.Barrier(5), []

    def repeat(act: Callable[[], object]) -> None:
        barrier.wait()
        try:
            for _ in range(30):
                act()
        except BaseException as error:
            failed.append(error)

    def watch() -> None:
        progress = manager.progress_of(run)
        assert [record["step"] for record in progress.records] == list(range(1, progress.step + 1))

    acts = [lambda: manager.pause(run), lambda: manager.unpause(run), watch, lambda: manager.active()]
    acts.append(lambda: manager.change(run, "loss.temperature", 0.3))
    threads = [threading.Thread(target=repeat, args=(act,)) for act in acts]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60)
    assert not any(thread.is_alive() for thread in threads)
    assert failed == []
    manager.unpause(run)
    step(manager, run, manager.progress_of(run).step + 2)
    with ThreadPoolExecutor(4) as pool:
        started = list(pool.map(lambda _: manager.start(tiny()), range(4)))
    assert len(set(started)) == 4
    manager.stop(run)
    assert all(status(manager, queued, "finished").step == 3 for queued in started)


def test_progress_objects_do_not_change(manager: RunManager) -> None:
    run = long_run(manager)
    before = step(manager, run, 2)
    records = [dict(record) for record in before.records]
    step(manager, run, before.step + 3)
    assert list(before.records) == records
    manager.stop(run)


def test_there_is_one_manager_per_folder(tmp_path: Path) -> None:
    """A reloaded page finds the same manager and its active run."""
    (tmp_path / "runs").mkdir()
    with ThreadPoolExecutor(8) as pool:
        managers = set(pool.map(lambda _: manager_for(tmp_path / "runs"), range(8)))
    assert len(managers) == 1
    assert manager_for(tmp_path / "runs" / ".." / "runs") in managers
    assert manager_for(tmp_path) not in managers
    manager = manager_for(tmp_path / "runs")
    run = long_run(manager)
    observed: list[RunProgress] = []

    def reload() -> None:
        (active,) = manager_for(tmp_path / "runs").active()
        observed.append(step(manager_for(tmp_path / "runs"), active, 2))
        manager_for(tmp_path / "runs").stop(active)

    page = threading.Thread(target=reload)
    page.start()
    page.join(240)
    assert observed[0].id == run
    status(manager, run, "stopped")
    for each in (manager, manager_for(tmp_path)):
        each.close()


def test_a_run_on_disk_has_progress_too(manager: RunManager, tmp_path: Path) -> None:
    run = manager.start(tiny())
    expected = status(manager, run, "finished")
    other = RunManager(tmp_path)
    try:
        assert other.progress_of(run) == expected
        with pytest.raises(RunError, match=f"did you mean '{run}'"):
            other.progress_of(run[:-1])
        with pytest.raises(RunError, match="not going on in this process"):
            other.stop(run)
    finally:
        other.close()


def test_closing_stops_active_and_queued_runs(tmp_path: Path) -> None:
    manager = RunManager(tmp_path)
    first, second = long_run(manager), long_run(manager)
    step(manager, first, 1)
    manager.close(240)
    assert [manager.progress_of(run).status for run in (first, second)] == ["stopped", "stopped"]
    assert RunFolder(tmp_path / first).has_tensors("checkpoint")
    assert manager.active() == []


def test_a_run_whose_process_was_killed_is_interrupted_and_can_be_resumed(manager: RunManager, tmp_path: Path) -> None:
    changes = CHANGES | {"optimizer.steps": 120, "run.checkpoint_every": 5}
    (tmp_path / "config.json").write_text(tiny().replace(changes).to_json())
    command = ["train", "--config", "config.json", "--runs", "."]
    process = Fork("cpc_engine", *command, place=tmp_path, out=tmp_path / "out")
    try:
        (checkpoint,) = wait_until(lambda: list(tmp_path.glob("*/checkpoint.safetensors")), "a checkpoint")
        folder = RunFolder(checkpoint.parent)
        assert folder.info().status == "running"
        with pytest.raises(CpcError, match="still going on"):
            manager.resume(folder.id)
    finally:
        process.kill()
    progress = manager.progress_of(folder.id)
    assert progress.status == "interrupted"
    assert "can be resumed" in progress.message
    assert 5 <= progress.step < 120
    manager.resume(folder.id)
    ended = status(manager, folder.id, "finished")
    assert [record["step"] for record in ended.records] == list(range(1, 121))


def test_a_run_can_be_renamed_while_it_trains_and_afterwards(manager: RunManager, tmp_path: Path) -> None:
    run = long_run(manager, run__name="before", run__checkpoint_every=1)
    step(manager, run, 2)
    names = [f"name {number}" for number in range(20)]
    for name in names:  # the worker writes run.json after every step meanwhile
        manager.rename(run, name, "a note")
    assert manager.progress_of(run).name == names[-1]
    step(manager, run, manager.progress_of(run).step + 2)
    folder = RunFolder(tmp_path / run)
    assert (folder.info().name, folder.config().run.name, folder.config().run.note) == (names[-1], names[-1], "a note")
    with pytest.raises(ConfigError):
        manager.rename(run, "x" * 200, "")
    manager.stop(run)
    status(manager, run, "stopped")
    manager.rename(run, "after", "")
    assert manager.progress_of(run).name == "after"


def test_a_run_of_another_process_cannot_be_renamed(manager: RunManager, tmp_path: Path) -> None:
    folder = RunFolder.create(tmp_path, tiny())
    with pytest.raises(RunError, match="another process"):
        manager.rename(folder.id, "mine", "")


def test_progress_of_a_long_run_has_few_records(manager: RunManager, tmp_path: Path) -> None:
    from cpc_engine.storage.thinning import LIVE, STORED

    run = long_run(manager)
    step(manager, run, 2)
    manager.stop(run)
    ended = status(manager, run, "stopped")
    folder = RunFolder(tmp_path / run)
    row = ended.records[-1]
    lines = [json.dumps(row | {"step": number + 1}) for number in range(20_000)]
    (folder.path / "metrics.jsonl").write_text("\n".join(lines) + "\n")
    assert len(manager.progress_of(run).records) <= STORED
    state = folder.tensors("checkpoint")
    state["progress"][0] = 20_000
    folder.save_tensors("checkpoint", state)
    manager.resume(run)
    resumed = step(manager, run, 20_002)
    assert len(resumed.records) <= LIVE
    manager.stop(run)
    status(manager, run, "stopped")
    assert folder.info().loss_last is not None


def test_runs_that_train_together_learn_what_they_learn_alone(manager: RunManager, tmp_path: Path) -> None:
    """Also in bf16, where Fabric takes the backward pass of another thread for one that is not its own."""
    configs = [tiny(run__seed=seed, run__precision="bf16-mixed", optimizer__steps=25) for seed in (0, 1)]
    waiting = manager.start(configs[0])
    together = manager.start_together(configs)
    wait_until(lambda: not manager.active(), "all three runs")
    alone = [manager.start(config) for config in configs]
    wait_until(lambda: not manager.active(), "both again")
    for first, second in zip([*together, waiting], [*alone, alone[0]], strict=True):
        folders = [RunFolder(tmp_path / run) for run in (first, second)]
        assert [folder.info().status for folder in folders] == ["finished", "finished"], folders[0].info().message
        losses = [[record["loss"] for record in folder.records()] for folder in folders]
        assert losses[0] == pytest.approx(losses[1], rel=1e-3), "sums over another number of threads round otherwise"
