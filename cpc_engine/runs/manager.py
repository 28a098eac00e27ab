"""Runs in the background of one process: started, queued, watched and steered from any thread.

There is one manager per process and folder of runs (`manager_for`), whatever page or session asks, so a page that is
loaded again finds its runs going on. Workers never touch a page: they leave records here, pages read snapshots.
"""

from __future__ import annotations

import atexit
import contextlib
import queue
import threading
from dataclasses import dataclass, field
from functools import lru_cache
from pathlib import Path
from typing import Any

from ..config import RunConfig
from ..errors import CpcError, RunError
from ..training.control import Control
from ..training.records import StepRecord
from .execute import Phase, State, execute
from .folder import ACTIVE, DEFAULT_ROOT, RunFolder, Status, check_resumable
from .live import STORED, LiveRecords

AT_ONCE = 1  # runs that train at the same time; the others wait their turn


@dataclass(frozen=True)
class Snapshot:
    """A run at one moment; safe to keep and read.

    Attributes:
        step, steps: done and in all. seconds: training time. seconds_left: None while it cannot be told.
        steps_per_second: over the last recorded steps.
        phase: what it does besides stepping ("loading data", …), empty while it steps; share: how far that is, 0…1.
        records: recorded steps as plain values (those of metrics.jsonl), oldest first. Of a long run they are thinned
            so that lows and highs of the loss stay (see `live`); the folder has all of them.
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
    """A run of this process, from the queue to its end."""

    folder: RunFolder
    config: RunConfig
    resume: bool
    records: LiveRecords = field(default_factory=LiveRecords)
    control: Control = field(default_factory=Control)
    lock: threading.Lock = field(default_factory=threading.Lock)
    state: State = field(default_factory=lambda: State("queued"))
    phase: Phase = field(default_factory=lambda: Phase("", 0.0))
    claimed: bool = False

    @property
    def active(self) -> bool:
        return self.state.status in ACTIVE

    def claim(self) -> bool:
        """Whether the caller is the one who takes the run out of the queue, to train it or to end it there."""
        with self.lock:
            mine, self.claimed = not self.claimed, True
        return mine

    def observe(self, seen: StepRecord | Phase | State) -> None:
        """Called by the worker; keeps what pages read."""
        with self.lock:
            if isinstance(seen, StepRecord):
                self.records.add(seen.to_dict())
                self.phase = Phase("", 0.0)
            elif isinstance(seen, Phase):
                self.phase = seen
            else:
                self.state, self.phase = seen, Phase("", 0.0)

    def snapshot(self) -> Snapshot:
        with self.lock:
            records, phase, state = self.records.all(), self.phase, self.state
        name, steps = self.config.run.name, self.config.optimiser.steps
        return _snapshot(self.folder, name, steps, state.status, state.message, phase, records)


class RunManager:
    """Starts runs, one after another, in background threads.

    Args:
        root: the folder of runs.
        workers: how many train at once.
    """

    def __init__(self, root: Path = DEFAULT_ROOT, workers: int = AT_ONCE) -> None:
        self.root = root
        self._lock = threading.Lock()
        self._resuming = threading.Lock()
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
            RunError: it is going on, has finished, or has lost its checkpoint.
        """
        with self._resuming:  # of two who ask at once, one is told that it is going on
            folder = RunFolder.open(run, self.root)
            self._going_on(folder.id)
            check_resumable(folder)
            job = _Job(folder, folder.config(), resume=True, records=LiveRecords(folder.records()))
            folder.update(status="queued", message="")
        return self._enqueue(job)

    def pause(self, run: str) -> None:
        self._job(run).control.pause()

    def unpause(self, run: str) -> None:
        self._job(run).control.resume()

    def stop(self, run: str) -> None:
        """End a run after its current step; one that still waits ends at once."""
        self._stop(self._job(run))

    def change(self, run: str, path: str, value: Any) -> None:
        """Change a live knob (see `Control.change`)."""
        job = self._job(run)
        job.control.change(job.config, path, value)

    def rename(self, run: str, name: str, note: str) -> None:
        """Another name and note for a run that goes on here, or has ended.

        Raises:
            RunError: it goes on in another process. ConfigError: too long.
        """
        job = self._going_on(run)
        folder = RunFolder.open(run, self.root)
        if job is None and folder.info().status in ACTIVE:
            raise RunError(f"{run} goes on in another process: name it when it has ended")
        config = folder.rename(name, note)
        if job is not None:
            job.config = config

    def active(self) -> list[str]:
        """Ids of runs of this process that wait, train or pause, oldest first."""
        with self._lock:
            jobs = list(self._jobs.values())
        return [job.folder.id for job in jobs if job.active]

    def snapshot(self, run: str) -> Snapshot:
        """A run now, whether it goes on in this process or lies on disk.

        Raises:
            RunError: there is no such run, or its folder is broken.
        """
        job = self._going_on(run)
        if job is not None:
            return job.snapshot()
        folder = RunFolder.open(run, self.root)
        info, records = folder.info(), stored_records(folder)
        return _snapshot(folder, info.name, info.steps, info.status, info.message, Phase("", 0.0), records)

    def close(self, seconds: float = 20.0) -> None:
        """Stop every run after its current step and wait for the workers, at most so long in all."""
        with self._lock:
            jobs = list(self._jobs.values())
        for job in jobs:
            self._stop(job)
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
        job = self._going_on(run)
        if job is None or not job.active:
            raise RunError(f"{run} is not going on in this process")
        return job

    def _going_on(self, run: str) -> _Job | None:
        """A run that this process has to tell of; None where its folder does."""
        with self._lock:
            job = self._jobs.get(run)
        if job is not None and not job.active:
            self._leave_to_disk(job)
            with self._lock:
                job = self._jobs.get(run)
        return job

    def _work(self) -> None:
        for job in iter(self._waiting.get, None):
            if job.claim():
                execute(job.folder, job.control, job.observe, job.resume)
                self._leave_to_disk(job)

    def _stop(self, job: _Job) -> None:
        job.control.stop()
        if job.claim():
            job.observe(State("stopped", "stopped before it began"))
            self._leave_to_disk(job)

    def _leave_to_disk(self, job: _Job) -> None:
        """Forget a run that has ended once its folder says so; from then on the folder alone tells.

        Where the disk is full the run is kept here, and the next who asks for it tries again.
        """
        with contextlib.suppress(CpcError), self._lock:
            if self._jobs.get(job.folder.id) is job:  # else it was resumed meanwhile, or left before
                if job.folder.info().status != job.state.status:
                    job.folder.update(status=job.state.status, message=job.state.message)
                del self._jobs[job.folder.id]


