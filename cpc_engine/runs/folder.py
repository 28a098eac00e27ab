"""A run is a folder. Copy it and it still works.

config.json              every knob
run.json                 status, progress and facts about the data (see RunInfo)
metrics.jsonl            one StepRecord a line, flushed as it happens
events.jsonl             pauses, changed knobs, resumes: {"step", "kind", …}
weights.safetensors      the network
checkpoint.safetensors   everything a resumed run needs
map.safetensors, map.json    pooled contexts of held-out items and their maps
evolution.safetensors, evolution.json    the same for validation items at a few steps on the way
typicality.safetensors   what typical items are like, for the verdict on a stranger's
probe.safetensors, evaluation.json   the linear probe and the report, once evaluated
log.txt                  what happened, for people
"""

from __future__ import annotations

import contextlib
import os
import re
import secrets
import shutil
import threading
import time
from collections.abc import Iterable
from dataclasses import asdict, dataclass, field, fields, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from pydantic import TypeAdapter, ValidationError

from ..config import RunConfig
from ..errors import ConfigError, CpcError, RunError, StorageError
from ..knobs import nearest
from .files import append_line, read_json, read_lines, read_tensors, storing, write_json, write_lines, write_tensors
from .process import is_alive, started

if TYPE_CHECKING:
    from torch import Tensor

DEFAULT_ROOT = Path("checkpoints")
ID = re.compile(r"\w[\w .()+-]{0,127}")  # a plain folder name: ours, or what a file manager calls a copy
Status = Literal["queued", "running", "paused", "stopped", "finished", "diverged", "failed", "interrupted"]
ACTIVE: tuple[Status, ...] = ("queued", "running", "paused")


@dataclass(frozen=True)
class RunInfo:
    """What a list of runs shows of one.

    Attributes:
        created, updated: seconds since 1970. seconds: training time.
        seed, note: of the configuration, where runs are listed.
        data: facts a stranger's item needs: classes, modalities, sample_rate, image_side; and items per split, skipped.
            A run that is shipped as an example has {"example": {"teaches": one sentence, "place": its rank}} there too.
        pid, pid_started: the process that works on it (see `process`).
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
    seed: int = 0
    note: str = ""
    data: dict[str, Any] = field(default_factory=dict)
    pid: int = 0
    pid_started: int = 0

    @property
    def teaches(self) -> str:
        """What an example teaches; empty for a run that is none."""
        example = self.data.get("example")
        return str(example.get("teaches", "")) if isinstance(example, dict) else ""


_INFO = TypeAdapter(RunInfo)
_UPDATING = threading.RLock()  # reading run.json and writing it back is one act
FACTS = ("classes", "modalities", "sample_rate", "image_side")


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
        path = root / f"{config.data.dataset.replace('_', '-')}-{stamp}-{secrets.token_hex(3)}"
        with storing(root):
            path.mkdir(parents=True)
        run = cls(path)
        now = time.time()
        info = RunInfo(run.id, config.run.name, "queued", now, now, steps=config.optimiser.steps, **_this_process())
        try:
            write_json(path / "config.json", config.to_dict())
            write_json(path / "run.json", asdict(info))
        except StorageError:
            shutil.rmtree(path, ignore_errors=True)
            raise
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
        except ConfigError as error:
            raise RunError(f"{self.id}: config.json does not fit this version: {error}") from None

    def info(self) -> RunInfo:
        """Its state; a run whose process has gone is `interrupted`.

        Raises:
            RunError: run.json is missing or damaged.
        """
        values = read_json(self.path / "run.json")
        known = {f.name for f in fields(RunInfo)}
        try:
            info = _INFO.validate_python({key: value for key, value in dict(values).items() if key in known})
        except ValidationError as error:
            first = error.errors()[0]
            where = ".".join(str(part) for part in first["loc"])
            raise RunError(f"{self.id}: run.json is damaged ({where}: {first['msg'].lower()})") from None
        except (TypeError, ValueError):
            raise RunError(f"{self.id}: run.json is damaged (no JSON object)") from None
        info = replace(info, id=self.id)
        if info.status in ACTIVE and not is_alive(info.pid, info.pid_started, info.updated):
            return replace(
                info, status="interrupted", message="the process that trained it has gone; it can be resumed"
            )
        return info

    def facts(self) -> dict[str, Any]:
        """What a stranger's item needs to know of the run's data: classes, modalities, sample_rate, image_side.

        Raises:
            RunError: run.json does not say.
        """
        data = self.info().data
        if any(name not in data for name in FACTS):
            raise RunError(f"{self.id}: run.json says nothing of the data it learned from; it never began")
        return data

    def update(self, **changes: Any) -> RunInfo:
        """Change fields of run.json; threads of this process do not lose each other's changes."""
        with _UPDATING:
            info = replace(self.info(), updated=time.time(), **_this_process(), **changes)
            write_json(self.path / "run.json", asdict(info))
        return info

    def rename(self, name: str, note: str) -> RunConfig:
        """Another name and note, in config.json and run.json.

        Raises:
            ConfigError: one of them is too long. RunError: it is an example.
        """
        with _UPDATING:
            check_own(self.info())
            config = self.config().replace({"run.name": name, "run.note": note})
            write_json(self.path / "config.json", config.to_dict())
            self.update(name=name)
        return config

    def mark_example(self, teaches: str, place: int) -> RunInfo:
        """Make a run that has ended one of the examples, shown in the order of their places."""
        return self.update(data=self.info().data | {"example": {"teaches": teaches, "place": place}})

    def records(self) -> list[dict[str, Any]]:
        return read_lines(self.path / "metrics.jsonl")

    def events(self) -> list[dict[str, Any]]:
        return read_lines(self.path / "events.jsonl")

    def append_record(self, record: dict[str, Any]) -> None:
        append_line(self.path / "metrics.jsonl", record)

    def append_event(self, event: dict[str, Any]) -> None:
        append_line(self.path / "events.jsonl", event)

    def forget_after(self, step: int) -> None:
        """Drop what a checkpoint at `step` does not hold, because a resumed run makes it again.

        These are later records and events, knobs changed at `step` itself (a change takes effect with the step that
        follows), and maps and probes of the weights as they were.
        """
        records = [row for row in self.records() if row.get("step", 0) <= step]
        events = [row for row in self.events() if row.get("step", 0) <= step - (row.get("kind") == "change")]
        write_lines(self.path / "metrics.jsonl", records)
        write_lines(self.path / "events.jsonl", events)
        made = ("map.json", "map.safetensors", "evaluation.json", "probe.safetensors", "typicality.safetensors")
        for name in made:
            with storing(self.path / name):
                (self.path / name).unlink(missing_ok=True)

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
        """Add a line for people; no run ends because its log cannot be written."""
        with contextlib.suppress(OSError), open(self.path / "log.txt", "a", encoding="utf-8") as file:
            file.write(f"{time.strftime('%Y-%m-%d %H:%M:%S')} {line}\n")

    def delete(self) -> None:
        """Remove the folder for good.

        Raises:
            RunError: the run is still going on.
        """
        if self.info().status in ACTIVE:
            raise RunError(f"{self.id} is still going on: stop it first")
        self.remove()

    def remove(self) -> None:
        """As `delete`, by whoever knows that the run has ended whatever run.json says."""
        with storing(self.path):
            shutil.rmtree(self.path)


