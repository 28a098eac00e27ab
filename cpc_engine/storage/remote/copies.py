"""The copy of one run in a mirror: what is new at the URL is fetched, what is new here is published.

Only whole objects are read and written. Files are published in an order in which whoever reads meanwhile, or goes on
after a death, finds no file that speaks of what is not there: records and events first, then what was written earlier
before what was written later, and run.json last. They are opened, and fetched, in the opposite order.
"""

from __future__ import annotations

import os
import shutil
import time
from collections.abc import Iterable, Mapping
from contextlib import ExitStack
from pathlib import Path
from typing import IO

from pydantic import TypeAdapter, ValidationError

from ...errors import RunError
from ..files import LIMITS, check_own_file, read_json, storing, write_json
from ..folder import FILES
from ..info import is_id
from ..leftovers import hidden, making
from ..lock import LOCK, held
from .lease import lease_name, lease_numbers
from .mirrors import SYNCED
from .objects import Entry, Objects

SUMMARY = ("config.json", "run.json")  # enough for a list of runs
_GROWS = (".jsonl", ".txt")  # files that lines are appended to

_Signature = tuple[int, int, int]  # bytes, time of change in ns, and inode of a file here
_State = dict[str, tuple[str, _Signature]]  # by file: version of the object, and the file that is a copy of it
_STATE = TypeAdapter(_State)


