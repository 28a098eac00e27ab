"""Streamlit in a process of its own, as `python -m streamlit ARGUMENTS` in the repository's folder.

Its libraries take seconds to import, so most servers are forked from one process that has imported them.
"""

from __future__ import annotations

import multiprocessing
import os
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from tests.support.paths import REPOSITORY

Ended = Callable[[], int | None]  # the exit code of a process, or None while it runs


@contextmanager
def forked(arguments: list[str], environment: dict[str, str], log: Path) -> Iterator[Ended]:
    """A fork of a process that has imported what the app uses, which this process starts once."""
    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload(["tests.support.app_libraries"])
    log.touch()
    process = context.Process(target=_streamlit, args=(arguments, environment, log))
    process.start()
    try:
        yield lambda: process.exitcode
    finally:
        process.terminate()
        process.join(10)
        process.kill()
        process.join()


def _streamlit(arguments: list[str], environment: dict[str, str], log: Path) -> None:
    with log.open("wb") as stream:
        for output in (1, 2):
            os.dup2(stream.fileno(), output)
    os.environ.clear()
    os.environ.update(environment)
    os.chdir(REPOSITORY)
    sys.argv = ["streamlit", *arguments]

    from streamlit.web import cli

    cli.main()


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
