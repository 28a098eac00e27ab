"""Measurement of a configuration's time per step by training a few steps."""

from __future__ import annotations

import tempfile
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from ...config import RunConfig
from ...errors import RunError
from ...storage.folder import RunFolder
from ...training.control import Control
from ..execute import execute

STEPS, WARM = 8, 3  # steps in all, and first steps that do not count because they are slower
FEW = {
    "optimizer.steps": STEPS,
    "evaluation.every": 0,
    "evaluation.items": 16,
    "evaluation.map_items": 32,
    "run.record_every": 1,
}


def measure_step_time(config: RunConfig) -> float:
    """Train a few steps in a temporary folder and return the time per step in seconds.

    Raises:
        RunError: the configuration cannot be trained; the message has the reason.
    """
    with tempfile.TemporaryDirectory() as root, ThreadPoolExecutor(1) as worker:
        folder = RunFolder.create(Path(root), config.replace(FEW))
        state = worker.submit(execute, folder, Control()).result()  # in another thread, because it lowers its priority
        rows = folder.records()
        if state.status != "finished":
            raise RunError(f"these settings do not train: {state.message}")
    return float((rows[-1]["seconds"] - rows[WARM - 1]["seconds"]) / (STEPS - WARM))
