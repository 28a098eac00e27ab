"""The lock of a run folder: at most one process at a time trains, resumes, or evaluates a run.

The operating system holds it for the process and releases it however the process ends. It locks the folder itself and
leaves no file; on Windows, which cannot lock folders, a file `.lock`.
"""

from __future__ import annotations

import contextlib
import os
from collections.abc import Iterator
from pathlib import Path

from ..errors import RunError
from .files import storing

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
    handle = _open(path)
    try:
        if not _lock(handle):
            raise RunError(f"{path.name}: another process or thread is at work on it; wait until it has ended")
        for part in path.glob(PARTS):
            with contextlib.suppress(OSError):  # on a read-only disk nothing can be written anyway
                part.unlink()
        yield
    finally:
        os.close(handle)


if os.name == "nt":
    import msvcrt

    def _open(path: Path) -> int:
        with storing(path):
            return os.open(path / ".lock", os.O_RDWR | os.O_CREAT)

    def _lock(handle: int) -> bool:
        try:
            msvcrt.locking(handle, msvcrt.LK_NBLCK, 1)  # type: ignore[attr-defined]
        except OSError:
            return False
        return True

else:
    import fcntl

    def _open(path: Path) -> int:
        with storing(path):
            return os.open(path, os.O_RDONLY)

    def _lock(handle: int) -> bool:
        try:
            fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            return False
        return True
