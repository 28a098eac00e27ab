"""The clock of the day is set by an hour, forward and back, while runs train, are watched, and get requests."""

from __future__ import annotations

import os
import time
from pathlib import Path

import pytest

from cpc_engine.execution.channel import Channel
from cpc_engine.execution.execute import Phase, State, execute
from cpc_engine.execution.manager import RunManager
from cpc_engine.storage import folder as folder_module
from cpc_engine.storage.folder import RunFolder
from cpc_engine.storage.listing import list_runs
from cpc_engine.storage.lock import LOCK
from cpc_engine.training.control import Control
from tests.support.clock import HOUR, Clock
from tests.support.stored import Observation, train, without_seconds
from tests.support.tiny import tiny

JUMPS = [(HOUR,), (-HOUR,), (HOUR, -HOUR), (-HOUR, HOUR), (HOUR, HOUR), (-HOUR, -HOUR)]


@pytest.mark.parametrize("jumps", JUMPS)
def test_a_run_goes_on_through_jumps(jumps: tuple[float, ...], tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    config = tiny(optimizer__steps=6, run__checkpoint_every=2, evaluation__every=3)
    expected = without_seconds(train(tmp_path / "calm", config))
    folder, left, seen = RunFolder.create(tmp_path, config), list(jumps), []

    def now() -> float:
        return real() + sum(jumps[: len(jumps) - len(left)])

    def observe(observed: Observation) -> None:
        if isinstance(observed, State | Phase):
            return
        if left and observed["step"] % 2:
            left.pop(0)
        seen.append(folder.info().status)
        [listed] = list_runs(tmp_path)
        progress = RunManager(tmp_path, workers=0).progress_of(folder.id)
        seen.extend([listed.status, progress.status])
        assert progress.seconds_left is None or progress.seconds_left >= 0
        assert progress.seconds >= 0

    real = time.time
    monkeypatch.setattr(time, "time", now)
    assert execute(folder, Control(), observe) == State("finished")
    assert set(seen) == {"running"}
    assert without_seconds(folder) == expected
    assert 0 <= folder.info().seconds < 1000
    assert [run.status for run in list_runs(tmp_path)] == ["finished"]


@pytest.fixture
def elsewhere(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> tuple[RunFolder, Clock]:
    """A run that another machine trains, which has just given a sign of life."""
    folder = RunFolder.create(tmp_path, tiny())
    Channel(folder.path).open()
    folder.update(status="running")
    monkeypatch.setattr(folder_module, "machine", lambda: "another")
    clock = Clock(monkeypatch)
    wrote(folder, clock)
    return folder, clock


def wrote(folder: RunFolder, clock: Clock, late: float = 0.0) -> None:
    """A sign of life, by a clock that is `late`."""
    for path in (folder.path / "run.json", folder.path / LOCK):
        os.utime(path, (clock.day - late,) * 2)


@pytest.mark.parametrize("jump", [HOUR, -HOUR])
def test_a_run_elsewhere_is_not_silent_because_this_machines_clock_was_set(
    jump: float, elsewhere: tuple[RunFolder, Clock]
) -> None:
    folder, clock = elsewhere
    assert folder.info().status == "running"
    clock.jump(jump)
    assert folder.info().status == "running"
    clock.wait(50)
    assert folder.info().status == "running"
    clock.wait(20)
    assert folder.info().status == "interrupted", "70 s of silence, whatever the clock says"
    wrote(folder, clock, late=jump)
    assert folder.info().status == "running"


@pytest.mark.parametrize("late", [HOUR, -HOUR])
def test_a_run_elsewhere_is_not_silent_because_its_machines_clock_is_set(
    late: float, elsewhere: tuple[RunFolder, Clock]
) -> None:
    folder, clock = elsewhere
    assert folder.info().status == "running"
    for _ in range(4):
        clock.wait(50)
        wrote(folder, clock, late=late)
        assert folder.info().status == "running"
    clock.wait(70)
    assert folder.info().status == "interrupted"


@pytest.mark.parametrize("late", [HOUR, -HOUR])
def test_what_is_first_seen_by_a_wrong_clock_is_put_right_by_the_next_look(
    late: float, elsewhere: tuple[RunFolder, Clock]
) -> None:
    """A page that is opened after the clock was set: its first look knows the times of files only."""
    folder, clock = elsewhere
    wrote(folder, clock, late=late)
    folder.info()
    clock.wait(10)
    wrote(folder, clock, late=late)
    assert folder.info().status == "running"
    clock.wait(70)
    assert folder.info().status == "interrupted"


def test_a_run_elsewhere_that_was_silent_before_the_first_look_is_interrupted(
    elsewhere: tuple[RunFolder, Clock],
) -> None:
    folder, clock = elsewhere
    wrote(folder, clock, late=100)
    assert folder.info().status == "interrupted"


def test_requests_keep_their_order_through_a_jump_back(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The last change of a setting counts, so none may overtake another."""
    channel, clock = Channel(tmp_path), Clock(monkeypatch)
    channel.open()
    sent = [{"setting": "loss.temperature", "value": value} for value in (0.1, 0.2, 0.3, 0.4)]
    for request, jump in zip(sent, (-HOUR, HOUR, -2 * HOUR, 0), strict=True):
        channel.send(request)
        clock.jump(jump)
    assert list(channel.requests().values()) == sent
    for name in channel.requests():
        channel.taken(name)
    channel.send(sent[0])
    assert list(channel.requests().values()) == sent[:1]
