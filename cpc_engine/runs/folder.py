"""A run is a folder. Copy it and it still works.

config.json              every knob
run.json                 status, progress and facts about the data (see RunInfo)
metrics.jsonl            one StepRecord a line, flushed as it happens
events.jsonl             pauses, changed knobs, resumes: {"step", "kind", …}
weights.safetensors      the network
checkpoint.safetensors   everything a resumed run needs
map.safetensors, map.json    pooled contexts of held-out items and their maps
probe.safetensors, evaluation.json   the linear probe and the report, once evaluated
log.txt                  what happened, for people
"""

from __future__ import annotations

import os
import re
import secrets
import shutil
import time
from dataclasses import asdict, dataclass, field, fields, replace
from pathlib import Path
from typing import Any, Literal

from torch import Tensor

from ..config import RunConfig
from ..errors import ConfigError, RunError
from ..knobs import nearest
from .files import append_line, read_json, read_lines, read_tensors, storing, write_json, write_tensors

DEFAULT_ROOT = Path("checkpoints")
ID = re.compile(r"[a-z0-9][a-z0-9_-]{0,63}")
Status = Literal["queued", "running", "paused", "stopped", "finished", "diverged", "failed", "interrupted"]
ACTIVE: tuple[Status, ...] = ("queued", "running", "paused")


@dataclass(frozen=True)
class RunInfo:
    """What a list of runs shows of one.

    Attributes:
        created, updated: seconds since 1970. seconds: training time.
        data: facts a stranger's item needs: classes, modalities, sample_rate, image_side; and items per split, skipped.
        pid: the process that works on it.
    """

    id: str
    name: str
    status: Status
    created: float
    updated: float
    steps_done: int = 0
    steps: int = 0
    seconds: float = 0.0
    message: str = ""
    device: str = ""
    parameters: int = 0
    loss_first: float | None = None
    loss_last: float | None = None
    data: dict[str, Any] = field(default_factory=dict)
    pid: int = 0


class RunFolder:
    """One run's files. Reading never changes them."""

    def __init__(self, path: Path) -> None:
        self.path = path

    @property
    def id(self) -> str:
        return self.path.name

    @classmethod
    def create(cls, root: Path, config: RunConfig) -> RunFolder:
        """A new run, queued, with an id of its own.

        Raises:
            StorageError: `root` cannot be written.
        """
        stamp = time.strftime("%Y%m%d-%H%M%S")
        path = root / f"{config.data.dataset.replace('_', '-')}-{stamp}-{secrets.token_hex(2)}"
        with storing(root):
            path.mkdir(parents=True)
        run = cls(path)
        write_json(path / "config.json", config.to_dict())
        now = time.time()
        info = RunInfo(run.id, config.run.name, "queued", now, now, steps=config.optimiser.steps, pid=os.getpid())
        write_json(path / "run.json", asdict(info))
        return run

    @classmethod
    def open(cls, name: str | Path, root: Path = DEFAULT_ROOT) -> RunFolder:
        """A run by its folder or its id below `root`.

        Raises:
            RunError: there is none, or the folder is not a run.
        """
        path = Path(name)
        if not (path / "config.json").is_file():
            if path.is_dir() and len(path.parts) > 1:
                raise RunError(f"{name} is not a run folder: it has no config.json")
            if not ID.fullmatch(str(name)):
                raise RunError(f"no run {str(name)!r}: neither a run folder nor a run's id")
            path = root / str(name)
            if not (path / "config.json").is_file():
                known = [run.id for run in list_runs(root)]
                hint = nearest(str(name), known) if known else f" ({root} holds no runs)"
                raise RunError(f"no run {str(name)!r} in {root}{hint}")
        return cls(path.resolve())

    def config(self) -> RunConfig:
        try:
            return RunConfig.from_dict(read_json(self.path / "config.json"))
        except (ConfigError, TypeError, ValueError) as error:
            raise RunError(f"{self.id}: config.json does not fit this version: {error}") from None

    def info(self) -> RunInfo:
        """Its state; a run whose process has gone is `interrupted`."""
        values = read_json(self.path / "run.json")
        known = {f.name for f in fields(RunInfo)}
        try:
            info = RunInfo(**{key: value for key, value in values.items() if key in known})
        except (TypeError, AttributeError) as error:
            raise RunError(f"{self.id}: run.json is incomplete ({error})") from None
        info = replace(info, id=self.id)
        if info.status in ACTIVE and not _alive(info):
            return replace(
                info, status="interrupted", message="the process that trained it has gone; it can be resumed"
            )
        return info

    def update(self, **changes: Any) -> RunInfo:
        """Change fields of run.json."""
        info = replace(self.info(), updated=time.time(), pid=os.getpid(), **changes)
        write_json(self.path / "run.json", asdict(info))
        return info

    def records(self) -> list[dict[str, Any]]:
        return read_lines(self.path / "metrics.jsonl")

    def events(self) -> list[dict[str, Any]]:
        return read_lines(self.path / "events.jsonl")

    def append_record(self, record: dict[str, Any]) -> None:
        append_line(self.path / "metrics.jsonl", record)

    def append_event(self, event: dict[str, Any]) -> None:
        append_line(self.path / "events.jsonl", event)

    def forget_after(self, step: int) -> None:
        """Drop records and events later than `step`: a resumed run makes them again."""
        for name, rows in (("metrics.jsonl", self.records()), ("events.jsonl", self.events())):
            path = self.path / name
            if any(row.get("step", 0) > step for row in rows):
                with storing(path):
                    path.unlink(missing_ok=True)
                for row in rows:
                    if row.get("step", 0) <= step:
                        append_line(path, row)

    def save_tensors(self, name: str, tensors: dict[str, Tensor]) -> None:
        write_tensors(self.path / f"{name}.safetensors", tensors)

    def tensors(self, name: str) -> dict[str, Tensor]:
        return read_tensors(self.path / f"{name}.safetensors")

    def has_tensors(self, name: str) -> bool:
        return (self.path / f"{name}.safetensors").is_file()

    def save_json(self, name: str, value: Any) -> None:
        write_json(self.path / f"{name}.json", value)

    def json(self, name: str) -> Any:
        """A JSON file of the run, or None where it was never written."""
        return read_json(self.path / f"{name}.json") if (self.path / f"{name}.json").is_file() else None

    def log(self, line: str) -> None:
        with storing(self.path), open(self.path / "log.txt", "a", encoding="utf-8") as file:
            file.write(f"{time.strftime('%Y-%m-%d %H:%M:%S')} {line}\n")

    def delete(self) -> None:
        """Remove the folder for good.

        Raises:
            RunError: the run is still going on.
        """
        if self.info().status in ACTIVE:
            raise RunError(f"{self.id} is still going on: stop it first")
        with storing(self.path):
            shutil.rmtree(self.path)


def list_runs(root: Path = DEFAULT_ROOT) -> list[RunInfo]:
    """All runs below `root`, newest first; folders that are not runs, or broken ones, are left out."""
    found = []
    for path in root.glob("*/run.json") if root.is_dir() else []:
        try:
            found.append(RunFolder(path.parent).info())
        except RunError:
            continue
    return sorted(found, key=lambda info: info.created, reverse=True)


def _alive(info: RunInfo) -> bool:
    """Whether the process that works on a run still exists (where signals cannot tell: wrote in the last minute)."""
    if info.pid == os.getpid():
        return True
    if os.name != "posix":
        return time.time() - info.updated < 60
    try:
        os.kill(info.pid, 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        return True
    return True
