"""Objects at a URL, through fsspec: whole files that are read, replaced, and created at once."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from datetime import datetime
from functools import cache
from pathlib import Path
from secrets import token_hex
from typing import Any

from ...errors import RunError, StorageError
from ...extras import extra
from .mirrors import url_of

# Attempts that fail are repeated by who publishes, so that a page or a command hears soon that a server is away.
_S3 = {"config_kwargs": {"connect_timeout": 5, "read_timeout": 20, "retries": {"max_attempts": 2}}}


@dataclass(frozen=True)
class Entry:
    """What a listing says of an object.

    Attributes:
        size: bytes. version: differs for every content. modified: seconds since 1970, by the server's clock.
    """

    size: int
    version: str
    modified: float


class Objects:
    """The objects below a URL; names are relative to it. Errors of the server and the network become StorageErrors.

    Example:
        >>> objects = Objects("memory://doctest-objects")
        >>> objects.create("run/.lease", b"1"), objects.create("run/.lease", b"2")
        (True, False)
        >>> [(name, objects.read(name, entry, 10)) for name, entry in objects.listing("run").items()]
        [('run/.lease', b'1')]
    """

    def __init__(self, url: str) -> None:
        self.url = url
        self._errors: tuple[type[Exception], ...] = (OSError,)
        options: dict[str, Any] = {}
        if url.startswith("s3://"):
            extra("s3fs", "remote")
            self._errors = (OSError, extra("botocore.exceptions", "remote").BotoCoreError)
            options = _S3
        core = extra("fsspec.core", "remote")
        with self._reaching():
            self._files, self._base = core.url_to_fs(url, use_listings_cache=False, skip_instance_cache=True, **options)

    def listing(self, below: str = "") -> dict[str, Entry]:
        """Return all objects of the root, or of one run, by name.

        Raises:
            StorageError: the server does not answer, or there is no such bucket.
        """
        with self._reaching():
            found = self._files.find(self._path(below), detail=True)
        return {path[len(self._base) + 1 :]: _entry(facts) for path, facts in found.items()}

    def entry(self, name: str) -> Entry | None:
        """Return what a listing says of one object; None if there is none.

        Raises:
            StorageError: the server does not answer.
        """
        with self._reaching():
            try:
                return _entry(self._files.info(self._path(name)))
            except FileNotFoundError:
                return None

    def read(self, name: str, entry: Entry, limit: int) -> bytes | None:
        """Return the content of an object; None if it has gone since the listing that has its `entry`.

        Raises:
            RunError: it is larger than `limit` bytes. StorageError: the server does not answer.
        """
        content = b""
        with self._reaching():
            try:
                if entry.size <= limit:
                    content = self._files.cat_file(self._path(name))
            except FileNotFoundError:
                return None
        if max(entry.size, len(content)) > limit:
            raise RunError(f"{name} is too large ({max(entry.size, len(content)):,} bytes)")
        return bytes(content)

    def write(self, name: str, content: bytes) -> None:
        """Replace an object.

        Raises:
            StorageError: the server does not answer.
        """
        with self._reaching():
            self._files.pipe_file(self._path(name), content)

    def create(self, name: str, content: bytes) -> bool:
        """Write an object unless there is one; of several who try at once, one gets True.

        Raises:
            StorageError: the server does not answer.
        """
        with self._reaching():
            try:
                self._files.pipe_file(self._path(name), content, mode="create")
            except FileExistsError:
                return False
        return True

    def remove(self, name: str) -> None:
        """Delete an object, if there is one.

        Raises:
            StorageError: the server does not answer.
        """
        with self._reaching(), suppress(FileNotFoundError):
            self._files.rm_file(self._path(name))

    def now(self) -> float:
        """Return the time of the server's clock, in seconds since 1970.

        Raises:
            StorageError: the server does not answer.
        """
        name = f".clock-{token_hex(8)}"
        self.write(name, b"")
        entry = self.entry(name)
        self.remove(name)
        if entry is None:
            raise StorageError(f"{self.url} does not keep what is written")
        return entry.modified

    def check_create(self) -> None:
        """Check that the server refuses to create what is there, which some ignore; once is enough for a process.

        Raises:
            StorageError: it does not refuse, or does not answer.
        """
        if self.url in _CHECKED:
            return
        name = f".check-{token_hex(8)}"
        refuses = self.create(name, b"1") and not self.create(name, b"2")
        self.remove(name)
        if not refuses:
            raise StorageError(
                f"{self.url}: its server ignores If-None-Match, so that two machines could work on one run; "
                "runs can be read there, and not be trained"
            )
        _CHECKED.add(self.url)

    def _path(self, name: str) -> str:
        return f"{self._base}/{name}" if name else str(self._base)

    @contextmanager
    def _reaching(self) -> Iterator[None]:
        try:
            yield
        except self._errors as error:
            reason = str(error).partition("\n")[0] or type(error).__name__
            raise StorageError(f"{self.url} does not answer ({reason})") from None


_CHECKED: set[str] = set()


def objects_of(root: Path) -> Objects:
    """Return the objects that a mirror is of.

    Raises:
        ConfigError: s3fs is not installed. StorageError: the mirror is damaged, or it is none.
    """
    url = url_of(root)
    if url is None:
        raise StorageError(f"{root} is no mirror")
    return _objects(url, os.getpid())


@cache
def _objects(url: str, pid: int) -> Objects:
    """One for each process: connections are not passed on to a process that is forked."""
    return Objects(url)


def _entry(facts: dict[str, Any]) -> Entry:
    modified = facts.get("LastModified", facts.get("created"))
    seconds = modified.timestamp() if isinstance(modified, datetime) else float(modified or 0)
    return Entry(int(facts["size"]), str(facts.get("ETag", seconds)), seconds)
