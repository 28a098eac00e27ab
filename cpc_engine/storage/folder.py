"""A run as a folder of files. The folder is self-contained: it can be copied or moved.

config.json                              every setting
run.json                                 status, progress, and facts about the data (see `info.RunInfo`)
metrics.jsonl                            one StepRecord per line, flushed after each
events.jsonl                             pauses, resumes, settings changed or due to be: {"step", "kind", …}
weights.safetensors                      the network
checkpoint.safetensors                   everything that a resumed run needs
snapshot-1.safetensors, …                the same in brief after a few earlier steps (see `execution.weight_snapshots`)
map.safetensors, map.json                pooled contexts of held-out items and their maps
evolution.safetensors, evolution.json    snapshots: the same for validation items at a few steps of the training
typicality.safetensors                   out-of-distribution references, to score new items
probe.safetensors, evaluation.json       probes and metrics, once the run was evaluated
fork.json                                of a fork: where it branched off (see `comparison.forks.Branch`)
log.jsonl                                changes of status, what was skipped, errors (log.txt in earlier versions)
channel/, .lock                          of a run that was sent to a cluster (see `execution.channel`)
"""

from __future__ import annotations

import contextlib
import os
import secrets
import threading
import time
import traceback
from collections.abc import Mapping
from dataclasses import asdict, fields, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from pydantic import TypeAdapter, ValidationError

from ..config import RunConfig, all_settings
from ..errors import ConfigError, RunError, StorageError
from ..settings import nearest
from .files import (
    append_line,
    has_lines,
    modified,
    read_array,
    read_json,
    read_lines,
    read_tensors,
    storing,
    write_json,
    write_lines,
    write_tensors,
)
from .format import FORMAT, check_format, current_config, current_event, current_json, current_record, current_tensors
from .info import ACTIVE, FACTS, RunInfo, check_own, is_id
from .leftovers import making, remove_folder
from .lock import LOCK, publish, withdraw
from .process import SILENCE, is_alive, machine, silence, started
from .remote.mirrors import local_root, url_of
from .schema import check_document, check_facts, fits_event, fits_record

if TYPE_CHECKING:
    from torch import Tensor

# Files of a run folder by part; `RunFolder.stamp` detects their changes.
PARTS: dict[str, tuple[str, ...]] = {
    "config": ("config.json",),
    "info": ("run.json",),
    "metrics": ("metrics.jsonl",),
    "events": ("events.jsonl",),
    "weights": ("weights.safetensors",),
    "checkpoint": ("checkpoint.safetensors",),
    "weight_snapshots": tuple(f"snapshot-{number}.safetensors" for number in range(1, 11)),
    "map": ("map.json", "map.safetensors"),
    "snapshots": ("evolution.json", "evolution.safetensors"),
    "ood": ("typicality.safetensors",),
    "probe": ("probe.safetensors",),
    "evaluation": ("evaluation.json",),
    "fork": ("fork.json",),
}
LOGS = ("log.jsonl", "log.txt")  # the second of earlier versions
FILES = (*(name for names in PARTS.values() for name in names), *LOGS)  # all that makes a run
_INFO = TypeAdapter(RunInfo)
_UPDATING = threading.RLock()  # held from reading run.json until it is written back


