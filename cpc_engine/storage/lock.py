"""The lock of a run folder: at most one process at a time trains, resumes, or evaluates a run.

The operating system holds it for the process and releases it however the process ends. It locks the folder itself and
leaves no file; on Windows, which cannot lock folders, a file `.lock`. A run that was sent to a cluster has that file on
every system, and it is locked too: the lock of a folder on a network disk holds on one machine only. For a run of a URL
a lease is held as well (see `remote.lease`).
"""

from __future__ import annotations

import contextlib
import os
import time
from collections.abc import Callable, Iterator
from pathlib import Path

from ..errors import RunError
from .files import storing
from .remote.mirrors import url_of

LOCK = ".lock"
PARTS = ".*.part"  # files that are being written


@contextlib.contextmanager
def at_work(path: Path, lost: Callable[[], None] = lambda: None) -> Iterator[None]:
    """Hold the lock of a run folder within the block; of a run of a URL its lease, and publish what changes.

    Args:
        path: the run folder.
        lost: called from another thread where another machine has taken a run of a URL over (see `remote.work`).

    Raises:
        RunError: another process or thread holds it. StorageError: the folder is gone or cannot be locked, or the
            server does not answer.

    Example:
        >>> import tempfile
        >>> folder = Path(tempfile.mkdtemp())
        >>> with at_work(folder):
        ...     with at_work(folder):  # doctest: +ELLIPSIS
        ...         pass
        Traceback (most recent call last):
        cpc_engine.errors.RunError: ...: another process or thread is at work on it; wait until it has ended
        >>> folder.rmdir()
    """
    with held(path):
        if url_of(path.parent) is None:
            yield
            return
        from .remote.work import publishing

        with publishing(path, lost):
            yield


@contextlib.contextmanager
def held(path: Path) -> Iterator[None]:
    """Hold the lock of a folder on this machine within the block.

    What a process that was killed has left half written is deleted first.

    Raises:
        RunError: another process or thread holds it. StorageError: the folder is gone or cannot be locked.
    """
    with contextlib.ExitStack() as stack:
        for handle in _open(path):
            stack.callback(os.close, handle)
            if not _locked(handle, 1.0 if url_of(path.parent) else 0.0):
                raise RunError(f"{path.name}: another process or thread is at work on it; wait until it has ended")
        for part in path.glob(PARTS):
            with contextlib.suppress(OSError):  # on a read-only disk nothing can be written anyway
                part.unlink()
        yield


def publish(path: Path) -> None:
    """Publish what was changed in a run of a URL outside of `at_work`; nothing for other runs.

    Raises:
        RunError: another machine is at work on it. StorageError: the server does not answer.
    """
    if url_of(path.parent) is None:
        return
    from .remote.work import publishing

    with contextlib.ExitStack() as stack:
        try:
            stack.enter_context(held(path))
        except RunError:  # who works on it here publishes it, too
            return
        with publishing(path):
            pass


def withdraw(path: Path) -> None:
    """Delete what is published of a run of a URL, once all of it is here; nothing for other runs.

    Raises:
        RunError: another process or machine is at work on it. StorageError: the server does not answer.
    """
    if url_of(path.parent) is None:
        return
    from .remote.work import take_back

    with held(path):
        take_back(path)


def _locked(handle: int, patience: float) -> bool:
    """Lock a file; files of a mirror are locked for a moment where they are replaced, which is waited for."""
    deadline = time.monotonic() + patience
    while not _lock(handle):
        if time.monotonic() > deadline:
            return False
        time.sleep(0.02)
    return True


if os.name == "nt":
    import msvcrt

    def _open(path: Path) -> Iterator[int]:
        """What is to be locked, one after another."""
        with storing(path):
            yield os.open(path / LOCK, os.O_RDWR | os.O_CREAT)

    def _lock(handle: int) -> bool:
        try:
            msvcrt.locking(handle, msvcrt.LK_NBLCK, 1)  # type: ignore[attr-defined]
        except OSError:
            return False
        return True

else:
    import fcntl

    def _open(path: Path) -> Iterator[int]:
        """What is to be locked, one after another."""
        with storing(path):
            yield os.open(path, os.O_RDONLY)
            if (path / LOCK).is_file():
                yield os.open(path / LOCK, os.O_RDWR)

    def _lock(handle: int) -> bool:
        try:
            fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            return False
        return True
