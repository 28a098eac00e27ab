"""Processes of their own without the seconds that a new one takes to import: forks of one that has imported.

They share nothing with this process nor with one another, and can be killed like any other. What a process does before
its first line of the engine is not seen by them: tests of that start a new one.
"""

from __future__ import annotations

import multiprocessing
import os
import runpy
import signal
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path
from types import ModuleType


class Fork:
    """`python -m module *arguments` with the part of `subprocess.Popen` that tests use, its output in a file."""

    def __init__(
        self,
        module: str,
        *arguments: str,
        place: Path,
        out: Path,
        err: Path | None = None,
        environment: Mapping[str, str] | None = None,
    ) -> None:
        context = multiprocessing.get_context("forkserver")
        context.set_forkserver_preload(["tests.support.app_libraries"])  # by one process for all of them
        self.out, self.err = out, err or out.with_name(f"{out.name}.err")
        for path in (self.out, self.err):
            path.touch()
        values = {**os.environ, **(environment or {})}
        self._process = context.Process(target=_run, args=(module, arguments, place, values, self.out, self.err))
        # A new process runs the main script of this one first: under AppTest that is the page of an earlier test.
        main = sys.modules["__main__"]
        sys.modules["__main__"] = ModuleType("__main__")
        try:
            self._process.start()
        finally:
            sys.modules["__main__"] = main
        assert self._process.pid is not None
        self.pid = self._process.pid

    def poll(self) -> int | None:
        return self._process.exitcode

    def wait(self, timeout: float | None = None) -> int:
        self._process.join(timeout)
        if (code := self.poll()) is None:
            raise subprocess.TimeoutExpired(str(self.out), timeout or 0)
        return code

    def communicate(self, timeout: float) -> tuple[str, str]:
        self.wait(timeout)
        return self.out.read_text(), self.err.read_text()

    def send_signal(self, number: int) -> None:
        if self.poll() is None:
            os.kill(self.pid, number)

    def kill(self) -> None:
        self._process.kill()
        self._process.join()

    def end(self) -> None:
        """Ask it to end, and kill it where it does not."""
        self._process.terminate()
        self._process.join(10)
        self.kill()


def _run(
    module: str, arguments: tuple[str, ...], place: Path, environment: dict[str, str], out: Path, err: Path
) -> None:
    for path, number in ((out, 1), (err, 2)):
        with path.open("ab") as stream:  # both may be one file
            os.dup2(stream.fileno(), number)
    os.environ.clear()
    os.environ.update(environment)
    os.chdir(place)
    # A new process hears both, unless the tests run under nohup or in a background.
    signal.signal(signal.SIGINT, signal.default_int_handler)
    signal.signal(signal.SIGHUP, signal.SIG_DFL)
    sys.argv = [module, *arguments]
    runpy.run_module(module, run_name="__main__", alter_sys=True)
