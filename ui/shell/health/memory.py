"""Memory that nothing uses any more goes back to the system."""

from __future__ import annotations

import sys
import threading
import time
from ctypes import CDLL
from functools import cache

EVERY = 15.0  # seconds
_ARENAS, _MOST_ARENAS = -8, 2  # M_ARENA_MAX of the C library's mallopt


@cache
def give_back_memory() -> None:
    """Begin to return free memory from time to time, and let threads share what is free; once per process.

    The C library of most Linux systems keeps what threads have freed for their next use, in up to eight arenas for each
    core, which fragment. Every run of a page is a thread of its own.
    """
    library = CDLL(None) if sys.platform == "linux" else None
    trim = getattr(library, "malloc_trim", None)
    if library is None or trim is None:
        return
    library.mallopt(_ARENAS, _MOST_ARENAS)

    def work() -> None:
        while True:
            time.sleep(EVERY)
            trim(0)

    threading.Thread(target=work, name="cpc-memory", daemon=True).start()
