"""Background runs of one process: started, queued, observed, and controlled from any thread.

All pages and sessions share one manager per process and folder of runs (`manager_for`), so a reloaded page finds its
runs still active. Workers never touch a page: they leave records here, and pages read `RunProgress` objects.
"""

from __future__ import annotations

import atexit
import concurrent.futures.process  # noqa: F401  (the map's libraries need it, and `close` runs too late to load it)
import contextlib
import os
import queue
import threading
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ..config import RunConfig
from ..errors import CpcError, RunError
from ..storage.folder import RunFolder, check_resumable, default_root
from ..storage.info import ACTIVE, is_id
from ..storage.remote.mirrors import url_of
from ..storage.thinning import ThinnedRecords
from ..training.control import Control
from .channel import NAME, Channel
from .execute import Phase, Record, State
from .place import executor, place_of
from .progress import RunProgress, run_progress, stored_records

if TYPE_CHECKING:
    from .place import Executor

HERE = "in this app"  # where a run executes that is in a thread
AT_ONCE = 1  # runs that train at the same time; the others wait in the queue


@dataclass
class _Job:
    """A run of this process, from being queued to its end."""

    folder: RunFolder
    config: RunConfig
    resume: bool
    execute: Executor
    records: ThinnedRecords = field(default_factory=ThinnedRecords)
    control: Control = field(default_factory=Control)
    lock: threading.Lock = field(default_factory=threading.Lock)
    state: State = field(default_factory=lambda: State("queued"))
    phase: Phase = field(default_factory=lambda: Phase("", 0.0))
    claimed: bool = False
    own: bool = True  # else another process has sent it to a cluster

    @property
    def active(self) -> bool:
        """Whether the run is queued, running, or paused."""
        return self.state.status in ACTIVE

    def claim(self) -> bool:
        """Take the run out of the queue, to train it or to end it; True for the first caller only."""
        with self.lock:
            first, self.claimed = not self.claimed, True
        return first

    def observe(self, observed: Record | Phase | State) -> None:
        """Store a record, phase, or state for `progress`; called by the worker."""
        with self.lock:
            if isinstance(observed, dict):
                self.records.add(observed)
                self.phase = Phase("", 0.0)
            elif isinstance(observed, Phase):
                self.phase = observed
            else:
                self.state, self.phase = observed, Phase("", 0.0)

    def progress(self) -> RunProgress:
        with self.lock:
            records, phase, state = self.records.all(), self.phase, self.state
        name, steps = self.config.run.name, self.config.optimizer.steps
        return run_progress(self.folder, name, steps, state.status, state.message, phase, records, HERE)


