"""What run.json says of a run: its status, progress, and facts about its data."""

from __future__ import annotations

import unicodedata
from collections.abc import Iterable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

from ..errors import RunError
from .schema import Count, Time, Value

Status = Literal["queued", "running", "paused", "stopped", "finished", "diverged", "failed", "interrupted"]
ACTIVE: tuple[Status, ...] = ("queued", "running", "paused")


@dataclass(frozen=True)
class RunInfo:
    """Content of run.json: the status, progress, and data facts of a run.

    Attributes:
        created, updated: seconds since 1970. seconds: training time.
        message: reason of the status; empty without one.
        parameters: number of parameters of the network.
        loss_first, loss_last: loss of the first and the last recorded step.
        seed, note: from the configuration; filled in by `listing.scan_runs` only.
        data: facts needed to decode new items (`FACTS`), counts of items per split and of skipped files, and
            remarks on the files. A run shipped as an example also has {"example": {"teaches": one sentence, "place":
            its rank}}.
        pid, pid_started, machine: the process that trains the run, and where it is (see `process`).
    """

    id: str
    name: str
    status: Status
    created: Time
    updated: Time
    steps_done: Count = 0
    steps: Count = 0
    seconds: Time = 0.0
    message: str = ""
    device: str = ""
    parameters: Count = 0
    loss_first: Value | None = None
    loss_last: Value | None = None
    seed: int = 0
    note: str = ""
    data: dict[str, Any] = field(default_factory=dict)
    pid: Count = 0
    pid_started: Count = 0
    machine: str = ""

    @property
    def is_example(self) -> bool:
        """Whether the run is a shipped example, which is never changed."""
        return bool(self.teaches)

    @property
    def teaches(self) -> str:
        """What an example teaches, one sentence; empty for other runs."""
        example = self.data.get("example")
        return str(example.get("teaches", "")) if isinstance(example, dict) else ""


# Facts about a run's data that are needed to decode new items as the training items were decoded.
FACTS = ("classes", "modalities", "sample_rate", "image_side")


def is_id(name: str) -> bool:
    """Return whether a text may be a run's id, the name of one folder: no path leads out of the folder of runs.

    Example:
        >>> is_id("Anna's tones, 2"), is_id("../secret"), is_id(".trash"), is_id("a\\nb")
        (True, False, False, False)
    """
    # Control characters, and what stands for the bytes of a name that is no UTF-8.
    if any(unicodedata.category(character) in ("Cc", "Cs") for character in name):
        return False
    hidden = not name or name.startswith(".")
    return not (hidden or len(name.encode()) > 255 or "\\" in name or name != Path(name).name)


def examples(runs: Iterable[RunInfo]) -> list[RunInfo]:
    """Return the runs that are examples, sorted by their place."""
    return sorted((run for run in runs if run.teaches), key=_place)


def _place(run: RunInfo) -> int:
    place = run.data["example"].get("place")
    return place if isinstance(place, int) else 0


def check_own(info: RunInfo) -> None:
    """Check that a run may be changed.

    Raises:
        RunError: the run is a shipped example.
    """
    if info.teaches:
        raise RunError(f"{info.id} is an example that ships with the lab and stays as it is; train one like it instead")
