"""Runs on disk: trained, crashed, and compared."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch

from cpc_engine.config import RunConfig
from cpc_engine.execution.execute import Phase, Record, State, execute
from cpc_engine.storage.folder import RunFolder
from cpc_engine.training.control import Control

Observation = Record | Phase | State


def train(root: Path, config: RunConfig) -> RunFolder:
    folder = RunFolder.create(root, config)
    assert execute(folder, Control()) == State("finished")
    return folder


def orphan(folder: RunFolder) -> None:
    """Make run.json name a process that does not exist, as after a crash."""
    values = json.loads((folder.path / "run.json").read_text())
    (folder.path / "run.json").write_text(json.dumps(values | {"status": "running", "pid_started": 1}))


def without_seconds(folder: RunFolder) -> list[dict[str, Any]]:
    return [{key: value for key, value in record.items() if key != "seconds"} for record in folder.records()]


def same_weights(first: RunFolder, second: RunFolder) -> bool:
    a, b = first.tensors("weights"), second.tensors("weights")
    return a.keys() == b.keys() and all(torch.equal(a[name], b[name]) for name in a)


class Crash(BaseException):
    """An exception that the engine does not catch, as when the process is killed."""


def crash() -> None:
    raise Crash


def steering(at: dict[int, Callable[[], None]]) -> Callable[[Observation], None]:
    """An observer that calls a function when it observes the record of a step."""
    return lambda observed: at.get(observed["step"], lambda: None)() if isinstance(observed, dict) else None
