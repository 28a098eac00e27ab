"""Runs at a real S3-compatible server: processes with nothing in common but its address."""

from __future__ import annotations

import json
import signal
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from cpc_engine.execution.execute import execute
from cpc_engine.storage.folder import RunFolder
from cpc_engine.storage.remote.mirrors import VARIABLE, local_root
from cpc_engine.storage.remote.refresh import refresh
from cpc_engine.training.control import Control
from tests.support.command_line import sets
from tests.support.forks import Fork
from tests.support.s3 import BUCKET, S3, s3_server
from tests.support.stored import without_seconds
from tests.support.tiny import tiny, wait_until

pytestmark = [pytest.mark.slow, pytest.mark.timeout(600)]
URL = f"s3://{BUCKET}/group/runs"
STEPS = 400  # more than are made until another process has begun and looked
LONG = {"optimizer__steps": STEPS, "run__checkpoint_every": 20}


@pytest.fixture(scope="module")
def s3() -> Iterator[S3]:
    with s3_server() as server:
        yield server


class Machine:
    """Processes of one machine, as far as files go."""

    def __init__(self, place: Path, s3: S3) -> None:
        self.place = place
        self._environment = {
            **s3.environment(),
            VARIABLE: str(place),
            "CPC_RUNS": URL,
        }
        self._started: list[Fork] = []
        place.mkdir()

    def start(self, *arguments: str) -> Fork:
        out = self.place.with_name(f"{self.place.name}-{len(self._started)}.json")
        process = Fork("cpc_engine", *arguments, "--json", place=self.place, out=out, environment=self._environment)
        self._started.append(process)
        return process

    def switch_off(self) -> None:
        for process in self._started:
            process.kill()

    def cpc(self, *arguments: str) -> Any:
        return answer(self.start(*arguments))


def answer(process: Fork) -> Any:
    out, _ = process.communicate(timeout=240)
    return json.loads(out)


