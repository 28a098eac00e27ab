"""Sweeps that the app starts: each in a process of its own, which goes on when a page is closed.

Beside the sweep's storage, NAME.db, lie NAME.json (its process) and NAME.log (what it says).
"""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path

from ..errors import RunError
from ..storage.files import modified, read_json, storing, write_json
from ..storage.process import is_alive, started
from .study import FOLDER, Spec, open_study, storage_url


def list_sweeps(root: Path) -> list[str]:
    """Names of the sweeps below a folder of runs, the newest first."""
    files = sorted((root / FOLDER).glob("*.db"), key=modified, reverse=True)
    return [path.stem for path in files]


def begin(root: Path, name: str, spec: Spec | None, workers: int) -> None:
    """Start a sweep, or go on with one that ended early (`spec` None), in a process of its own.

    Raises:
        ConfigError: see `study.open_study`. RunError: it goes on already. StorageError: it cannot be written.
    """
    if is_going(root, name):
        raise RunError(f"the sweep {name!r} goes on already")
    open_study(storage_url(root, name, None), name, spec)
    options = ["--workers", str(workers), "--runs", str(root.resolve())]
    log = root / FOLDER / f"{name}.log"
    with storing(log), log.open("ab") as out:
        process = subprocess.Popen(
            [sys.executable, "-m", "cpc_engine", "sweep", *options, "--", name],  # a name may begin with a dash
            stdin=subprocess.DEVNULL,
            stdout=out,
            stderr=out,
            cwd=Path(__file__).resolve().parents[2],
            start_new_session=True,
        )
    threading.Thread(target=process.wait, daemon=True).start()  # no zombie stays, for as long as the app lives
    write_json(_file(root, name), {"pid": process.pid, "started": started(process.pid)})


def is_going(root: Path, name: str) -> bool:
    """Whether the process of a sweep that the app started is there."""
    path = _file(root, name)
    if not path.is_file():
        return False
    known = read_json(path)
    return is_alive(known["pid"], known["started"], time.time())


def stop(root: Path, name: str) -> None:
    """End a sweep after the current steps; `begin` goes on with it.

    Raises:
        RunError: no process that the app started works on it.
    """
    if not is_going(root, name):
        raise RunError(f"no process of this machine works on the sweep {name!r}")
    os.kill(read_json(_file(root, name))["pid"], signal.SIGTERM)


def _file(root: Path, name: str) -> Path:
    return root / FOLDER / f"{name}.json"
