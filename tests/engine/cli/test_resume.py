"""Runs that are stopped, resumed, or at work elsewhere."""

from __future__ import annotations

import json
import signal
from pathlib import Path
from typing import NoReturn

import pytest

from cpc_engine.execution.execute import execute
from cpc_engine.storage.folder import RunFolder
from cpc_engine.training.control import Control
from tests.support.command_line import Cli, sets, sound
from tests.support.forks import Fork
from tests.support.tiny import tiny, wait_until


def test_resume_completes_a_stopped_run_and_refuses_a_finished_one(cli: Cli, tmp_path: Path) -> None:
    config = tiny(optimizer__steps=4)
    whole = RunFolder.create(tmp_path / "a", config)
    execute(whole, Control())
    folder, control = RunFolder.create(tmp_path / "b", config), Control()
    execute(folder, control, lambda event: control.stop() if isinstance(event, dict) and event["step"] == 2 else None)
    assert cli("list", "--runs", "b", "--json").document[0]["status"] == "stopped"
    summary = cli("resume", folder.path, "--json").document
    assert (summary["status"], summary["steps"], summary["path"]) == ("finished", 4, str(folder.path))
    assert (folder.path / "weights.safetensors").read_bytes() == (whole.path / "weights.safetensors").read_bytes()
    records = [{k: v for k, v in record.items() if k != "seconds"} for record in folder.records()]
    assert records == [{k: v for k, v in record.items() if k != "seconds"} for record in whole.records()]
    assert cli("resume", folder.id, "--runs", "b", "--json").error == f"{folder.id} has finished all its 4 steps"


def test_a_run_goes_on_where_its_device_is_missing(cli: Cli, tmp_path: Path) -> None:
    folder, control = RunFolder.create(tmp_path / "b", tiny(optimizer__steps=4)), Control()
    execute(folder, control, lambda event: control.stop() if isinstance(event, dict) and event["step"] == 2 else None)
    folder.settle({"run.device": "cuda:99"})
    assert "no device 'cuda:99' here" in cli("resume", folder.path, "--json").error
    assert "use device auto or cpu" in folder.info().message
    assert "run.device" in cli("resume", folder.path, "--device", "gpu", "--json").error
    summary = cli("resume", folder.path, "--device", "cpu", "--json").document
    assert (summary["status"], folder.config().run.device) == ("finished", "cpu")


def test_a_run_that_is_active_elsewhere_is_not_resumed(cli: Cli) -> None:
    folder = RunFolder.create(Path("checkpoints"), tiny())
    assert cli("resume", folder.id, "--json").error == f"{folder.id} is still going on"


def test_ctrl_c_leaves_a_stopped_run_that_resume_completes(cli: Cli, tmp_path: Path) -> None:
    command = ["train", "--preset", "tones", *sets(optimizer__steps=300), "--json"]
    process = Fork("cpc_engine", *command, place=tmp_path, out=tmp_path / "out.json")
    try:
        checkpoints = tmp_path / "checkpoints"
        wait_until(lambda: [p for p in checkpoints.glob("*/metrics.jsonl") if p.stat().st_size], "the first step")
        process.send_signal(signal.SIGINT)
        out, err = process.communicate(timeout=200)
    finally:
        process.kill()
    summary = json.loads(out)
    assert (process.poll(), summary["status"]) == (0, "stopped"), err
    assert "Traceback" not in err
    assert "stopping after this step" in err
    assert 1 <= summary["steps"] < 300
    assert cli("embed", summary["run"], sound(tmp_path / "good.wav", 440), "--json").code == 0
    resumed = cli("resume", summary["run"], "--json").document
    assert (resumed["status"], resumed["steps"]) == ("finished", 300)
    assert [record["step"] for record in RunFolder(Path(resumed["path"])).records()] == list(range(1, 301))


def test_ctrl_c_outside_training_ends_quietly(cli: Cli, monkeypatch: pytest.MonkeyPatch) -> None:
    def interrupt(*_: object) -> NoReturn:
        raise KeyboardInterrupt

    monkeypatch.setattr("cpc_engine.cli.commands.scan_runs", interrupt)
    answer = cli("list")
    assert (answer.code, answer.out, answer.err) == (130, "", "interrupted\n")
