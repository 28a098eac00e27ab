"""Check whether the process that trains a run still exists.

A process id alone is not enough: operating systems reuse ids, and a restarted container often gets the same one. A run
therefore also stores the start time of its process, where the system provides it. A process of another machine cannot
be looked up; whether it is there follows from how long ago it last wrote to the run. Clocks of two machines differ, and
are set while a run trains, so that is counted by this process's own clock as soon as the run was looked at.
"""

from __future__ import annotations

import hashlib
import os
import platform
import time
from dataclasses import dataclass
from functools import cache
from pathlib import Path

SILENCE = 60.0  # s without a sign of life after which a process of another machine counts as gone


@dataclass(frozen=True)
class _Look:
    """What a process of another machine had written to a run, as this one saw it; by a clock that is never set."""

    signs: tuple[float, ...]
    since: float  # when it last wrote
    at: float


_LOOKS: dict[Path, _Look] = {}  # the newest of each run


@cache
def machine() -> str:
    """Return letters that tell this machine from others; made from its name, which a run must not give away."""
    return hashlib.sha256(platform.node().encode()).hexdigest()[:12]


def started(pid: int) -> int:
    """Return the start time of a process in clock ticks since boot; 0 if it is gone or the system does not tell.

    A process that has ended and is only waiting for its parent to take notice (a zombie) is gone.
    """
    try:
        # The second field is the program's name in brackets, with any characters; the third is the state, and the 22nd
        # the start time.
        state, *others = Path(f"/proc/{pid}/stat").read_text(errors="replace").rpartition(")")[2].split()
        return 0 if state in "ZX" else int(others[18])
    except (OSError, ValueError, IndexError):
        return 0


def is_alive(pid: int, since: int, updated: float) -> bool:
    """Return whether a process still exists.

    Args:
        pid: its id. since: its start time as `started` gives it, 0 if unknown.
        updated: when it last wrote to the run, in seconds since 1970.
    """
    if since:
        return started(pid) == since
    if pid == os.getpid():
        return True
    if os.name != "posix":  # os.kill would end the process there; instead, it must have written in the last minute
        return time.time() - updated < 60
    try:
        os.kill(pid, 0)  # signal 0 only checks that the process exists
    except PermissionError:
        return True
    except OSError:
        return False
    return True


def silence(run: Path, signs: tuple[float, ...]) -> float:
    """Return for how many seconds a process of another machine has given no sign of life.

    The clock of the day is asked for what was before the first look, and for how much of the time since the last one.

    Args:
        run: its folder. signs: when the files of the run were written, by whatever clock; a new time is a sign of life.
    """
    now, last = time.monotonic(), _LOOKS.get(run)
    told = max(0.0, time.time() - max(signs))
    if last is None:
        since = now - told
    elif last.signs == signs:
        since = last.since
    else:
        since = max(now - told, last.at)
    _LOOKS[run] = _Look(signs, since, now)
    return now - since
