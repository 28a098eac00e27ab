"""Evaluations in the background of one process: one after another, so that no page waits for probes."""

from __future__ import annotations

import os
import queue
import sys
import threading
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Literal

from ..errors import CpcError
from .evaluate import evaluate_run
from .folder import DEFAULT_ROOT, RunFolder


@dataclass(frozen=True)
class Job:
    """An evaluation now: what it does and how far that is (0…1), or why it failed."""

    run: str
    status: Literal["waiting", "working", "done", "failed"] = "waiting"
    text: str = ""
    share: float = 0.0

    @property
    def going_on(self) -> bool:
        return self.status in ("waiting", "working")


class Evaluations:
    """Evaluates runs below `root`; the thread ends with the process."""

    def __init__(self, root: Path = DEFAULT_ROOT) -> None:
        self.root = root
        self._lock = threading.Lock()
        self._jobs: dict[str, Job] = {}
        self._waiting: queue.SimpleQueue[str] = queue.SimpleQueue()
        threading.Thread(target=self._work, name="cpc-evaluate", daemon=True).start()

    def start(self, run: str) -> None:
        """Queue a run's evaluation unless it waits or goes on already.

        Raises:
            RunError: there is no such run.
        """
        folder = RunFolder.open(run, self.root)
        with self._lock:
            if (known := self._jobs.get(folder.id)) and known.going_on:
                return
            self._jobs[folder.id] = Job(folder.id)
        self._waiting.put(folder.id)

    def jobs(self) -> dict[str, Job]:
        """Everything asked for so far, by run."""
        with self._lock:
            return dict(self._jobs)

    def _set(self, run: str, **values: object) -> None:
        with self._lock:
            self._jobs[run] = replace(self._jobs[run], **values)  # type: ignore[arg-type]

    def _work(self) -> None:
        if sys.platform == "linux":  # after the page that shows it
            os.setpriority(os.PRIO_PROCESS, threading.get_native_id(), 10)
        while True:
            run = self._waiting.get()
            self._set(run, status="working")
            try:
                folder = RunFolder.open(run, self.root)
                evaluate_run(folder, progress=lambda text, share, run=run: self._set(run, text=text, share=share))  # type: ignore[misc]
                self._set(run, status="done", text="", share=1.0)
            except CpcError as error:
                self._set(run, status="failed", text=str(error))
            except Exception as error:  # the worker must live on for the next run
                self._set(run, status="failed", text=f"unexpected {type(error).__name__}: {error}".partition("\n")[0])


_EVALUATIONS: dict[Path, Evaluations] = {}
_LOCK = threading.Lock()


def evaluations_for(root: Path = DEFAULT_ROOT) -> Evaluations:
    """The one queue of evaluations of this process for a folder of runs."""
    key = root.resolve()
    with _LOCK:
        if key not in _EVALUATIONS:
            _EVALUATIONS[key] = Evaluations(key)
        return _EVALUATIONS[key]