def _snapshot(
    folder: RunFolder,
    name: str,
    steps: int,
    status: Status,
    message: str,
    phase: Phase,
    records: tuple[dict[str, Any], ...],
) -> Snapshot:
    last: dict[str, Any] = records[-1] if records else {"step": 0, "seconds": 0.0}
    recent = records[-20:]
    span = recent[-1]["seconds"] - recent[0]["seconds"] if len(recent) > 1 else 0.0
    speed = (recent[-1]["step"] - recent[0]["step"]) / span if span > 0 else 0.0
    left = (steps - last["step"]) / speed if speed > 0 else None
    return Snapshot(
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
        events=tuple(folder.events()),
    )


def stored_records(folder: RunFolder) -> tuple[dict[str, Any], ...]:
    """Records on disk, thinned as `live` does; read again only when the file has changed.

    Raises:
        RunError: the file cannot be read.
    """
    path = folder.path / "metrics.jsonl"
    stamp = (path.stat().st_mtime_ns, path.stat().st_size) if path.exists() else (0, 0)
    return _read(path.parent, stamp)


@lru_cache(maxsize=64)
def _read(path: Path, stamp: tuple[int, int]) -> tuple[dict[str, Any], ...]:
    return LiveRecords(RunFolder(path).records(), STORED).all()


_MANAGERS: dict[Path, RunManager] = {}
_MANAGERS_LOCK = threading.Lock()


def manager_for(root: Path = DEFAULT_ROOT) -> RunManager:
    """The one manager of this process for a folder of runs."""
    key = root.resolve()
    with _MANAGERS_LOCK:
        if key not in _MANAGERS:
            _MANAGERS[key] = RunManager(key)
        return _MANAGERS[key]
