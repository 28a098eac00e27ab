"""Background evaluations of one process, one after another, so that no page waits for probes."""

from __future__ import annotations

import queue
import threading
import time
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Literal

from ..errors import CpcError
from ..evaluation.probes.plan import time_left
from ..storage.folder import RunFolder, default_root
from .device import lower_priority
from .evaluate import evaluate_run


@dataclass(frozen=True)
class Job:
    """State of an evaluation.

    Attributes:
        run: id of the run.
        text: what is being done, or the reason of a failure. share: share of its time that has passed, 0 to 1.
        began: when it began, as `time.monotonic()` has it.
    """

    run: str
    status: Literal["waiting", "working", "done", "failed"] = "waiting"
    text: str = ""
    share: float = 0.0
    began: float = 0.0

    @property
    def going_on(self) -> bool:
        """Whether the evaluation is waiting or working."""
        return self.status in ("waiting", "working")

    @property
    def left(self) -> str:
        """The estimated time that is left, "about 40 s left"; empty before there is an estimate."""
        return time_left(time.monotonic() - self.began, self.share) if self.status == "working" else ""


class Evaluations:
    """Evaluates runs below `root` in one background thread, which ends with the process."""

    def __init__(self, root: Path | None = None) -> None:
        self.root = root or default_root()
        self._lock = threading.Lock()
        self._jobs: dict[str, Job] = {}
        self._waiting: queue.SimpleQueue[str] = queue.SimpleQueue()
        threading.Thread(target=self._work, name="cpc-evaluate", daemon=True).start()

    def start(self, run: str) -> None:
        """Queue the evaluation of a run, unless it is already waiting or working.

        Raises:
            RunError: there is no such run.
        """
        folder = RunFolder.open(run, self.root)
        with self._lock:
            if (job := self._jobs.get(folder.id)) and job.going_on:
                return
            self._jobs[folder.id] = Job(folder.id)
        self._waiting.put(folder.id)

    def jobs(self) -> dict[str, Job]:
        """Return all evaluations started so far, by run id."""
        with self._lock:
            return dict(self._jobs)

    def _set(self, run: str, **values: object) -> None:
        with self._lock:
            self._jobs[run] = replace(self._jobs[run], **values)  # type: ignore[arg-type]

    def _work(self) -> None:
        lower_priority()
        while True:
            run = self._waiting.get()
            self._set(run, status="working", began=time.monotonic())
            try:
                folder = RunFolder.open(run, self.root)
                evaluate_run(folder, progress=lambda text, share, run=run: self._set(run, text=text, share=share))  # type: ignore[misc]
                self._set(run, status="done", text="", share=1.0)
            except CpcError as error:
                self._set(run, status="failed", text=error.problem)
            except Exception as error:  # the worker must survive for the next run
                id, reason = RunFolder(self.root / run).log_error(error), str(error).partition("\n")[0]
                text = f"unexpected {type(error).__name__}: {reason} ({id} in log.jsonl)"
                self._set(run, status="failed", text=text)


_EVALUATIONS: dict[Path, Evaluations] = {}
_LOCK = threading.Lock()


def evaluations_for(root: Path | None = None) -> Evaluations:
    """Return the evaluations of this process for a folder of runs; there is one object per folder.

    Example:
        >>> import tempfile
        >>> root = Path(tempfile.mkdtemp())
        >>> evaluations_for(root) is evaluations_for(root), evaluations_for(root).jobs()
        (True, {})
    """
    key = (root or default_root()).resolve()
    with _LOCK:
        if key not in _EVALUATIONS:
            _EVALUATIONS[key] = Evaluations(key)
        return _EVALUATIONS[key]
