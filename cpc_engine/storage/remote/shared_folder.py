"""A small folder of a run that passes messages: what one machine writes there, others see in their mirrors."""

from __future__ import annotations

import re
import shutil
from collections.abc import Mapping
from functools import cached_property
from pathlib import Path

from ..files import storing, write_bytes
from .objects import Entry, Objects, objects_of

CHANNEL = "channel"  # the folder's name (see `execution.channel`)
TICKET = "ticket"  # the file without which the folder is not there
_NAME = re.compile(r"[a-z0-9][a-z0-9.-]{0,63}")
_LIMIT = 2**16  # bytes of a file; what is larger is no message
_SEEN: dict[Path, dict[str, str]] = {}  # by folder and file: the version that is here


class SharedFolder:
    """The folder RUN/channel of a run in a mirror; reading is done in its copy here.

    Args:
        run: the run's folder.
    """

    def __init__(self, run: Path) -> None:
        self._path, self._run = run / CHANNEL, run

    @cached_property
    def _objects(self) -> Objects:
        return objects_of(self._run.parent)

    def is_there(self) -> bool:
        """Whether the folder is there for all machines.

        Raises:
            StorageError: the server does not answer.
        """
        return self._objects.entry(self._name(TICKET)) is not None

    def write(self, name: str, content: bytes) -> None:
        """Write a file for the others.

        Raises:
            StorageError: the server does not answer.
        """
        self._objects.write(self._name(name), content)

    def remove(self, name: str) -> None:
        """Delete a file for the others.

        Raises:
            StorageError: the server does not answer.
        """
        self._objects.remove(self._name(name))

    def clear(self) -> None:
        """Delete the folder for the others.

        Raises:
            StorageError: the server does not answer.
        """
        for name in sorted(
            self._objects.listing(f"{self._run.name}/{CHANNEL}"), key=lambda name: name != self._name(TICKET)
        ):
            self._objects.remove(name)

    def sync(self, listing: Mapping[str, Entry] | None = None) -> None:
        """Make the copy here what the folder is for all; what has come is here before what has gone is deleted.

        Args:
            listing: of the root, or of the run; asked for where not given.

        Raises:
            StorageError: the server does not answer, or the mirror cannot be written.
        """
        prefix = self._name("")
        if listing is None:
            listing = self._objects.listing(f"{self._run.name}/{CHANNEL}")
        there = {name.removeprefix(prefix): entry for name, entry in listing.items() if name.startswith(prefix)}
        seen = _SEEN.setdefault(self._path, {})
        if TICKET not in there or not self._run.is_dir():
            seen.clear()
            shutil.rmtree(self._path, ignore_errors=True)
            return
        with storing(self._path):
            self._path.mkdir(exist_ok=True)
        for name, entry in there.items():
            known = seen.get(name) == entry.version and (self._path / name).exists()
            if known or not _NAME.fullmatch(name) or entry.size > _LIMIT:
                continue
            content = self._objects.read(prefix + name, entry, _LIMIT)
            if content is not None:
                write_bytes(self._path / name, content)
                seen[name] = entry.version
        with storing(self._path):  # last: a change that was sent before a pause ended is then here when it ends here
            for path in self._path.iterdir():
                if path.name not in there and not path.name.startswith("."):
                    path.unlink(missing_ok=True)

    def _name(self, name: str) -> str:
        return f"{self._run.name}/{CHANNEL}/{name}"
