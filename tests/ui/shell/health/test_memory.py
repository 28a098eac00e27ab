"""The app gives memory back that its threads have freed."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from tests.support.paths import REPOSITORY

FREES = """
import os, threading, time
from ui.shell.health import memory

memory.EVERY = 0.05
kept = []

def resident():
    with open("/proc/self/statm") as file:
        return int(file.read().split()[1]) * os.sysconf("SC_PAGE_SIZE") / 1e6

def work():
    blocks = [bytearray(50_000) for _ in range(4000)]
    kept.extend(blocks[::100])  # what is left between them keeps the heap from shrinking by itself

thread = threading.Thread(target=work)
thread.start()
thread.join()
time.sleep(0.5)
held = resident()
memory.give_back_memory()
time.sleep(0.5)
print(held - resident())
"""


@pytest.mark.skipif(sys.platform != "linux", reason="what is given back is the C library's")
def test_free_memory_is_given_back() -> None:
    done = subprocess.run([sys.executable, "-c", FREES], cwd=REPOSITORY, capture_output=True, text=True, check=True)
    assert float(done.stdout) > 100, "megabytes of the 200 that were freed"


ARENAS = """
import ctypes, sys, threading
from ui.shell.health.memory import give_back_memory

if len(sys.argv) > 2:
    give_back_memory()
together = threading.Barrier(12)

def work():
    together.wait()
    kept = [bytearray(2000) for _ in range(1000)]
    together.wait()

threads = [threading.Thread(target=work) for _ in range(12)]
for thread in threads:
    thread.start()
for thread in threads:
    thread.join()
library = ctypes.CDLL(None)
library.fopen.restype = ctypes.c_void_p
file = ctypes.c_void_p(library.fopen(sys.argv[1].encode(), b"w"))
library.malloc_info(0, file)
library.fclose(file)
"""


@pytest.mark.skipif(sys.platform != "linux", reason="arenas are the C library's")
def test_threads_share_what_is_free(tmp_path: Path) -> None:
    def arenas(*more: str) -> int:
        subprocess.run([sys.executable, "-c", ARENAS, str(tmp_path / "info"), *more], cwd=REPOSITORY, check=True)
        return (tmp_path / "info").read_text().count("<heap nr=")

    assert arenas("limited") <= 2 < arenas()