@pytest.fixture
def here(s3: S3, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The mirror of this process."""
    for name, value in s3.environment(s3.port).items():
        monkeypatch.setenv(name, value)
    monkeypatch.setenv(VARIABLE, str(tmp_path / "watching"))
    return local_root(URL)


@pytest.fixture
def machines(s3: S3, tmp_path: Path) -> Iterator[tuple[Machine, Machine]]:
    both = Machine(tmp_path / "one", s3), Machine(tmp_path / "two", s3)
    yield both
    for machine in both:
        machine.switch_off()


def seen(root: Path, run: str, least: int) -> RunFolder:
    """A run once so many steps of it are at the URL."""
    folder = RunFolder(root / run)

    def steps() -> bool:
        refresh(root, run)
        return folder.path.is_dir() and len(folder.records()) >= least

    wait_until(steps, f"{least} steps", 120, 0.3)
    return folder


def begun(root: Path, known: set[str]) -> str:
    """The run that is new at the URL."""

    def new() -> set[str]:
        refresh(root, summary=True)
        return {path.parent.name for path in root.glob("*/run.json")} - known

    return next(iter(wait_until(new, "a new run", 120, 0.3)))


def test_one_machine_trains_and_another_lists_evaluates_and_compares(machines: tuple[Machine, Machine]) -> None:
    one, two = machines
    trained = one.cpc("train", "tones", *sets(), "--name", "from one")
    assert trained["status"] == "finished", trained
    [listed] = [run for run in two.cpc("list") if run["run"] == trained["run"]]
    assert {**listed, "path": ""} == {**trained, "path": ""}
    assert not (two.place / trained["run"]).exists()
    evaluated = two.cpc("evaluate", trained["run"])
    assert one.cpc("compare", trained["run"], trained["run"])["runs"] == [trained["run"]]
    [mirror] = one.place.iterdir()
    assert json.loads((mirror / trained["run"] / "evaluation.json").read_text()) == evaluated
    assert one.cpc("resume", trained["run"])["error"].endswith("has finished all its 3 steps")


def test_a_killed_run_goes_on_elsewhere_and_a_second_is_refused(machines: tuple[Machine, Machine], here: Path) -> None:
    """From the last checkpoint that was published; no step is lost, none stands there twice."""
    one, two = machines
    refresh(here, summary=True)
    known = {path.parent.name for path in here.glob("*/run.json")}
    first = one.start("train", "tones", *sets(**LONG))
    folder = seen(here, run := begun(here, known), 5)

    def is_kept() -> bool:
        refresh(here, run)
        return folder.has("checkpoint")

    wait_until(is_kept, "a checkpoint", 120, 0.3)
    assert folder.info().status == "running"
    first.send_signal(signal.SIGSTOP)  # it does not end while the other one begins
    assert two.cpc("resume", run)["error"].endswith("is still going on")
    first.kill()
    refresh(here, run)
    assert folder.info().status == "interrupted"
    both = [machine.start("resume", run) for machine in (two, one)]
    answers = [answer(process) for process in both]
    [refused] = [found["error"] for found in answers if "error" in found]
    # The last where it came so late that the other one was done.
    reasons = ("at work on it", "begun to work on it", "still going on", "has finished all its")
    assert any(reason in refused for reason in reasons), refused
    [resumed] = [found for found in answers if "error" not in found]
    assert (resumed["status"], resumed["steps"]) == ("finished", STEPS)
    refresh(here, run)
    lines = [json.loads(line)["step"] for line in (folder.path / "metrics.jsonl").read_text().splitlines()]
    assert lines == list(range(1, STEPS + 1))
    [went_on] = [event["step"] for event in folder.events()]
    assert went_on >= 20
    assert went_on % 20 == 0
    expected = RunFolder.create(here.parent / "plain", folder.config())
    assert execute(expected, Control()).status == "finished"
    assert without_seconds(folder) == without_seconds(expected)


def test_a_server_that_goes_away_for_a_while_loses_nothing(
    machines: tuple[Machine, Machine], s3: S3, here: Path
) -> None:
    one, two = machines
    refresh(here, summary=True)
    known = {path.parent.name for path in here.glob("*/run.json")}
    process = one.start("train", "tones", *sets(**LONG | {"optimizer__steps": 100_000}))
    folder = seen(here, run := begun(here, known), 5)
    s3.relay.cut()
    [mirror] = one.place.iterdir()
    try:
        log = mirror / run / "log.jsonl"
        wait_until(lambda: "published later" in log.read_text(), "the run to notice", every=0.3)
        refresh(here, run)  # what came through before the cut
        at = len(folder.records())
        offline = two.cpc("list")
        assert "does not answer" in offline["error"]
        time.sleep(3)
        refresh(here, run)
        assert len(folder.records()) == at, "nothing comes through"
    finally:
        s3.relay.mend()
    wait_until(lambda: "it is published again" in log.read_text(), "the run to notice", 120, 0.3)
    process.send_signal(signal.SIGINT)
    trained = answer(process)
    assert trained["status"] == "stopped", trained
    refresh(here, run)
    assert [record["step"] for record in folder.records()] == list(range(1, trained["steps"] + 1))
    for path in (mirror / run).glob("[!.]*"):
        assert path.read_bytes() == (folder.path / path.name).read_bytes()


def test_an_app_sees_what_another_machine_trains(
    machines: tuple[Machine, Machine], here: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Its manager keeps the mirror fresh; a run that is queued in it trains at the URL, too."""
    from cpc_engine.execution.manager import RunManager
    from tests.support.watched import status

    one, two = machines
    manager = RunManager(here)
    process = one.start("train", "tones", *sets(optimizer__steps=50_000, run__record_every=10))
    run = wait_until(lambda: next((i.id for i in _listed(here) if i.status == "running"), ""), "it", 120, 0.3)
    steps = wait_until(lambda: manager.progress_of(run).step, "steps", 120, 0.3)
    wait_until(lambda: manager.progress_of(run).step > steps, "more of them", 120, 0.3)
    assert manager.progress_of(run).where == "in another process"
    own = manager.start(tiny())
    status(manager, own, "finished")
    process.send_signal(signal.SIGINT)
    assert answer(process)["status"] == "stopped"
    assert status(manager, run, "stopped").step > steps
    assert two.cpc("list")[0]["run"] == own
    manager.close()


def _listed(root: Path) -> list[Any]:
    from cpc_engine.storage.listing import list_runs

    return list_runs(root)
