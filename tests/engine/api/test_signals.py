"""A run in the foreground that is asked to end: it saves at its step, and can be resumed as if nothing had happened."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest
import torch

from cpc_engine.config import RunConfig
from cpc_engine.execution.execute import execute
from cpc_engine.storage.folder import RunFolder
from cpc_engine.training.control import Control
from tests.support.forks import Fork
from tests.support.paths import REPOSITORY
from tests.support.tiny import tiny, wait_until

pytestmark = pytest.mark.skipif(os.name != "posix", reason="Windows has other signals")


def command(config: RunConfig, root: Path) -> list[str]:
    file = root / "config.json"
    file.write_text(json.dumps(config.to_dict()))
    return ["train", "--config", str(file), "--runs", str(root / "runs")]


def begun(root: Path) -> RunFolder | None:
    """The run once it has trained some steps."""
    for path in (root / "runs").glob("[!.]*/metrics.jsonl"):
        if path.read_bytes().count(b"\n") >= 3:
            return RunFolder(path.parent)
    return None


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGHUP])
def test_a_request_to_end_saves_at_the_step(number: signal.Signals, tmp_path: Path) -> None:
    config = tiny(optimizer__steps=2000, run__checkpoint_every=1_000_000)
    process = Fork("cpc_engine", *command(config, tmp_path), place=REPOSITORY, out=tmp_path / "out")
    try:
        folder = wait_until(lambda: begun(tmp_path), "the first steps", 400)
        process.send_signal(number)
        assert process.wait(400) == 0
    finally:
        process.kill()
    info = folder.info()
    assert info.status == "stopped"
    assert 3 <= info.steps_done < 2000
    assert info.steps_done == folder.records()[-1]["step"]
    assert int(folder.tensors("checkpoint")["progress"][0]) == info.steps_done
    assert folder.has("map")
    _train_until(folder, info.steps_done + 2, resume=True)
    whole = RunFolder.create(tmp_path / "whole", config)
    _train_until(whole, info.steps_done + 2, resume=False)
    for name, tensor in whole.tensors("weights").items():
        assert torch.equal(tensor, folder.tensors("weights")[name])


def test_a_run_under_nohup_goes_on(tmp_path: Path) -> None:
    started = ["nohup", sys.executable, "-m", "cpc_engine", *command(tiny(optimizer__steps=60), tmp_path)]
    process = subprocess.Popen(started, cwd=REPOSITORY, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    try:
        folder = wait_until(lambda: begun(tmp_path), "the first steps", 400)
        process.send_signal(signal.SIGHUP)
        assert process.wait(400) == 0
    finally:
        process.kill()
        process.wait()
    assert folder.info().status == "finished"


def _train_until(folder: RunFolder, step: int, resume: bool) -> None:
    control = Control()

    def stop(seen: object) -> None:
        if isinstance(seen, dict) and seen["step"] == step:
            control.stop()

    assert execute(folder, control, stop, resume).status == "stopped"
