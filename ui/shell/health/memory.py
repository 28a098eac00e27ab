"""Memory that nothing uses any more goes back to the system."""

from __future__ import annotations

import sys
import threading
import time
from ctypes import CDLL
from functools import cache

EVERY = 15.0  # seconds


@cache
def give_back_memory() -> None:
    """Begin to return free memory from time to time; once per process.

    The C library of most Linux systems keeps what threads have freed for their next use. Every run of a page is a
    thread of its own.
    """
    trim = getattr(CDLL(None), "malloc_trim", None) if sys.platform == "linux" else None
    if trim is None:
        return

    def work() -> None:
        while True:
            time.sleep(EVERY)
            trim(0)

    threading.Thread(target=work, name="cpc-memory", daemon=True).start()
