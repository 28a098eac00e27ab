"""One run on several devices of this machine: records, live changes, another number of them, a lost one, torchrun."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import threading
from collections.abc import Callable
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
import torch

from cpc_engine.cli import main
from cpc_engine.config import RunConfig
from cpc_engine.data import load_dataset
from cpc_engine.errors import ClusterError, ConfigError
from cpc_engine.execution.device import fabric_on
from cpc_engine.execution.execute import State, execute
from cpc_engine.execution.place import executor
from cpc_engine.execution.ranks import lead, line
from cpc_engine.execution.ranks.layout import Layout, layout
from cpc_engine.storage.folder import RunFolder, check_resumable
from cpc_engine.storage.process import started
from cpc_engine.training.control import Control
from cpc_engine.training.trainer import Trainer
from tests.support.forks import Fork
from tests.support.paths import REPOSITORY
from tests.support.tiny import tiny, wait_until

SETTINGS: dict[str, Any] = {
    "optimizer__steps": 6,
    "evaluation__every": 2,
    "sampler__queue_size": 100,
    "sampler__perturbed": True,
    "sampler__key_momentum": 0.9,
    "run__precision": "32-true",
}
Watch = Callable[[int, Control], None]  # called with the number of each recorded step


def train(folder: RunFolder, devices: int, watch: Watch = lambda step, control: None, resume: bool = False) -> State:
    control = Control()

    def observe(observed: object) -> None:
        if isinstance(observed, dict):
            watch(observed["step"], control)

    return executor(devices=devices)(folder, control, observe, resume)


def new(root: Path) -> RunFolder:
    return RunFolder.create(root, tiny(**SETTINGS))


def close(run: RunFolder, other: RunFolder) -> None:
    """Records and weights are those of the other run but for rounding."""
    for ours, theirs in zip(run.records(), other.records(), strict=True):
        assert ours["step"] == theirs["step"]
        assert ours["loss"] == pytest.approx(theirs["loss"], rel=1e-4)
        assert ours["gradient_norm"] == pytest.approx(theirs["gradient_norm"], rel=1e-3)
        if "geometry" in theirs:
            assert ours["geometry"] == pytest.approx(theirs["geometry"], rel=1e-2, abs=1e-3)
    assert {path.name for path in run.path.iterdir()} == {path.name for path in other.path.iterdir()}
    ours, theirs = run.tensors("checkpoint"), other.tensors("checkpoint")
    assert ours.keys() == theirs.keys()
    assert torch.equal(ours["generator"], theirs["generator"])
    assert torch.equal(ours["queue.audio.ids"], theirs["queue.audio.ids"])
    torch.testing.assert_close(ours["queue.audio.vectors"], theirs["queue.audio.vectors"], rtol=0, atol=2e-2)


def change(step: int, control: Control) -> None:
    if step == 3:
        control.change(tiny(**SETTINGS), "sampler.sigma", 1.0)


def watched(monkeypatch: pytest.MonkeyPatch) -> list[subprocess.Popen[bytes]]:
    """The processes that a run will start."""
    others: list[subprocess.Popen[bytes]] = []
    popen = subprocess.Popen

    def seen(*arguments: Any, **options: Any) -> subprocess.Popen[bytes]:
        others.append(popen(*arguments, **options))
        return others[-1]

    monkeypatch.setattr(lead.subprocess, "Popen", seen)
    return others


@pytest.fixture(scope="module")
def alone(tmp_path_factory: pytest.TempPathFactory) -> RunFolder:
    """A run of one device, whose noise is changed after its third step."""
    folder = new(tmp_path_factory.mktemp("alone"))
    assert train(folder, 1, change) == State("finished")
    return folder


def test_one_device_starts_nothing() -> None:
    assert executor(devices=1) is execute
    assert executor() is execute


def test_a_run_goes_on_with_another_number_of_devices(alone: RunFolder, tmp_path: Path) -> None:
    """Stopped on two, changed and paused on three, finished on one."""
    folder = new(tmp_path)
    assert train(folder, 2, lambda step, control: control.stop() if step == 2 else None) == State("stopped")
    assert folder.info().device == "cpu × 2"

    def paused(step: int, control: Control) -> None:
        change(step, control)
        if step == 4:
            control.pause()
            threading.Timer(1.0, control.resume).start()
        if step == 5:
            control.stop()

    assert train(folder, 3, paused, resume=True) == State("stopped")
    assert [event["kind"] for event in folder.events()] == ["resume", "change", "pause", "continue"]
    assert train(folder, 1, resume=True) == State("finished")
    close(folder, alone)


def test_a_lost_device_ends_the_run_which_goes_on_without_it(
    alone: RunFolder, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    others = watched(monkeypatch)
    folder = new(tmp_path)

    def kill(step: int, control: Control) -> None:
        change(step, control)
        if step == 4:
            files = [os.readlink(link) for link in Path(f"/proc/{others[0].pid}/fd").iterdir()]
            assert not any(str(folder.path) in name for name in files)  # rank 0 alone has to do with the folder
            others[0].kill()

    end = train(folder, 3, kill)
    assert end == State("interrupted", "rank 1 of 3 has gone (ended by SIGKILL); the run can be resumed")
    assert [other.poll() is not None for other in others] == [True, True]
    assert folder.info().status == "interrupted"
    assert folder.info().steps_done == 4  # nothing is lost: the checkpoint is of the last whole step
    assert train(folder, 1, resume=True) == State("finished")
    close(folder, alone)


def test_the_others_end_when_the_first_is_killed(tmp_path: Path) -> None:
    command = ["train", "--config", "config.json", "--runs", str(tmp_path), "--devices", "2"]
    (tmp_path / "config.json").write_text(json.dumps(tiny(optimizer__steps=100_000).to_dict()))
    first = Fork("cpc_engine", *command, place=tmp_path, out=tmp_path / "out")
    try:
        [metrics] = wait_until(lambda: list(tmp_path.glob("*/metrics.jsonl")), "a first step")
        [other] = Path(f"/proc/{first.pid}/task/{first.pid}/children").read_text().split()
        since = started(int(other))
        assert since
    finally:
        first.kill()
    wait_until(lambda: started(int(other)) != since, "the end of the other")
    folder = RunFolder(metrics.parent)
    assert folder.info().status == "interrupted"
    check_resumable(folder)


def test_torchrun_starts_the_ranks(alone: RunFolder, tmp_path: Path) -> None:
    command = [sys.executable, "-m", "torch.distributed.run", "--standalone", "--nproc-per-node", "2"]
    (tmp_path / "config.json").write_text(json.dumps(tiny(**SETTINGS).to_dict()))
    command += ["-m", "cpc_engine", "train", "--config", "config.json", "--runs", "runs"]
    environment = {**os.environ, "PYTHONPATH": str(REPOSITORY)}
    done = subprocess.run(
        [*command, "--steps", "2", "--devices", "2", "--json"], cwd=tmp_path, env=environment, capture_output=True
    )
    assert done.returncode == 0, done.stderr.decode()
    summary = json.loads(done.stdout)
    assert (summary["status"], summary["device"]) == ("finished", "cpu × 2")
    assert len(list((tmp_path / "runs").iterdir())) == 1
    for ours, theirs in zip(RunFolder(tmp_path / summary["path"]).records(), alone.records()[:2], strict=True):
        assert ours["loss"] == pytest.approx(theirs["loss"], rel=1e-4)


def test_what_another_rank_says_is_the_reason(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "sitecustomize.py").write_text("import atexit, os\natexit.register(os.abort)")  # as torch's threads do
    monkeypatch.setenv("PYTHONPATH", str(tmp_path))
    monkeypatch.setattr(lead, "version", lambda: "0.0")
    end = train(new(tmp_path), 2)
    assert end.status == "interrupted"
    assert end.message.startswith("rank 1 of 2 has gone (rank 0 has version 0.0 of CPC Lab, this one ")


def test_a_device_that_hangs_does_not_hang_the_run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(line, "PATIENCE", timedelta(seconds=10))
    others = watched(monkeypatch)
    end = train(new(tmp_path), 2, lambda step, control: others[0].send_signal(signal.SIGSTOP) if step == 2 else None)
    assert end.status == "interrupted"
    assert end.message.startswith("another rank of the run has gone, or does not answer (Timed out")
    assert others[0].poll() is not None


def test_a_device_that_hangs_before_it_listens_does_not_hang_the_run(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    command = f"""
import time
from pathlib import Path
from cpc_engine.execution.ranks.line import Line
Path("here").touch()
print(Line(1, 2, Path({str(tmp_path)!r})).hear(), flush=True)
time.sleep(600)
"""
    environment = {**os.environ, "PYTHONPATH": str(REPOSITORY)}
    with (tmp_path / "out").open("wb") as out:
        other = subprocess.Popen([sys.executable, "-c", command], cwd=tmp_path, env=environment, stdout=out)
    try:
        wait_until((tmp_path / "here").exists, "the other rank")
        monkeypatch.setattr(line, "PATIENCE", timedelta(seconds=10))
        words = line.Line(0, 2, tmp_path)
        words.say(line.Word.BEGIN, b"configuration")
        assert wait_until((tmp_path / "out").read_text, "the first word") == "(<Word.BEGIN: 1>, b'configuration')\n"
        with pytest.raises(ClusterError, match=r"does not answer \(Timed out"):
            words.say(line.Word.STEP)
    finally:
        other.kill()
        other.wait()
        line.leave()


def test_what_cannot_be_shared_is_refused_in_one_line(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    arguments = ["train", "tones", "--runs", str(tmp_path), "--devices", "3"]
    assert main([*arguments, "--nodes", "2"]) == 2
    assert "torchrun --nnodes 2 --nproc-per-node 3" in capsys.readouterr().err
    assert main([*arguments, "--cluster", "local"]) == 2
    assert main([*arguments[:-1], "0"]) == 2
    assert not list(tmp_path.iterdir())
    few = tiny(optimizer__batch_size=2)
    trainer = Trainer(few, load_dataset(few), fabric_on("cpu", "32-true"))
    with pytest.raises(ConfigError, match="a batch of 2 items cannot be shared by 3 devices"):
        lead.Lead(Layout(0, 3, 0, 3, False), 1).begin(trainer, few)
    with pytest.raises(ConfigError, match="a single one"):
        Layout(0, 2, 0, 2, False).device("cpu:1" if not torch.cuda.is_available() else "cuda:0")
    assert lead._ONE.acquire(blocking=False)
    try:
        end = train(new(tmp_path), 2)
    finally:
        lead._ONE.release()
    assert end == State("failed", "this process trains another run on several devices: wait until it has ended")


def test_torchrun_says_which_rank_a_process_is(monkeypatch: pytest.MonkeyPatch) -> None:
    told = {"TORCHELASTIC_RUN_ID": "a", "RANK": "5", "LOCAL_RANK": "1", "WORLD_SIZE": "8", "LOCAL_WORLD_SIZE": "4"}
    for name, value in told.items():
        monkeypatch.setenv(name, value)
    assert layout(4, 2) == layout(None, 2) == Layout(5, 8, 1, 4, True)
    with pytest.raises(ConfigError, match="torchrun has started 8 processes, 4 here"):
        layout(4)
    with pytest.raises(ConfigError, match="process 5 of torchrun follows"):
        executor(devices=4, nodes=2)
    assert RunConfig().run.device == "auto"
    assert Layout(5, 8, 1, 4, True).device("cpu") == "cpu"