class RunCopy:
    """A run of a mirror.

    Args:
        root: the mirror. run: id of the run.
    """

    def __init__(self, root: Path, run: str, objects: Objects) -> None:
        self.path, self.run = root / run, run
        self._root, self._objects = root, objects
        self._kept = root / SYNCED / f"{run}.json"

    @property
    def was_synced(self) -> bool:
        """Whether the run was published from here or fetched to here."""
        return self._kept.is_file()

    def is_ahead(self) -> bool:
        """Whether a file here differs from the object that it was last a copy of."""
        state = self._state()
        here = self._here()
        return any(here.get(name) != signature for name, (_, signature) in state.items()) or bool(here.keys() - state)

    def fetch(self, listing: Mapping[str, Entry], summary: bool = False, locked: bool = False) -> None:
        """Bring what has changed at the URL since the last time; nothing where this process or another works on it.

        Where nothing has changed there, files that are newer here stay. Else all files become those of the URL.

        Args:
            listing: of the root, or of the run. summary: only what a list of runs needs, if nothing else is newer here.
            locked: the caller holds the lock of the folder.

        Raises:
            RunError: an object is too large. StorageError: the server does not answer, or the mirror cannot be written.
        """
        there = {name: listing[f"{self.run}/{name}"] for name in FILES if f"{self.run}/{name}" in listing}
        if not is_id(self.run) or not set(SUMMARY) <= there.keys():
            return
        state, here = self._state(), self._here()
        mine = {name for name in {*state, *here} if name not in state or here.get(name) != state[name][1]}
        partial = state.keys() <= set(SUMMARY)  # then the other files are not new, only not here yet
        changed = [name for name in state if name not in there or there[name].version != state[name][0]]
        changed += [name for name in there if name not in state and not partial]
        names = SUMMARY if summary and not mine else FILES
        missing = [name for name in names if name in there and name not in state]
        wanted = {*missing, *(name for name in changed if name in names)}
        if changed and mine:
            wanted |= mine
        if wanted:
            fetched = {name: there[name] for name in _in_order(wanted & there.keys(), there)}
            self._replace(fetched, sorted(wanted - there.keys()), locked, (state, here))
        self._see(listing)

    def publish(self) -> None:
        """Write what has changed here to the URL; for who has the run's lease.

        Raises:
            RunError: a file here is too large, or a link. StorageError: the server does not answer.
        """
        state, here = self._state(), self._here()
        for name in [name for name in state if name not in here]:
            self._objects.remove(f"{self.run}/{name}")
            self._keep(state := {other: known for other, known in state.items() if other != name})
        changed = [name for name, signature in here.items() if name not in state or state[name][1] != signature]
        changed.sort(key=lambda name: (_rank(name), here[name][1]))
        with ExitStack() as stack:
            opened: dict[str, IO[bytes]] = {}
            for name in reversed(changed):
                check_own_file(self.path / name, LIMITS[Path(name).suffix])
                try:
                    opened[name] = stack.enter_context((self.path / name).open("rb"))
                except FileNotFoundError:  # deleted since: the next time
                    continue
            for name in changed:
                if name in opened:
                    signature = _signature(os.fstat(opened[name].fileno()))
                    content = opened[name].read(signature[0])
                    if Path(name).suffix in _GROWS:  # a line that is being appended follows the next time
                        content = content[: content.rfind(b"\n") + 1]
                    self._objects.write(f"{self.run}/{name}", content)
                    entry = self._objects.entry(f"{self.run}/{name}")
                    if entry is not None:  # else somebody deletes the run
                        self._keep(state := {**state, name: (entry.version, signature)})

    def withdraw(self) -> None:
        """Delete the run's objects, the leases last; the files here stay.

        Raises:
            StorageError: the server does not answer.
        """
        for name in sorted(self._objects.listing(self.run), key=lambda name: "/.lease-" in name):
            self._objects.remove(name)
        self.forget()

    def forget(self) -> None:
        """Take the run for one that is here only."""
        with storing(self._kept):
            self._kept.unlink(missing_ok=True)

    def _replace(
        self, wanted: dict[str, Entry], gone: Iterable[str], locked: bool, before: tuple[_State, dict[str, _Signature]]
    ) -> None:
        """Fetch files beside the run, and then put them into its place, if that is still as it was `before`."""
        fetched: _State = {}
        if not self.path.is_dir():
            with making(self.path) as folder:
                fetched = self._download(wanted, folder)
                if fetched.keys() != wanted.keys():
                    raise RunError(f"{self.run}: it was changed while it was fetched; try again")
            self._keep(fetched)
            return
        beside = hidden(self._root)
        try:
            with storing(beside):
                beside.mkdir()
            fetched = self._download(wanted, beside)
            if fetched.keys() != wanted.keys():
                return  # deleted since the listing: the next time
            with ExitStack() as stack:
                if not locked:
                    try:
                        stack.enter_context(held(self.path))
                    except RunError:  # who works on it here has the newest files
                        return
                if (self._state(), self._here()) != before:
                    return  # worked on or fetched meanwhile: the next time
                with storing(self.path):
                    for name in gone:
                        (self.path / name).unlink(missing_ok=True)
                    for name in wanted:
                        os.replace(beside / name, self.path / name)
                kept = {name: known for name, known in self._state().items() if name not in gone}
                self._keep({**kept, **fetched})
        finally:
            shutil.rmtree(beside, ignore_errors=True)

    def _download(self, wanted: dict[str, Entry], folder: Path) -> _State:
        """Fetch files, the last of the order first; those that are gone since the listing are left out."""
        found: _State = {}
        for name in reversed(wanted):
            content = self._objects.read(f"{self.run}/{name}", wanted[name], LIMITS[Path(name).suffix])
            if content is not None:
                with storing(self.path):
                    (folder / name).write_bytes(content)
                    # When it was changed, for who asks whether the run goes on; below a second no two are alike.
                    changed = int(wanted[name].modified) * 10**9 + time.time_ns() % 10**9
                    os.utime(folder / name, ns=(changed, changed))
                    found[name] = (wanted[name].version, _signature((folder / name).stat()))
        return found

    def _see(self, listing: Mapping[str, Entry]) -> None:
        """Note the last sign of life of who works on the run elsewhere, where `RunFolder.info` looks for it."""
        newest = max(lease_numbers(listing, self.run), default=0)
        if newest and self.path.is_dir():
            beat = listing[lease_name(self.run, newest)].modified
            with storing(self.path):
                (self.path / LOCK).touch()
                os.utime(self.path / LOCK, (beat, beat))

    def _here(self) -> dict[str, _Signature]:
        found = {}
        for name in FILES:
            try:
                found[name] = _signature((self.path / name).stat())
            except OSError:
                continue
        return found

    def _state(self) -> _State:
        """What is in step; nothing where it cannot be read, so that the files of the URL win."""
        try:
            return _STATE.validate_python(read_json(self._kept))
        except (RunError, ValidationError):
            return {}

    def _keep(self, state: _State) -> None:
        with storing(self._kept):
            self._kept.parent.mkdir(exist_ok=True)
        write_json(self._kept, state)


def _rank(name: str) -> int:
    return 0 if Path(name).suffix in _GROWS else 1 if name == "config.json" else 3 if name == "run.json" else 2


def _in_order(names: Iterable[str], there: Mapping[str, Entry]) -> list[str]:
    return sorted(names, key=lambda name: (_rank(name), there[name].modified))


def _signature(facts: os.stat_result) -> _Signature:
    return facts.st_size, facts.st_mtime_ns, facts.st_ino
