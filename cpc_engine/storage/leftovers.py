"""Folders that come and go as one: a process that is killed meanwhile leaves nothing that is listed or stays.

A folder is made under a hidden name and then renamed, and renamed to a hidden name before it is deleted. What a killed
process has left under such a name is deleted by the next one of its machine, or a day later by one of another machine
that shares the folder.
"""

from __future__ import annotations

import contextlib
import os
import secrets
import shutil
import time
from collections.abc import Iterator
from pathlib import Path

from .files import storing
from .process import is_alive, machine, started

HIDDEN = ".part-"  # then the process's id and start time, some letters, and its machine
_ABANDONED = 24 * 3600  # seconds after which what another machine has hidden is deleted: its processes are not seen


@contextlib.contextmanager
def making(path: Path) -> Iterator[Path]:
    """Give the hidden folder in which to make what becomes `path` at the end of the block.

    It is deleted if the block raises, and so are those that other processes have left beside it.

    Raises:
        StorageError: it cannot be made or renamed.

    Example:
        >>> import tempfile
        >>> root = Path(tempfile.mkdtemp())
        >>> with making(root / "run") as folder:
        ...     _ = (folder / "config.json").write_text("{}")
        >>> [path.name for path in root.iterdir()]
        ['run']
    """
    with storing(path.parent):
        path.parent.mkdir(parents=True, exist_ok=True)
        sweep(path.parent)
        made = hidden(path.parent)
        made.mkdir()
    try:
        yield made
        with storing(path):
            os.replace(made, path)
    except BaseException:
        shutil.rmtree(made, ignore_errors=True)
        raise


def remove_folder(path: Path) -> None:
    """Delete a folder, all or nothing.

    Raises:
        StorageError: it cannot be deleted.
    """
    with storing(path):
        going = hidden(path.parent)
        os.replace(path, going)
        shutil.rmtree(going)
    sweep(path.parent)


def sweep(root: Path) -> None:
    """Delete what processes that have gone have left half made or half deleted."""
    for path in root.glob(f"{HIDDEN}*"):
        with contextlib.suppress(OSError, ValueError):  # another process sweeps, too; a folder named like one of ours
            pid, since, _, *place = path.name.removeprefix(HIDDEN).split("-")
            touched = path.stat().st_mtime
            if place == [machine()]:
                left = not is_alive(int(pid), int(since), touched)
            else:
                left = time.time() - touched > _ABANDONED
            if left:
                shutil.rmtree(path)


def hidden(root: Path) -> Path:
    """Return a new name below `root` for a folder that goes away with this process, at the latest."""
    return root / f"{HIDDEN}{os.getpid()}-{started(os.getpid())}-{secrets.token_hex(3)}-{machine()}"
