"""The channel of a run that executes on a cluster: what passes between its worker and the app, as files of the run.

channel/ticket            which submission may work on the run
channel/pause, /stop      hold for as long as they are there
channel/TIME-XXXX.json    a change of a live setting, or a new name; taken once, the oldest first
channel/doing.json        the worker's host, and what it does outside of training steps
.lock                     stays; its time is the worker's last sign of life

Every file comes and goes at once, and several processes may send. A file that no such app writes is left out. Of a run
of a URL the folder here is a copy: what is written is written for all machines, and `sync` brings what others wrote.
"""

from __future__ import annotations

import contextlib
import json
import os
import re
import secrets
import shutil
import time
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import Field, TypeAdapter, ValidationError, with_config
from typing_extensions import TypedDict

from ..errors import RunError
from ..storage.files import read_json, storing, write_json
from ..storage.lock import LOCK
from ..storage.remote.mirrors import url_of
from ..storage.remote.shared_folder import CHANNEL, TICKET, SharedFolder
from ..storage.schema import OPEN, Share, Text, Value

NAME = CHANNEL
BEAT = 10.0  # s between two signs of life
Flag = Literal["pause", "stop"]


@with_config(OPEN)
class Change(TypedDict):
    """A request: another value of a live setting."""

    setting: Text
    value: bool | int | Value | Text | None


@with_config(OPEN)
class Rename(TypedDict):
    """A request: another name and note."""

    name: Text
    note: Text


@with_config(OPEN)
class Doing(TypedDict):
    """What a worker does: nothing but training steps where `text` is empty."""

    host: Annotated[str, Field(max_length=255)]
    text: Text
    share: Share


_REQUEST: TypeAdapter[Change | Rename] = TypeAdapter(Change | Rename)
_DOING = TypeAdapter(Doing)


class Channel:
    """The channel of one run.

    Example:
        >>> import tempfile
        >>> channel = Channel(Path(tempfile.mkdtemp()))
        >>> ticket = channel.open()
        >>> channel.send({"setting": "loss.temperature", "value": 0.1})
        >>> [request for request in channel.requests().values()], channel.is_set("stop")
        ([{'setting': 'loss.temperature', 'value': 0.1}], False)
    """

    def __init__(self, run: Path) -> None:
        self._run, self._path = run, run / NAME
        self._shared = SharedFolder(run) if url_of(run.parent) is not None else None

    def open(self) -> str:
        """Begin a new submission and return its ticket; what was left of an earlier one is deleted.

        Raises:
            StorageError: it cannot be written.
        """
        self.close()
        ticket = secrets.token_hex(4)
        if self._shared is not None:
            self._shared.write(TICKET, ticket.encode())
        with storing(self._path):
            self._path.mkdir()
            (self._path / TICKET).write_text(ticket)
            (self._run / LOCK).touch()
        return ticket

    def close(self) -> None:
        """Delete the channel: nobody works on the run any more.

        Raises:
            StorageError: the run is of a URL that does not answer.
        """
        if self._shared is not None:
            self._shared.clear()
        shutil.rmtree(self._path, ignore_errors=True)

    @property
    def is_open(self) -> bool:
        return self._path.is_dir()

    def holds(self, ticket: str) -> bool:
        """Whether the submission with this ticket may work on the run."""
        try:
            return (self._path / TICKET).read_text() == ticket
        except OSError:
            return False

    @property
    def is_shared(self) -> bool:
        """Whether the folder here is a copy, and `sync` brings what others have written."""
        return self._shared is not None

    def sync(self) -> None:
        """Bring what others have written.

        Raises:
            StorageError: the run is of a URL that does not answer.
        """
        if self._shared is not None:
            self._shared.sync()

    def set(self, flag: Flag, on: bool) -> None:
        """Set or clear a flag; without effect on a run that has ended.

        Raises:
            StorageError: it cannot be written.
        """
        if self._shared is not None and self._shared.is_there():
            if on:
                self._shared.write(flag, b"")
            else:
                self._shared.remove(flag)
        with storing(self._path), contextlib.suppress(FileNotFoundError):
            if on:
                (self._path / flag).touch()
            else:
                (self._path / flag).unlink()

    def is_set(self, flag: Flag) -> bool:
        return (self._path / flag).exists()

    def send(self, request: dict[str, Any]) -> None:
        """Send a `Change` or a `Rename`; without effect on a run that has ended.

        Raises:
            StorageError: it cannot be written.
        """
        waiting = [int(number[0]) for name in self.requests() if (number := re.match(r"\d+", name))]
        after = max(waiting, default=-1) + 1  # later than the clock where that was set back since the last request
        self._write(f"{max(time.time_ns(), after):019}-{secrets.token_hex(2)}.json", request)

    def requests(self) -> dict[str, dict[str, Any]]:
        """Return the requests that were not `taken` yet by the names of their files, the oldest first."""
        found: dict[str, dict[str, Any]] = {}
        try:
            names = sorted(os.listdir(self._path))
        except OSError:
            return {}
        for name in names:
            if name[0].isdigit() and name.endswith(".json"):
                try:
                    found[name] = {**_REQUEST.validate_python(read_json(self._path / name), strict=True)}
                except (RunError, ValidationError):
                    self.taken(name)
        return found

    def taken(self, name: str) -> None:
        """Delete a request that has had its effect.

        Raises:
            StorageError: the run is of a URL that does not answer.
        """
        if self._shared is not None:
            self._shared.remove(name)
        with contextlib.suppress(OSError):
            (self._path / name).unlink()

    def tell(self, doing: Doing) -> None:
        """Say what the worker does.

        Raises:
            StorageError: it cannot be written.
        """
        self._write("doing.json", doing)

    def doing(self) -> Doing | None:
        """Return what the worker does; None while the run waits for one."""
        try:
            return _DOING.validate_python(read_json(self._path / "doing.json"), strict=True)
        except (RunError, ValidationError):
            return None

    def beat(self) -> None:
        """Give a sign of life."""
        with contextlib.suppress(OSError):
            os.utime(self._run / LOCK)

    def _write(self, name: str, value: Any) -> None:
        if self._shared is not None and self._shared.is_there():
            self._shared.write(name, json.dumps(value).encode())
        if self.is_open:
            write_json(self._path / name, value)
