"""All runs of a folder; what was read of a run that has ended is kept until its files change."""

from __future__ import annotations

import os
import time
from dataclasses import replace
from pathlib import Path

from ..errors import CpcError
from .folder import RunFolder, default_root, renew
from .info import RunInfo, is_id
from .leftovers import HIDDEN

_Stamp = tuple[tuple[int, int, int], ...]  # inode, time of change in ns, and bytes of each file
_FILES = ("config.json", "run.json")
_ENDED = ("stopped", "finished", "diverged", "failed")  # of all others the status may change without the files
_SETTLED = 1.0  # s after which a file that changes again has another time of change on every file system
_ROOTS = 4  # folders of runs that are kept in mind
_kept: dict[Path, dict[str, tuple[_Stamp, RunInfo]]] = {}


def list_runs(root: Path | None = None) -> list[RunInfo]:
    """List the runs below `root`, newest first, without broken run folders and other folders."""
    return scan_runs(root)[0]


def scan_runs(root: Path | None = None) -> tuple[list[RunInfo], list[str]]:
    """Return (runs as in `list_runs`, one error message for each broken run folder).

    Raises:
        StorageError: the URL whose mirror `root` is does not answer.

    Example:
        >>> scan_runs(Path("no such folder"))
        ([], [])
    """
    root = root or default_root()
    before, kept = _kept.get(root, {}), {}
    infos: list[RunInfo] = []
    broken = renew(root)
    now = time.time_ns()
    for name in sorted(os.listdir(root)) if root.is_dir() else []:
        if name.startswith(HIDDEN) or not (stamp := _stamp(os.path.join(root, name))):
            continue
        known = before.get(name)
        if known and known[0] == stamp:
            kept[name] = known
            infos.append(known[1])
            continue
        if not is_id(name):  # it could not be opened by its id
            broken.append(f"{name!r}: no run can have this name; rename the folder")
            continue
        folder = RunFolder(root / name)
        try:
            settings = folder.config().run
            info = replace(folder.info(), seed=settings.seed, note=settings.note)
        except CpcError as error:
            broken.append(str(error))
            continue
        infos.append(info)
        if info.status in _ENDED and all(changed < now - _SETTLED * 1e9 for _, changed, _ in stamp):
            kept[name] = (stamp, info)
    _kept.pop(root, None)
    _kept[root] = kept
    while len(_kept) > _ROOTS:
        _kept.pop(next(iter(_kept)), None)
    return sorted(infos, key=lambda info: info.created, reverse=True), broken


def _stamp(folder: str) -> _Stamp:
    """Stamps of those files of a run that are there; none where the folder holds no run."""
    found = []
    for name in _FILES:
        try:
            facts = os.stat(f"{folder}/{name}")
        except OSError:
            continue
        found.append((facts.st_ino, facts.st_mtime_ns, facts.st_size))
    return tuple(found)
