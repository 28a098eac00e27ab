"""A few real steps of a configuration, so that its time is known before it ever ran."""

from __future__ import annotations

import tempfile
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from ..config import RunConfig
from ..errors import RunError
from ..training.control import Control
from .execute import execute
from .folder import RunFolder

STEPS, WARM = 8, 3  # the first ones are slower and do not count
FEW = {
    "optimiser.steps": STEPS,
    "evaluation.every": 0,
    "evaluation.items": 16,
    "evaluation.map_items": 32,
    "run.record_every": 1,
}


def seconds_a_step(config: RunConfig) -> float:
    """Trains for a moment where nobody sees it, and leaves nothing behind.

    Raises:
        RunError: it cannot train, with the reason.
    """
    with tempfile.TemporaryDirectory() as root, ThreadPoolExecutor(1) as worker:
        folder = RunFolder.create(Path(root), config.replace(FEW))
        ended = worker.submit(execute, folder, Control()).result()  # a thread of its own: it lowers its priority
        rows = folder.records()
        if ended.status != "finished":
            raise RunError(f"these settings do not train: {ended.message}")
    return float((rows[-1]["seconds"] - rows[WARM - 1]["seconds"]) / (STEPS - WARM))
