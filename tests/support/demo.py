"""The shared demo of one run, in a process of its own on a free port."""

from __future__ import annotations

import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from tests.support.forks import Fork
from tests.support.paths import REPOSITORY

SHARE = (sys.executable, str(REPOSITORY / "share.py"))  # as people start it


@contextmanager
def demo(run: Path, log: Path, *options: str) -> Iterator[tuple[str, Fork]]:
    """(address, process) of a demo that ends with the block; its log explains a failure."""
    from tests.support.browser import free_port  # a plugin of some tests, which pytest wants to import itself

    port = str(free_port())
    environment = {"PYTHONPATH": str(REPOSITORY), "PYTHONUNBUFFERED": "1", "TMPDIR": str(log.parent)}
    arguments = [str(run), "--port", port, *options]
    # From elsewhere: Gradio lets files of the folder it is started in be read.
    process = Fork("share", *arguments, place=log.parent, out=log, err=log, environment=environment)
    try:
        deadline = time.monotonic() + 200
        while "Ctrl-C ends it" not in log.read_text(errors="replace"):
            if process.poll() is not None or time.monotonic() > deadline:
                pytest.fail(f"no demo (exit code {process.poll()}):\n{log.read_text(errors='replace')}")
            time.sleep(0.2)
        yield f"http://127.0.0.1:{port}", process
    finally:
        process.end()