def list_runs(root: Path = DEFAULT_ROOT) -> list[RunInfo]:
    """All runs below `root`, newest first; folders that are not runs, or broken ones, are left out."""
    return scan_runs(root)[0]


def scan_runs(root: Path = DEFAULT_ROOT) -> tuple[list[RunInfo], list[str]]:
    """(runs as `list_runs` gives them, one line for each broken run folder)."""
    found: list[RunInfo] = []
    broken: list[str] = []
    for path in sorted(root.iterdir()) if root.is_dir() else []:
        if not ((path / "config.json").is_file() or (path / "run.json").is_file()):
            continue
        folder = RunFolder(path)
        try:
            told = folder.config().run
            found.append(replace(folder.info(), seed=told.seed, note=told.note))
        except CpcError as error:
            broken.append(str(error))
    return sorted(found, key=lambda info: info.created, reverse=True), broken


def examples(runs: Iterable[RunInfo]) -> list[RunInfo]:
    """Those that are examples, in their order."""
    return sorted((run for run in runs if run.teaches), key=_place)


def _place(run: RunInfo) -> int:
    place = run.data["example"].get("place")
    return place if isinstance(place, int) else 0


def check_own(info: RunInfo) -> None:
    """Refuse to change what ships with the lab.

    Raises:
        RunError: the run is an example.
    """
    if info.teaches:
        raise RunError(f"{info.id} is an example that ships with the lab and stays as it is; train one like it instead")


def check_resumable(folder: RunFolder) -> None:
    """Refuse to resume a run that is going on, complete, an example, or has lost its checkpoint.

    A run that ended before its first checkpoint can begin anew: it has nothing to lose.

    Raises:
        RunError: with the reason.
    """
    info = folder.info()
    check_own(info)
    if info.status in ACTIVE:
        raise RunError(f"{folder.id} is still going on")
    if info.status == "finished":
        raise RunError(f"{folder.id} has finished all its {info.steps} steps")
    if info.status == "diverged":
        raise RunError(f"{folder.id} diverged; start a new run with other settings")
    if info.steps_done and not folder.has_tensors("checkpoint"):
        raise RunError(f"{folder.id} has no checkpoint to go on from")


def _this_process() -> dict[str, Any]:
    return {"pid": os.getpid(), "pid_started": started(os.getpid())}
