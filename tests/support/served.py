"""Streamlit in a process of its own, as `python -m streamlit ARGUMENTS` in the repository's folder.

Its libraries take seconds to import, so most servers are forked from one process that has imported them.
"""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from tests.support.forks import Fork
from tests.support.paths import REPOSITORY

Ended = Callable[[], int | None]  # the exit code of a process, or None while it runs


@contextmanager
def forked(arguments: list[str], environment: dict[str, str], log: Path) -> Iterator[Ended]:
    """A fork of a process that has imported what the app uses, which this process starts once."""
    process = Fork("streamlit", *arguments, place=REPOSITORY, out=log, err=log, environment=environment)
    try:
        yield process.poll
    finally:
        process.end()


@contextmanager
def new(arguments: list[str], environment: dict[str, str], log: Path) -> Iterator[Ended]:
    """A process that begins with nothing imported, as a person starts it."""
    command = [sys.executable, "-m", "streamlit", *arguments]
    with log.open("wb") as stream:
        process = subprocess.Popen(command, cwd=REPOSITORY, env=environment, stdout=stream, stderr=subprocess.STDOUT)
    try:
        yield process.poll
    finally:
        process.terminate()
        try:
            process.wait(10)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()
