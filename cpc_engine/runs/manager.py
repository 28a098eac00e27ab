"""Runs in the background of one process: started, queued, watched and steered from any thread.

There is one manager per process and folder of runs (`manager_for`), whatever page or session asks, so a page that is
loaded again finds its runs going on. Workers never touch a page: they leave records here, pages read snapshots.
"""

from __future__ import annotations

import atexit
import queue
import threading
from collections.abc import Iterable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from ..config import RunConfig
from ..errors import RunError
from ..training.control import Control
from ..training.records import StepRecord
from .execute import Phase, execute
from .folder import ACTIVE, DEFAULT_ROOT, RunFolder, Status

AT_ONCE = 1  # runs that train at the same time; the others wait their turn


@dataclass(frozen=True)
class Snapshot:
    """A run at one moment; safe to keep and read.

    Attributes:
        step, steps: done and in all. seconds: training time. seconds_left: None while it cannot be told.
        steps_per_second: over the last recorded steps.
        phase: what it does besides stepping ("loading data", …), empty while it steps; share: how far that is, 0…1.
        records: all recorded steps so far, as plain values (those of metrics.jsonl), oldest first.
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


@dataclass
class _Job:
    folder: RunFolder
    config: RunConfig
    resume: bool
    control: Control = field(default_factory=Control)
    lock: threading.Lock = field(default_factory=threading.Lock)
    records: list[dict[str, Any]] = field(default_factory=list)
    status: Status = "queued"
    phase: Phase = field(default_factory=lambda: Phase("", 0.0))

    def observe(self, seen: StepRecord | Phase | Status) -> None:
        """Called by the worker; keeps what pages read."""
        with self.lock:
            if isinstance(seen, StepRecord):
                self.records.append(seen.to_dict())
                self.phase = Phase("", 0.0)
            elif isinstance(seen, Phase):
                self.phase = seen
            else:
                self.status, self.phase = seen, Phase("", 0.0)


class RunManager:
    """Starts runs, one after another, in background threads.

    Args:
        root: the folder of runs.
        workers: how many train at once.
    """

    def __init__(self, root: Path = DEFAULT_ROOT, workers: int = AT_ONCE) -> None:
        self.root = root
        self._lock = threading.Lock()
        self._jobs: dict[str, _Job] = {}
        self._waiting: queue.SimpleQueue[_Job | None] = queue.SimpleQueue()
        self._workers = [
            threading.Thread(target=self._work, name=f"cpc-run-{index}", daemon=True) for index in range(workers)
        ]
        for worker in self._workers:
            worker.start()
        atexit.register(self.close)

    def start(self, config: RunConfig) -> str:
        """Queue a new run and give its id.

        Raises:
            StorageError: the folder of runs cannot be written.
        """
        return self._enqueue(_Job(RunFolder.create(self.root, config), config, resume=False))

    def resume(self, run: str) -> str:
        """Queue a run that ended early (stopped, interrupted, failed) to go on from its checkpoint.

        Raises:
            RunError: it is going on, has finished, or has no checkpoint.
        """
        folder = RunFolder.open(run, self.root)
        check_resumable(folder)
        folder.update(status="queued", message="")
        job = _Job(folder, folder.config(), resume=True)
        job.records = folder.records()
        return self._enqueue(job)

    def pause(self, run: str) -> None:
        self._job(run).control.pause()

    def unpause(self, run: str) -> None:
        self._job(run).control.resume()

    def stop(self, run: str) -> None:
        """End a run after its current step; one that still waits ends at once."""
        self._job(run).control.stop()

    def change(self, run: str, path: str, value: Any) -> None:
        """Change a live knob (see `Control.change`)."""
        job = self._job(run)
        job.control.change(job.config, path, value)

    def active(self) -> list[str]:
        """Ids of runs of this process that wait, train or pause, oldest first."""
        with self._lock:
            jobs = list(self._jobs.values())
        return [job.folder.id for job in jobs if job.status in ACTIVE]

    def snapshot(self, run: str) -> Snapshot:
        """A run now, whether it goes on in this process or lies on disk.

        Raises:
            RunError: there is no such run, or its folder is broken.
        """
        with self._lock:
            job = self._jobs.get(run)
        if job is None:
            folder = RunFolder.open(run, self.root)
            return _snapshot(folder, folder.records(), Phase("", 0.0))
        with job.lock:
            records, phase, status = list(job.records), job.phase, job.status
        return _snapshot(job.folder, records, phase, status)

    def close(self, seconds: float = 20.0) -> None:
        """Stop every run after its current step and wait for the workers, at most so long in all."""
        with self._lock:
            jobs = list(self._jobs.values())
        for job in jobs:
            job.control.stop()
        for _ in self._workers:
            self._waiting.put(None)
        for worker in self._workers:
            worker.join(seconds / len(self._workers))

    def _enqueue(self, job: _Job) -> str:
        with self._lock:
            self._jobs[job.folder.id] = job
        self._waiting.put(job)
        return job.folder.id

    def _job(self, run: str) -> _Job:
        with self._lock:
            job = self._jobs.get(run)
        if job is None or job.status not in ACTIVE:
            raise RunError(f"{run} is not going on in this process")
        return job

    def _work(self) -> None:
        for job in iter(self._waiting.get, None):
            if job.control.stopping:
                job.folder.update(status="stopped", message="stopped before it began")
                job.observe("stopped")
            else:
                execute(job.folder, job.control, job.observe, job.resume)


def check_resumable(folder: RunFolder) -> None:
    """Refuse to resume a run that is going on, complete, or without a checkpoint.

    Raises:
        RunError: with the reason.
    """
    info = folder.info()
    if info.status in ACTIVE:
        raise RunError(f"{folder.id} is still going on")
    if info.status == "finished":
        raise RunError(f"{folder.id} has finished all its {info.steps} steps")
    if info.status == "diverged":
        raise RunError(f"{folder.id} diverged; start a new run with other settings")
    if not folder.has_tensors("checkpoint"):
        raise RunError(f"{folder.id} has no checkpoint to go on from")


def _snapshot(
    folder: RunFolder, records: Iterable[dict[str, Any]], phase: Phase, status: Status | None = None
) -> Snapshot:
    info, records = folder.info(), tuple(records)
    last = records[-1] if records else {"step": 0, "seconds": 0.0}
    recent = records[-20:]
    span = recent[-1]["seconds"] - recent[0]["seconds"] if len(recent) > 1 else 0.0
    speed = (recent[-1]["step"] - recent[0]["step"]) / span if span > 0 else 0.0
    left = (info.steps - last["step"]) / speed if speed > 0 else None
    return Snapshot(
        id=folder.id,
        name=info.name,
        status=status or info.status,
        step=last["step"],
        steps=info.steps,
        seconds=last["seconds"],
        steps_per_second=speed,
        seconds_left=left,
        phase=phase.text,
        share=phase.share,
        message=info.message,
        records=records,
        events=tuple(folder.events()),
    )


_MANAGERS: dict[Path, RunManager] = {}
_MANAGERS_LOCK = threading.Lock()


def manager_for(root: Path = DEFAULT_ROOT) -> RunManager:
    """The one manager of this process for a folder of runs."""
    key = root.resolve()
    with _MANAGERS_LOCK:
        if key not in _MANAGERS:
            _MANAGERS[key] = RunManager(key)
        return _MANAGERS[key]
