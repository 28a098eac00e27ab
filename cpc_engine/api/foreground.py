"""Training in the foreground: a progress bar on stderr, and signals that end it and keep what was learned."""

from __future__ import annotations

import contextlib
import signal
import sys
import threading
from typing import TYPE_CHECKING

from ..storage.folder import RunFolder
from ..training.control import Control

if TYPE_CHECKING:
    from ..execution.execute import State
    from ..execution.place import Executor

SIGNALS = ("SIGINT", "SIGTERM", "SIGHUP")


def execute_here(folder: RunFolder, resume: bool, execute: Executor | None = None, show: bool = True) -> State:
    """Train until the run ends; the first Ctrl-C ends it after its step and keeps it, a second ends the program.

    A request to end (SIGTERM) and a terminal that is closed (SIGHUP) end the run as the first Ctrl-C does.

    Args:
        execute: trains it (see `execution.place.executor`); in this thread if not given.
        show: draw a progress bar on stderr.
    """
    from ..execution.place import THREADS, executor
    from .progress import ProgressBar

    execute, control = execute or executor(THREADS), Control()

    def on_signal(signum: int, frame: object) -> None:
        if control.stopping and signum == signal.SIGINT:
            raise KeyboardInterrupt
        if not control.stopping:
            with contextlib.suppress(OSError):  # the terminal may be gone
                print("stopping after this step; press Ctrl-C again to quit at once", file=sys.stderr)
        control.stop()

    before = {}
    if threading.current_thread() is threading.main_thread():  # only there a signal can be handled
        for name in SIGNALS:
            number = getattr(signal, name, None)  # Windows has no SIGHUP
            if number is not None and signal.getsignal(number) != signal.SIG_IGN:  # nohup ignores it
                before[number] = signal.signal(number, on_signal)
    info = folder.info()
    try:
        if not show:
            return execute(folder, control, lambda observed: None, resume)
        with ProgressBar(info.steps, info.steps_done) as bar:
            return execute(folder, control, bar, resume)
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
