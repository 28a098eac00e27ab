"""What others have written comes into a mirror: at once for a command, every few seconds for an app."""

from __future__ import annotations

import contextlib
import threading
import time
from pathlib import Path

from ...errors import CpcError, RunError
from ..folder import RunFolder
from ..info import ACTIVE, is_id
from ..lock import publish
from .copies import RunCopy
from .mirrors import SYNCED, local_root, url_of
from .objects import Entry, objects_of
from .shared_folder import SharedFolder

EVERY = 2.0  # s between two looks of an app; longer where one takes long
_WATCHERS: dict[Path, _Watcher] = {}
_LOCK = threading.Lock()


def refresh(root: Path, run: str | None = None, summary: bool = False) -> list[str]:
    """Bring what has changed at the URL of a mirror, and publish what an interrupted process has left here.

    Args:
        root: the mirror. run: only this one. summary: only what a list of runs needs.

    Returns:
        One line for each run that could not be brought.

    Raises:
        StorageError: the server does not answer, or the mirror cannot be written.
    """
    objects = objects_of(root)
    listing = objects.listing(run or "")
    by_run: dict[str, dict[str, Entry]] = {}
    for name, entry in listing.items():
        by_run.setdefault(name.partition("/")[0], {})[name] = entry
    troubles = []
    for name, entries in by_run.items():
        copy = RunCopy(root, name, objects)
        try:
            copy.fetch(entries, summary)
            if is_id(name):
                SharedFolder(copy.path).sync(entries)
        except RunError as error:
            troubles.append(str(error))
            continue
        if copy.was_synced and copy.is_ahead() and _has_ended(copy.path):
            with contextlib.suppress(RunError):  # another machine goes on with it
                publish(copy.path)
    known = [path.stem for path in (root / SYNCED).glob("*.json")] if run is None else [run]
    for name in known:
        copy = RunCopy(root, name, objects)
        if name not in by_run and is_id(name) and copy.was_synced:
            _drop(copy)
    return troubles


def arrive(where: str) -> Path:
    """Return the folder of a run on this machine, with its newest files; `where` is an `address_of` another one.

    Raises:
        ConfigError: s3fs is not installed. StorageError: the server does not answer.
    """
    if "://" not in where:
        return Path(where)
    url, _, run = where.rpartition("/")
    root = local_root(url)
    refresh(root, run)
    return root / run


def address_of(path: Path) -> str:
    """Return how other machines find a run: below its URL, or by the path of its folder on a disk that they share."""
    url = url_of(path.parent)
    return str(path.resolve()) if url is None else f"{url}/{path.name}"


def watch(root: Path) -> None:
    """Keep a mirror fresh as long as this process lives; the list of runs is there when it returns."""
    with _LOCK:
        if root not in _WATCHERS:
            watcher = _WATCHERS[root] = _Watcher(root)
            watcher.look(summary=True)
            watcher.start()


def troubles(root: Path) -> list[str] | None:
    """Return what keeps a mirror from being fresh; None where nobody in this process keeps it so."""
    watcher = _WATCHERS.get(root)
    return None if watcher is None else [*watcher.troubles]


class _Watcher(threading.Thread):
    def __init__(self, root: Path) -> None:
        super().__init__(name="cpc-mirror", daemon=True)
        self._root, self._seen = root, ""
        self.troubles: list[str] = []

    def run(self) -> None:
        while True:
            began = time.monotonic()
            self.look(summary=False)
            time.sleep(max(EVERY, 5 * (time.monotonic() - began)))

    def look(self, summary: bool) -> None:
        try:
            self.troubles = refresh(self._root, summary=summary)
            self._seen = time.strftime("%H:%M:%S")
        except CpcError as error:
            self.troubles = [f"{error}; runs are shown as they were {f'at {self._seen}' if self._seen else 'last'}"]


def _has_ended(path: Path) -> bool:
    try:
        return RunFolder(path).info().status not in ACTIVE
    except CpcError:
        return False


def _drop(copy: RunCopy) -> None:
    """A run that was deleted elsewhere moves to the trash here: nobody loses the last copy of a run."""
    from ..trash import to_trash

    copy.forget()
    if copy.path.is_dir() and _has_ended(copy.path):
        to_trash(copy.path)
