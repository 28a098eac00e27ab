"""Training in the foreground: a progress bar on stderr, and Ctrl-C that keeps what was learned."""

from __future__ import annotations

import signal
import sys
import threading
from typing import TYPE_CHECKING

from ..storage.folder import RunFolder
from ..training.control import Control

if TYPE_CHECKING:
    from ..execution.execute import State


def execute_here(folder: RunFolder, resume: bool, show: bool = True) -> State:
    """Train in this thread; the first Ctrl-C ends the run after its step and keeps it, a second ends the program.

    Args:
        show: draw a progress bar on stderr.
    """
    from ..execution.execute import execute
    from .progress import ProgressBar

    control = Control()

    def on_interrupt(signum: int, frame: object) -> None:
        if control.stopping:
            raise KeyboardInterrupt
        print("stopping after this step; press Ctrl-C again to quit at once", file=sys.stderr)
        control.stop()

    main = threading.current_thread() is threading.main_thread()  # only there a signal can be handled
    before = signal.signal(signal.SIGINT, on_interrupt) if main else None
    info = folder.info()
    try:
        if not show:
            return execute(folder, control, resume=resume)
        with ProgressBar(info.steps, info.steps_done) as bar:
            return execute(folder, control, bar, resume)
    finally:
        if main:
            signal.signal(signal.SIGINT, before)