class RunManager:
    """Trains runs in background threads, by default one after another, or has them trained on a cluster.

    Args:
        root: the folder of runs, `default_root()` if not given.
        workers: number of runs that train at the same time in threads. A cluster has a queue of its own.
        cluster: where they train (see `place.place_of`).

    Example:
        >>> import tempfile, time
        >>> from cpc_engine.presets import preset
        >>> small = {"data.train_items": 32, "data.test_items": 32, "optimizer.batch_size": 8, "audio.width": 8}
        >>> manager = RunManager(Path(tempfile.mkdtemp()))
        >>> run = manager.start(preset("tones").config().replace(small | {"optimizer.steps": 2}))
        >>> while manager.active():
        ...     time.sleep(0.1)
        >>> manager.progress_of(run).status
        'finished'
    """

    def __init__(self, root: Path | None = None, workers: int = AT_ONCE, cluster: str | None = None) -> None:
        self.root, self._cluster = root or default_root(), cluster
        if url_of(self.root) is not None:
            from ..storage.remote.refresh import watch

            watch(self.root)
        self._lock = threading.Lock()
        self._resuming = threading.Lock()
        self._jobs: dict[str, _Job] = {}
        self._waiting: queue.SimpleQueue[_Job | None] = queue.SimpleQueue()
        self._workers = [
            threading.Thread(target=self._work, name=f"cpc-run-{index}", daemon=True) for index in range(workers)
        ]
        for worker in self._workers:
            worker.start()
        self._extra: list[threading.Thread] = []  # of runs that train beside the workers', or on a cluster
        for channel in self.root.glob(f"*/{NAME}"):  # runs on a cluster, of an app that was here before
            with contextlib.suppress(CpcError):
                self._join(channel.parent.name)
        atexit.register(self.close)

    def start(self, config: RunConfig) -> str:
        """Queue a new run and return its id.

        Raises:
            StorageError: the folder of runs cannot be written. ConfigError: see `place.executor`.
        """
        execute = executor(self._cluster, connect=False)
        return self._enqueue(_Job(RunFolder.create(self.root, config), config, False, execute))

    def start_together(self, configs: Sequence[RunConfig]) -> list[str]:
        """Start new runs that train at the same time, beside whatever trains or waits, and return their ids.

        Meant for a few small runs that are looked at side by side; each gets a thread of its own.

        Raises:
            StorageError: the folder of runs cannot be written. ConfigError: see `place.executor`.
        """
        execute = executor(self._cluster, connect=False)
        jobs = [_Job(RunFolder.create(self.root, config), config, False, execute) for config in configs]
        return [self._begin(job) for job in jobs]

    def resume(self, run: str) -> str:
        """Queue a run that ended early (stopped, interrupted, failed) to continue from its checkpoint.

        Raises:
            RunError: the run is active, finished, diverged, an example, or has no checkpoint.
            ConfigError: see `place.executor`.
        """
        with self._resuming:  # of two concurrent callers, the second gets the error that the run is active
            folder = RunFolder.open(run, self.root)
            job = self._job_of(folder.id)
            if job is not None and job.active:  # on a cluster it may have no process for a moment
                raise RunError(f"{folder.id} is still going on")
            check_resumable(folder)
            execute = executor(self._cluster, connect=False)
            job = _Job(folder, folder.config(), True, execute, ThinnedRecords(folder.records()))
            folder.update(status="queued", message="")
        return self._enqueue(job)

    def pause(self, run: str) -> None:
        """Pause a run after its current step.

        Raises:
            RunError: the run is not active in this process.
        """
        self._active_job(run).control.pause()

    def unpause(self, run: str) -> None:
        """Continue a paused run.

        Raises:
            RunError: the run is not active in this process.
        """
        self._active_job(run).control.resume()

    def stop(self, run: str) -> None:
        """End a run after its current step; a queued run ends immediately.

        Raises:
            RunError: the run is not active in this process.
        """
        self._stop(self._active_job(run))

    def change(self, run: str, path: str, value: Any) -> None:
        """Change a live setting (see `Control.change`).

        Args:
            path: "section.setting".

        Raises:
            RunError: the run is not active in this process.
            ConfigError: the setting does not exist, is not live, or the value does not fit.
        """
        job = self._active_job(run)
        before = {row["setting"]: row["value"] for row in job.folder.due_changes(0)}  # of a run that was resumed too
        job.control.change(job.config.replace(before), path, value)

    def rename(self, run: str, name: str, note: str) -> None:
        """Change the name and the note of a run that has ended or is active in this process.

        Raises:
            RunError: the run is active in another process. ConfigError: the name or the note is too long.
        """
        job = self._job_of(run)
        folder = RunFolder.open(run, self.root)
        if job is None and folder.info().status in ACTIVE:
            raise RunError(f"{run} goes on in another process: name it when it has ended")
        channel = Channel(folder.path)
        if job is not None and channel.is_open:  # two machines must not write the same file
            job.config = folder.config().replace({"run.name": name, "run.note": note})
            channel.send({"name": name, "note": note})
            return
        config = folder.rename(name, note)
        if job is not None:
            job.config = config

    def active(self) -> list[str]:
        """Return the ids of the queued, running, and paused runs of this process, oldest first."""
        with self._lock:
            jobs = list(self._jobs.values())
        return [job.folder.id for job in jobs if job.active]

    def progress_of(self, run: str) -> RunProgress:
        """Return the current progress of a run, active in this process or on disk.

        What cannot be read of the records and events is left out; the message says so.

        Raises:
            RunError: there is no such run, or its folder is broken.
        """
        job = self._job_of(run)
        if job is not None:
            return job.progress()
        folder = RunFolder.open(run, self.root)
        info, message = folder.info(), ""
        records: tuple[dict[str, Any], ...] = ()
        try:
            records = stored_records(folder)
        except RunError as error:  # the rest of the run can be shown
            message = str(error)
        return run_progress(
            folder,
            info.name,
            info.steps,
            info.status,
            message or info.message,
            Phase("", 0.0),
            records,
            "in another process",
        )

    def close(self, seconds: float = 20.0) -> None:
        """Stop every run after its current step, and wait up to `seconds` in all for the workers to end.

        Runs that another process has sent to a cluster go on.
        """
        with self._lock:
            jobs = [job for job in self._jobs.values() if job.own]
        for job in jobs:
            self._stop(job)
        for _ in self._workers:
            self._waiting.put(None)
        threads = [*self._workers, *(thread for thread in self._extra if thread.is_alive())]
        for thread in threads:
            thread.join(seconds / len(threads))

    def _enqueue(self, job: _Job) -> str:
        """Have a run train after those that wait; a cluster has a queue of its own."""
        if place_of(self._cluster) is not None:
            return self._begin(job)
        with self._lock:
            self._jobs[job.folder.id] = job
        self._waiting.put(job)
        return job.folder.id

    def _begin(self, job: _Job) -> str:
        """Give a run a thread of its own."""
        with self._lock:
            self._jobs[job.folder.id] = job
        thread = threading.Thread(target=self._train, args=(job,), name=f"cpc-{job.folder.id}", daemon=True)
        self._extra.append(thread)
        thread.start()
        return job.folder.id

    def _join(self, run: str) -> None:
        """Follow, and steer, a run that another process has sent to a cluster; nothing where there is no such run."""
        folder = RunFolder(self.root / run)
        if not is_id(run) or not Channel(folder.path).is_open or (status := folder.info().status) not in ACTIVE:
            return
        from .cluster.submit import follow

        records = ThinnedRecords(folder.records())
        job = _Job(folder, folder.config(), True, lambda f, c, o, r: follow(f, c, o), records, own=False)
        job.state = State(status)
        with self._lock:
            if run in self._jobs:
                return
            self._jobs[run] = job
        threading.Thread(target=self._train, args=(job,), name=f"cpc-{run}", daemon=True).start()

    def _active_job(self, run: str) -> _Job:
        """Return the job of an active run of this process or of a cluster.

        Raises:
            RunError: there is no such run.
        """
        job = self._job_of(run)
        if job is None or not job.active:
            raise RunError(f"{run} is not going on in this process")
        return job

    def _job_of(self, run: str) -> _Job | None:
        """Return the job of a run; None if there is none, or if its folder has the final state."""
        if run not in self._jobs:
            self._join(run)
        with self._lock:
            job = self._jobs.get(run)
        if job is not None and not job.active:
            self._release(job)
            with self._lock:
                job = self._jobs.get(run)
        return job

    def _work(self) -> None:
        for job in iter(self._waiting.get, None):
            self._train(job)

    def _train(self, job: _Job) -> None:
        if job.claim():
            job.execute(job.folder, job.control, job.observe, job.resume)
            self._release(job)

    def _stop(self, job: _Job) -> None:
        job.control.stop()
        if job.claim():
            job.observe(State("stopped", "stopped before it began"))
            self._release(job)

    def _release(self, job: _Job) -> None:
        """Drop the job of an ended run once run.json has its final state; from then on the folder is read.

        If run.json cannot be written because the disk is full, the job is kept, and the next access tries again. A run
        that another process is at work on has not failed: what that writes stays, and else the run can be resumed.
        """
        status = "interrupted" if job.state.refused else job.state.status
        with contextlib.suppress(CpcError), self._lock:
            if self._jobs.get(job.folder.id) is job:  # else the run was resumed or released in the meantime
                info = job.folder.info()
                elsewhere = info.status in ACTIVE and info.pid != os.getpid()
                if job.own and info.status != status and not elsewhere:
                    job.folder.update(status=status, message=job.state.message)
                del self._jobs[job.folder.id]


_MANAGERS: dict[Path, RunManager] = {}
_MANAGERS_LOCK = threading.Lock()


def manager_for(root: Path | None = None) -> RunManager:
    """Return the manager of this process for a folder of runs; there is one object per folder.

    Example:
        >>> import tempfile
        >>> root = Path(tempfile.mkdtemp())
        >>> manager_for(root) is manager_for(root), manager_for(root).active()
        (True, [])
    """
    key = (root or default_root()).resolve()
    with _MANAGERS_LOCK:
        if key not in _MANAGERS:
            _MANAGERS[key] = RunManager(key)
        return _MANAGERS[key]
