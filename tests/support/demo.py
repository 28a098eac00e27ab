"""The shared demo of one run, started as people start it: a process of its own on a free port."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from tests.support.paths import REPOSITORY

ROOT = REPOSITORY
SHARE = (sys.executable, str(ROOT / "share.py"))


@contextmanager
def demo(run: Path, log: Path, *options: str) -> Iterator[tuple[str, subprocess.Popen[bytes]]]:
    """(address, process) of a demo that ends with the block; its log explains a failure."""
    from tests.support.browser import free_port  # a plugin of some tests, which pytest wants to import itself

    port = str(free_port())
    environment = os.environ | {"PYTHONPATH": str(ROOT), "PYTHONUNBUFFERED": "1", "TMPDIR": str(log.parent)}
    command = [*SHARE, str(run), "--port", port, *options]
    with log.open("wb") as stream:  # from elsewhere: Gradio lets files of the folder it is started in be read
        process = subprocess.Popen(command, cwd=log.parent, env=environment, stdout=stream, stderr=subprocess.STDOUT)
    try:
        deadline = time.monotonic() + 200
        while "Ctrl-C ends it" not in log.read_text(errors="replace"):
            if process.poll() is not None or time.monotonic() > deadline:
                pytest.fail(f"no demo (exit code {process.poll()}):\n{log.read_text(errors='replace')}")
            time.sleep(0.2)
        yield f"http://127.0.0.1:{port}", process
    finally:
        process.terminate()
        try:
            process.wait(30)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()
