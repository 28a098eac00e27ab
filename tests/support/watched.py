"""Waiting for runs of a manager."""

from __future__ import annotations

from functools import partial

from cpc_engine.execution.manager import RunManager
from cpc_engine.execution.progress import RunProgress
from tests.support.tiny import wait_until

patiently = partial(wait_until, seconds=240.0, every=0.1)  # looks seldom, so that other processes get the cores


def status(manager: RunManager, run: str, *expected: str) -> RunProgress:
    """Wait until a run has one of these statuses."""

    def now() -> RunProgress | None:
        progress = manager.progress_of(run)
        return progress if progress.status in expected else None

    found: RunProgress = patiently(now, f"{run} to be {expected}, not {manager.progress_of(run)}")
    return found


def step(manager: RunManager, run: str, least: int) -> RunProgress:
    """Wait until an active run has done at least so many steps."""

    def now() -> RunProgress | None:
        progress = manager.progress_of(run)
        assert progress.status in ("queued", "running", "paused"), progress
        return progress if progress.step >= least else None

    found: RunProgress = patiently(now, f"step {least} of {run}")
    return found
