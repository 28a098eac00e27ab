"""Check whether the process that trains a run still exists.

A process id alone is not enough: operating systems reuse ids, and a restarted container often gets the same one. A run
therefore also stores the start time of its process, where the system provides it. A process of another machine cannot
be looked up; whether it is there follows from how long ago it last wrote to the run.
"""

from __future__ import annotations

import hashlib
import os
import platform
import time
from functools import cache
from pathlib import Path

SILENCE = 60.0  # s without a sign of life after which a process of another machine counts as gone


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
