"""Deleting that can be undone: a run moves to `.trash` below the root, where no list looks."""

from __future__ import annotations

import os
import shutil
from pathlib import Path

from ..errors import RunError
from .files import storing
from .folder import ACTIVE, DEFAULT_ROOT, RunFolder, check_own

NAME = ".trash"


def discard(run: str, root: Path = DEFAULT_ROOT) -> None:
    """Take a run out of the list; `restore` brings it back.

    Raises:
        RunError: there is no such run, it is going on, or it is an example. StorageError: it cannot be moved.
    """
    source = _inside(root, run)
    try:
        info = RunFolder(source).info()
    except RunError:
        info = None  # a broken folder may go
    if info:
        check_own(info)
        if info.status in ACTIVE:
            raise RunError(f"{run} is still going on: stop it first")
    target = _inside(root / NAME, run)
    with storing(root):
        target.parent.mkdir(exist_ok=True)
        if target.exists():
            shutil.rmtree(target)
        os.replace(source, target)


def restore(run: str, root: Path = DEFAULT_ROOT) -> None:
    """Put a discarded run back.

    Raises:
        RunError: it is not in the trash, or another run has its name. StorageError: it cannot be moved.
    """
    source, target = _inside(root / NAME, run), _inside(root, run)
    if not source.is_dir():
        raise RunError(f"{run} is not in the trash")
    if target.exists():
        raise RunError(f"{run} is there already")
    with storing(root):
        os.replace(source, target)


def trashed(root: Path = DEFAULT_ROOT) -> list[str]:
    """Ids of discarded runs, the latest first."""
    found = [path for path in (root / NAME).glob("*") if path.is_dir()]
    return [path.name for path in sorted(found, key=lambda path: path.stat().st_ctime, reverse=True)]


def empty(root: Path = DEFAULT_ROOT) -> None:
    """Remove all discarded runs for good."""
    if (root / NAME).is_dir():
        with storing(root):
            shutil.rmtree(root / NAME)


def _inside(folder: Path, run: str) -> Path:
    if not run or run.startswith(".") or set(run) & set("/\\\0"):
        raise RunError(f"{run!r} is not the name of a run")
    return folder / run
