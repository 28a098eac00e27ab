"""Configurations of runs that train through the whole engine in well under a second."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any

from cpc_engine.config import RunConfig

CHANGES: dict[str, Any] = {
    "data.dataset": "tones",
    "data.train_items": 64,
    "data.test_items": 32,
    "audio.sample_rate": 8000,
    "audio.clip_seconds": 0.5,
    "audio.mel_bands": 32,
    "audio.width": 8,
    "image.size": 32,
    "image.width": 8,
    "image.depth": 2,
    "context.latent_dim": 8,
    "context.hidden_dim": 16,
    "optimizer.batch_size": 16,
    "optimizer.steps": 3,
    "optimizer.warmup_steps": 1,
    "evaluation.every": 0,
    "evaluation.items": 16,
    "evaluation.strengths": [0.1],
    "run.device": "cpu",
    "run.threads": 1,
}


def tiny(**changes: Any) -> RunConfig:
    """Configuration of a run with 3 steps; changes are passed as section__setting=value."""
    return RunConfig().replace(CHANGES | {name.replace("__", "."): value for name, value in changes.items()})


def wait_until(condition: Callable[[], Any], description: str, seconds: float = 240.0, every: float = 0.01) -> Any:
    """Call `condition` every so many seconds until its value is true, and return that; fail before pytest would."""
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        value = condition()
        if value:
            return value
        time.sleep(every)
    raise AssertionError(f"waited {seconds:.0f} s for {description}")
