"""The lock of a run folder: at most one process at a time trains, resumes, or evaluates a run.

The operating system holds it for the process and releases it however the process ends. It locks the folder itself and
leaves no file; on Windows, which cannot lock folders, a file `.lock`. A run that was sent to a cluster has that file on
every system, and it is locked too: the lock of a folder on a network disk holds on one machine only.
"""

from __future__ import annotations

import contextlib
import os
from collections.abc import Iterator
from pathlib import Path

from ..errors import RunError
from .files import storing

LOCK = ".lock"
PARTS = ".*.part"  # files that are being written


@contextlib.contextmanager
def at_work(path: Path) -> Iterator[None]:
    """Hold the lock of a run folder within the block.

    What a process that was killed has left half written is deleted first.

    Raises:
        RunError: another process or thread holds it. StorageError: the folder is gone or cannot be locked.

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
    with contextlib.ExitStack() as stack:
        for handle in _open(path):
            stack.callback(os.close, handle)
            if _lock(handle):
                continue
            raise RunError(f"{path.name}: another process or thread is at work on it; wait until it has ended")
        for part in path.glob(PARTS):
            with contextlib.suppress(OSError):  # on a read-only disk nothing can be written anyway
                part.unlink()
        yield


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
