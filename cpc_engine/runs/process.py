"""Whether the process that works on a run still exists.

A number alone does not tell: systems give it out again, and a restarted container often has the very same one. So a run
also remembers when its process started, where the system says that.
"""

from __future__ import annotations

import os
import time
from pathlib import Path


def started(pid: int) -> int:
    """Clock ticks from the start of the machine to that of the process; 0 where it is gone or cannot be told."""
    try:
        # The second field is the program's name in brackets, which may hold anything; the 22nd is the start.
        return int(Path(f"/proc/{pid}/stat").read_text(errors="replace").rpartition(")")[2].split()[19])
    except (OSError, ValueError, IndexError):
        return 0


def is_alive(pid: int, since: int, updated: float) -> bool:
    """Whether the process `pid` that started at `since` (0: not known) and last wrote at `updated` is still there."""
    if since:
        return started(pid) == since
    if pid == os.getpid():
        return True
    if os.name != "posix":  # signals would end it there: trust that it writes at least once a minute
        return time.time() - updated < 60
    try:
        os.kill(pid, 0)  # asks, sends nothing
    except PermissionError:
        return True
    except OSError:
        return False
    return True