class RunFolder:
    """The files of one run. Reading never changes them."""

    def __init__(self, path: Path) -> None:
        self.path = path

    @property
    def id(self) -> str:
        return self.path.name

    @classmethod
    def create(cls, root: Path, config: RunConfig) -> RunFolder:
        """Create the folder of a new run with a unique id and the status "queued".

        Raises:
            StorageError: `root` cannot be written.
        """
        stamp = time.strftime("%Y%m%d-%H%M%S")
        path = root / f"{config.data.dataset.replace('_', '-')}-{stamp}-{secrets.token_hex(3)}"
        now = time.time()
        info = RunInfo(path.name, config.run.name, "queued", now, now, steps=config.optimizer.steps, **_this_process())
        with making(path) as made:
            run = cls(made)
            run._write_config(config)
            run._write_info(info)
        return cls(path)

    @classmethod
    def open(cls, name: str | Path, root: Path | None = None) -> RunFolder:
        """Open a run by its folder, or by its id below `root` (`default_root()` if not given).

        Raises:
            RunError: there is no such run, or the folder is not a run. StorageError: the URL of `root` does not answer.
        """
        path, root = Path(name), root or default_root()
        renew(*((root, str(name)) if is_id(str(name)) else (path.parent, path.name)))
        try:
            if (path / "config.json").is_file():
                return cls(path.resolve())
            if path.is_dir() and len(path.parts) > 1:
                raise RunError(f"{name} is not a run folder: it has no config.json")
            if is_id(str(name)) and (root / str(name) / "config.json").is_file():
                return cls((root / str(name)).resolve())
        except OSError as error:  # a name that is too long, a folder that must not be read
            raise RunError(f"no run {str(name)[:80]!r} can be opened: {error.strerror}") from None
        if not is_id(str(name)):
            raise RunError(f"no run {str(name)!r}: neither a run folder nor a run's id")
        ids = [path.parent.name for path in root.glob("*/config.json") if is_id(path.parent.name)]
        hint = nearest(str(name), ids) if ids else f" ({root} holds no runs)"
        raise RunError(f"no run {str(name)!r} in {root}{hint}")

    def config(self) -> RunConfig:
        """Read the configuration.

        Raises:
            RunError: config.json is missing, damaged, or of a later format.
        """
        values = read_json(self.path / "config.json")
        try:
            if isinstance(values, dict):
                check_format(values, self.id)
                values = current_config(values)
            return RunConfig.from_dict(values)
        except ConfigError as error:
            raise RunError(f"{self.id}: config.json does not fit this version: {error}") from None

    def info(self) -> RunInfo:
        """Read run.json. An active run whose process no longer exists, or works on the folder that this one is a copy
        of, has the status "interrupted".

        A process of another machine counts as gone after 60 s without a sign of life.

        Raises:
            RunError: run.json is missing, damaged, or of a later format.
        """
        values = read_json(self.path / "run.json")
        names = {f.name for f in fields(RunInfo)}
        if isinstance(values, dict):
            check_format(values, self.id)
        try:
            info = _INFO.validate_python({key: value for key, value in dict(values).items() if key in names})
        except ValidationError as error:
            first = error.errors()[0]
            where = ".".join(str(part) for part in first["loc"])
            raise RunError(f"{self.id}: run.json is damaged ({where}: {first['msg'].lower()})") from None
        except (TypeError, ValueError):
            raise RunError(f"{self.id}: run.json is damaged (no JSON object)") from None
        check_facts(info.data, self.id)
        copied = info.id not in ("", self.id)
        info = replace(info, id=self.id)
        if info.status in ACTIVE and (copied or not self._has_process(info)):
            what = "it was copied while it trained" if copied else "the process that trained it has gone"
            return replace(info, status="interrupted", message=f"{what}; {self.way_on(info)}")
        return info

    def way_on(self, info: RunInfo) -> str:
        """Say where a run that was cut off goes on: at its checkpoint, however far its records are ahead of it."""
        if not self.has("checkpoint"):
            return "it has no checkpoint to go on from" if info.steps_done else "it can begin again"
        try:
            step = self.steps_of("checkpoint")
        except RunError as error:
            return str(error)
        return f"it can be resumed at step {step}" if step else "it can begin again"

    def steps_of(self, name: str) -> int:
        """Read after how many steps NAME.safetensors was written, a checkpoint or a weight snapshot.

        Raises:
            RunError: the file is missing or damaged.
        """
        progress = read_array(self.path / f"{name}.safetensors", "progress")
        # Where a library has taught NumPy bfloat16 it can be read, but is of another kind.
        fits = progress.shape == (2,) and progress.dtype.kind == "f"
        if not fits or not 0 <= progress[0] <= self.config().optimizer.steps:
            raise RunError(f"{self.id}: {name}.safetensors is damaged (no step of this run)")
        return int(progress[0])

    def _has_process(self, info: RunInfo) -> bool:
        """Whether the process that trains the run exists."""
        if info.machine in ("", machine()):
            return is_alive(info.pid, info.pid_started, info.updated)
        written = [self.path / name for name in ("run.json", "metrics.jsonl", LOCK)]
        return silence(self.path, tuple(modified(path) / 1e9 for path in written)) < SILENCE

    def facts(self) -> dict[str, Any]:
        """Return the facts about the run's data (`RunInfo.data`), among them all of `FACTS`.

        Raises:
            RunError: run.json lacks them, because the run never loaded its data.
        """
        data = self.info().data
        if any(name not in data for name in FACTS):
            raise RunError(f"{self.id}: run.json says nothing of the data it learned from; it never began")
        return data

    def update(self, **changes: Any) -> RunInfo:
        """Change fields of run.json; safe against concurrent updates by threads of this process.

        Raises:
            RunError: run.json is missing or damaged. StorageError: it cannot be written.
        """
        with _UPDATING:
            info = replace(self.info(), updated=time.time(), **_this_process(), **changes)
            self._write_info(info)
        return info

    def rename(self, name: str, note: str) -> RunConfig:
        """Change the name and the note, in config.json and run.json.

        Raises:
            ConfigError: one of them is too long. RunError: the run is an example.
        """
        with _UPDATING:
            check_own(self.info())
            config = self.config().replace({"run.name": name, "run.note": note})
            self._write_config(config)
            self.update(name=name)
        publish(self.path)
        return config

    def replace_info(self, info: RunInfo) -> None:
        """Write another state of a run that no process works on, as it was or is to be.

        Raises:
            StorageError: run.json cannot be written.
        """
        self._write_info(info)

    def settle(self, values: Mapping[str, Any]) -> None:
        """Give settings that follow from the data their numbers, {"section.setting": value}.

        Raises:
            StorageError: config.json cannot be written.
        """
        with _UPDATING:  # as where a name is given meanwhile
            self._write_config(self.config().replace(values))

    def mark_example(self, teaches: str, place: int) -> RunInfo:
        """Mark an ended run as an example; `examples` sorts by `place`. The process that trained it is forgotten."""
        info = self.update(data=self.info().data | {"example": {"teaches": teaches, "place": place}})
        info = replace(info, pid=0, pid_started=0, machine="")
        self.replace_info(info)
        return info

    def records(self) -> list[dict[str, Any]]:
        """Read the recorded steps, oldest first (see `training.records.StepRecord`).

        Lines that no such run writes are left out. Of lines of one step the last counts.

        Raises:
            RunError: config.json is missing or damaged, or metrics.jsonl cannot be read.
        """
        steps, rows = self.config().optimizer.steps, read_lines(self.path / "metrics.jsonl", fits_record)
        modalities = rows[0]["modalities"].keys() if rows else set()
        kept = {r["step"]: r for r in rows if r["step"] <= steps and r["modalities"].keys() == modalities}
        return [current_record(kept[step]) for step in sorted(kept)]

    def events(self) -> list[dict[str, Any]]:
        """Read the pauses, resumes, and changed settings, oldest first.

        Lines that no such run writes are left out.

        Raises:
            RunError: there are some, and config.json is missing or damaged, or events.jsonl cannot be read.
        """
        return [event for event in self._events() if event["kind"] != "due"]

    def due_changes(self, step: int) -> list[dict[str, Any]]:
        """Read the changes of settings that a run resumed at `step` makes again: those of `step` and later.

        They stay due until they are made, however often the run is resumed before.

        Returns:
            {"step", "kind", "setting", "value"}; of two for one step and setting the last counts.

        Raises:
            RunError: see `events`.
        """
        rows = self._events()
        # What was made counts more than what was due before.
        changes = [row for kind in ("due", "change") for row in rows if row["kind"] == kind]
        return [row for row in changes if row["step"] >= step]

    def _events(self) -> list[dict[str, Any]]:
        rows = read_lines(self.path / "events.jsonl", _fits_event)
        if not rows:
            return []
        config = self.config()
        live = {setting.path for setting in all_settings() if setting.live}
        events = []
        for event in map(current_event, rows):
            if event["kind"] in ("change", "due"):
                if event["setting"] not in live:
                    continue
                try:
                    config = config.replace({event["setting"]: event["value"]})
                except ConfigError:
                    continue
            if event["step"] <= config.optimizer.steps:
                events.append(event)
        return events

    def append_record(self, record: dict[str, Any]) -> None:
        """Append a recorded step to metrics.jsonl."""
        append_line(self.path / "metrics.jsonl", record)

    def append_event(self, event: dict[str, Any]) -> None:
        """Append an event to events.jsonl."""
        append_line(self.path / "events.jsonl", event)

    def forget_after(self, step: int) -> list[dict[str, Any]]:
        """Delete everything newer than a checkpoint at `step`, because the resumed run produces it again.

        Deletes later records and events, and the maps and probes of the later weights. Changes of settings at `step` (a
        change takes effect with the next step) and later are due again. Returns the records that are left.

        Raises:
            StorageError: a file cannot be written or deleted.
        """
        records = [row for row in self.records() if row.get("step", 0) <= step]
        events = [row for row in self.events() if row.get("step", 0) <= step - (row.get("kind") == "change")]
        if not has_lines(self.path / "metrics.jsonl", len(records)):  # writing 100 000 again takes seconds
            write_lines(self.path / "metrics.jsonl", records)
        write_lines(self.path / "events.jsonl", events + [row | {"kind": "due"} for row in self.due_changes(step)])
        for name in (name for part in ("map", "evaluation", "probe", "ood") for name in PARTS[part]):
            with storing(self.path / name):
                (self.path / name).unlink(missing_ok=True)
        return records

    def has(self, *parts: str) -> bool:
        """Return whether all files of these `PARTS` exist."""
        return all((self.path / name).is_file() for part in parts for name in PARTS[part])

    def stamp(self, *parts: str) -> tuple[int, ...]:
        """Return a cache key that changes whenever a file of these `PARTS` changes: modification times in ns."""
        paths = [self.path / name for part in parts for name in PARTS[part]]
        return tuple(map(modified, paths))

    def save_tensors(self, name: str, tensors: dict[str, Tensor]) -> None:
        """Write NAME.safetensors."""
        write_tensors(self.path / f"{name}.safetensors", tensors)

    def tensors(self, name: str) -> dict[str, Tensor]:
        """Read NAME.safetensors, to the CPU.

        Raises:
            RunError: the file is missing or damaged.
        """
        return current_tensors(name, read_tensors(self.path / f"{name}.safetensors"))

    def has_tensors(self, name: str) -> bool:
        """Return whether NAME.safetensors exists."""
        return (self.path / f"{name}.safetensors").is_file()

    def save_json(self, name: str, value: Any) -> None:
        """Write NAME.json."""
        write_json(self.path / f"{name}.json", value)

    def json(self, name: str) -> Any:
        """Read NAME.json; None if it does not exist.

        Raises:
            RunError: the file is damaged.
        """
        path = self.path / f"{name}.json"
        if not os.path.lexists(path):
            return None
        value = read_json(path)
        check_document(name, value, self.id)
        return current_json(name, value)

    def check_writable(self) -> None:
        """Check that files of the run can be written, before long work whose result would be lost.

        Raises:
            StorageError: they cannot.
        """
        self._write_info(self.info())

    def _write_config(self, config: RunConfig) -> None:
        write_json(self.path / "config.json", {"format": FORMAT, **config.to_dict()})

    def _write_info(self, info: RunInfo) -> None:
        write_json(self.path / "run.json", {"format": FORMAT, **asdict(info)})

    def log(self, message: str, level: Literal["info", "error"] = "info", **facts: str) -> None:
        """Append {"time" (UTC), "level", "message", …} to log.jsonl; what cannot be written never ends a run."""
        now = datetime.now(UTC).isoformat(timespec="milliseconds")
        with contextlib.suppress(StorageError):
            append_line(self.path / "log.jsonl", {"time": now, "level": level, "message": message, **facts})

    def log_error(self, error: Exception) -> str:
        """Append an unexpected error with its traceback; return the id under which it stands there."""
        id = secrets.token_hex(4)
        trace = "".join(traceback.format_exception(error))
        self.log(str(error), "error", id=id, error=type(error).__name__, traceback=trace)
        return id

    def delete(self) -> None:
        """Delete the folder permanently.

        Raises:
            RunError: the run is still active. StorageError: the folder cannot be deleted.
        """
        if self.info().status in ACTIVE:
            raise RunError(f"{self.id} is still going on: stop it first")
        self.remove()

    def remove(self) -> None:
        """Delete the folder without checking the status; for callers that know that the run has ended.

        Raises:
            StorageError: the folder cannot be deleted.
        """
        withdraw(self.path)
        remove_folder(self.path)


