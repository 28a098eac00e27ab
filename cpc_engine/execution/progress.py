"""How far a run is: from its records, its events, and what is known of it in memory or on disk."""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any

from ..errors import RunError
from ..storage.folder import RunFolder
from ..storage.info import ACTIVE, Status
from ..storage.thinning import STORED, ThinnedRecords
from .channel import Channel
from .execute import Phase


@dataclass(frozen=True)
class RunProgress:
    """Progress of a run at one moment; immutable, so it can be read from any thread.

    Attributes:
        step, steps: steps done and in all.
        seconds: training time. steps_per_second: over the last 20 records.
        seconds_left: None while there are too few records for an estimate.
        phase: work outside of training steps ("loading data", …), empty while it trains.
        share: how much of the phase is done, 0 to 1.
        message: reason of the status; empty without one.
        records: recorded steps as in metrics.jsonl, oldest first; thinned for long runs (see `storage.thinning`).
        events: pauses, resumes, and changed settings, oldest first.
        where: where it executes, in words; empty once it has ended.
    """

    id: str
    name: str
    status: Status
    step: int
    steps: int
    seconds: float
    steps_per_second: float
    seconds_left: float | None
    phase: str
    share: float
    message: str
    records: tuple[dict[str, Any], ...]
    events: tuple[dict[str, Any], ...]
    where: str


def run_progress(
    folder: RunFolder,
    name: str,
    steps: int,
    status: Status,
    message: str,
    phase: Phase,
    records: tuple[dict[str, Any], ...],
    where: str,
) -> RunProgress:
    """Return the progress of a run; `where` counts for a run that is on no cluster."""
    events: tuple[dict[str, Any], ...] = ()
    try:
        events = tuple(folder.events())
    except RunError as error:
        message = message or str(error)
    last: dict[str, Any] = records[-1] if records else {"step": 0, "seconds": 0.0}
    recent = records[-20:]
    span = recent[-1]["seconds"] - recent[0]["seconds"] if len(recent) > 1 else 0.0
    speed = (recent[-1]["step"] - recent[0]["step"]) / span if span > 0 else 0.0
    left = (steps - last["step"]) / speed if speed > 0 else None
    return RunProgress(
        id=folder.id,
        name=name,
        status=status,
        step=last["step"],
        steps=steps,
        seconds=last["seconds"],
        steps_per_second=speed,
        seconds_left=left,
        phase=phase.text,
        share=phase.share,
        message=message,
        records=records,
        events=events,
        where=_where(folder, where) if status in ACTIVE else "",
    )


def _where(folder: RunFolder, otherwise: str) -> str:
    """Where an active run executes, in words."""
    channel = Channel(folder.path)
    doing = channel.doing()
    return f"cluster, {doing['host']}" if doing else "cluster" if channel.is_open else otherwise


def stored_records(folder: RunFolder) -> tuple[dict[str, Any], ...]:
    """Return the records of a run on disk, thinned (see `storage.thinning`); cached until the file changes.

    Raises:
        RunError: the file cannot be read.
    """
    path = folder.path / "metrics.jsonl"
    try:
        found = path.stat()
    except FileNotFoundError:
        return _read(path.parent, (0, 0))
    return _read(path.parent, (found.st_mtime_ns, found.st_size))


@lru_cache(maxsize=64)
def _read(path: Path, stamp: tuple[int, int]) -> tuple[dict[str, Any], ...]:
    return ThinnedRecords(RunFolder(path).records(), STORED).all()
