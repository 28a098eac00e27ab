"""Work on a run of a mirror: its lease is held, its newest files are fetched first, and what changes is published."""

from __future__ import annotations

import contextlib
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path

from ...errors import CpcError, RunError, StorageError
from ..folder import RunFolder
from .copies import RunCopy
from .lease import BEAT, Lease
from .objects import objects_of

LOOK = 2.0  # s between two looks for what has changed; longer where publishing takes long
PATIENCE = 60.0  # s in which the last files are to be published, once the work has ended


@contextlib.contextmanager
def publishing(path: Path, lost: Callable[[], None] = lambda: None) -> Iterator[None]:
    """Hold the lease of a run within the block and publish its files as they change, those of the end included.

    While the server is away, the work goes on and is published once it answers.

    Args:
        path: folder of the run, in a mirror, whose lock the caller holds.
        lost: called from another thread once another machine has taken the run over, after a silence of 60 s.

    Raises:
        RunError: another process works on the run, or has taken it over; nothing of this block is published then.
        StorageError: the server does not answer at the start, or for 60 s at the end; the files stay in the mirror, and
            are published by the next command or app that uses it.
    """
    objects = objects_of(path.parent)
    copy = RunCopy(path.parent, path.name, objects)
    lease = Lease.take(objects, path.name)
    try:
        copy.fetch(objects.listing(path.name), locked=True)
        publisher = _Publisher(copy, lease, lost)
        publisher.start()
        try:
            yield
        except BaseException:
            with contextlib.suppress(CpcError):  # the error of the block counts
                publisher.finish()
            raise
        publisher.finish()
    except BaseException:
        lease.abandon()
        raise
    lease.release()


def take_back(path: Path) -> None:
    """Delete the objects of a run whose lock the caller holds; the newest files are fetched first.

    Raises:
        RunError: another process works on it. StorageError: the server does not answer.
    """
    objects = objects_of(path.parent)
    copy = RunCopy(path.parent, path.name, objects)
    lease = Lease.take(objects, path.name)
    try:
        copy.fetch(objects.listing(path.name), locked=True)
        copy.withdraw()
    except BaseException:
        lease.abandon()
        raise


class _Publisher(threading.Thread):
    def __init__(self, copy: RunCopy, lease: Lease, lost: Callable[[], None]) -> None:
        super().__init__(name=f"cpc-publish-{copy.run}", daemon=True)
        self._copy, self._lease, self._lost = copy, lease, lost
        self._ended = threading.Event()
        self._is_lost = self._is_away = False

    def run(self) -> None:
        pause, beaten = LOOK, time.monotonic()
        while not self._ended.wait(pause) and not self._is_lost:
            began = time.monotonic()
            try:
                if self._copy.is_ahead():
                    self._publish()
                if began > beaten + BEAT and not self._is_lost:
                    self._check()
                    self._lease.beat()
                    beaten = began
            except CpcError as error:  # the server is away, or the disk is full: again the next time
                if not self._is_away:
                    RunFolder(self._copy.path).log(f"{error}; it goes on here, and is published later")
                self._is_away = True
            else:
                if self._is_away:
                    RunFolder(self._copy.path).log("it is published again")
                self._is_away = False
            pause = min(max(LOOK, 5 * (time.monotonic() - began)), BEAT)
        if self._is_lost:
            self._lost()

    def finish(self) -> None:
        """Publish the last files.

        Raises:
            RunError: the run was taken over. StorageError: the server does not answer.
        """
        self._ended.set()
        self.join()
        deadline = time.monotonic() + PATIENCE
        while True:
            try:
                self._publish()
                break
            except StorageError as error:
                if time.monotonic() > deadline:
                    raise StorageError(f"{error}; what is not published yet stays in {self._copy.path}") from None
                time.sleep(LOOK)
        if self._is_lost:
            raise RunError(f"{self._copy.run}: another machine has taken it over; what was done here since is not kept")

    def _publish(self) -> None:
        self._check()
        if not self._is_lost:
            self._copy.publish()

    def _check(self) -> None:
        self._is_lost = self._is_lost or not self._lease.holds()