def default_root() -> Path:
    """Return the folder of runs: of $CPC_RUNS, a folder or a URL, or checkpoints/ in the working directory.

    Raises:
        ConfigError: runs cannot be at this URL. StorageError: the mirror of a URL cannot be made.
    """
    return local_root(os.environ.get("CPC_RUNS") or "checkpoints")


def renew(root: Path, run: str | None = None) -> list[str]:
    """Bring what others have written into the mirror of a URL, where nobody in this process keeps it fresh.

    Args:
        root: a folder of runs; nothing is done for one that is no mirror. run: all files of this run; else what a list
            of runs needs.

    Returns:
        What kept runs from being brought, one line each.

    Raises:
        StorageError: the server does not answer.
    """
    if url_of(root) is None:
        return []
    from .remote.refresh import refresh, troubles

    kept = troubles(root)
    return refresh(root, run, summary=run is None) if kept is None else kept


def _fits_event(row: Any) -> bool:
    return isinstance(row, dict) and fits_event(current_event(row))


def check_resumable(folder: RunFolder) -> None:
    """Check that a run can be resumed.

    A run that ended before its first step needs no checkpoint: it starts again from the beginning.

    Raises:
        RunError: the run is active, finished, diverged, an example, or has no checkpoint; the message says which.
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
    return {"pid": os.getpid(), "pid_started": started(os.getpid()), "machine": machine()}
