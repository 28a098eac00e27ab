"""Trash for runs: a discarded run moves to `.trash` below the root, which lists skip, and can be restored.

A discarded run of a URL is deleted there; it can be restored in the mirror in which it was discarded.
"""

from __future__ import annotations

import contextlib
import os
from pathlib import Path

from ..errors import RunError
from .files import storing
from .folder import RunFolder, default_root
from .info import ACTIVE, check_own
from .leftovers import remove_folder
from .lock import publish, withdraw

NAME = ".trash"


def discard(run: str, root: Path | None = None) -> None:
    """Move a run to the trash; `restore` moves it back.

    Args:
        run: its id. root: the folder of runs, `default_root()` if not given.

    Raises:
        RunError: the run does not exist, is active, or is an example. StorageError: it cannot be moved, or its URL does
            not answer.
    """
    root = root or default_root()
    source = _inside(root, run)
    try:
        info = RunFolder(source).info()
    except RunError:
        if not source.is_dir():
            raise RunError(f"no run {run!r} in {root}") from None
        info = None  # a broken folder may be discarded
    if info:
        check_own(info)
        if info.status in ACTIVE:
            raise RunError(f"{run} is still going on: stop it first")
    withdraw(source)
    to_trash(source)


def to_trash(source: Path) -> None:
    """Move a run's folder to the trash of its folder of runs, in place of one that has its name there.

    Raises:
        StorageError: it cannot be moved.
    """
    target = source.parent / NAME / source.name
    with storing(source.parent):
        target.parent.mkdir(exist_ok=True)
        if target.exists():
            remove_folder(target)
        os.replace(source, target)


def restore(run: str, root: Path | None = None) -> None:
    """Move a discarded run back.

    Raises:
        RunError: the run is not in the trash, or another run has its id. StorageError: it cannot be moved.
    """
    root = root or default_root()
    source, target = _inside(root / NAME, run), _inside(root, run)
    if not source.is_dir():
        raise RunError(f"{run} is not in the trash")
    if target.exists():
        raise RunError(f"{run} is there already")
    with storing(root):
        os.replace(source, target)
    publish(target)


def trashed(root: Path | None = None) -> list[str]:
    """Return the ids of discarded runs, the latest first."""
    root = root or default_root()
    discarded = {}
    for path in (root / NAME).glob("[!.]*"):
        with contextlib.suppress(FileNotFoundError):  # brought back or deleted meanwhile
            if path.is_dir():
                discarded[path.name] = path.stat().st_ctime
    return sorted(discarded, key=discarded.__getitem__, reverse=True)


def empty(root: Path | None = None) -> None:
    """Delete all discarded runs permanently.

    Raises:
        StorageError: the trash cannot be deleted.
    """
    root = root or default_root()
    if (root / NAME).is_dir():
        remove_folder(root / NAME)


def _inside(folder: Path, run: str) -> Path:
    """Return the path of a run below `folder`; an id that could lead elsewhere is refused."""
    if not run or run.startswith(".") or set(run) & set("/\\\0"):
        raise RunError(f"{run!r} is not the name of a run")
    return folder / run
