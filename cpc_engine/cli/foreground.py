"""Training in the foreground: a progress bar on stderr, and Ctrl-C that keeps what was learned."""

from __future__ import annotations

import signal
import sys
from typing import TYPE_CHECKING

from ..runs.folder import RunFolder
from ..training.control import Control

if TYPE_CHECKING:
    from ..runs.execute import State


def execute_here(folder: RunFolder, resume: bool) -> State:
    """Train in this thread; the first Ctrl-C ends the run after its step and keeps it, a second ends the program."""
    from ..runs.execute import execute
    from .progress import ProgressBar

    control = Control()

    def on_interrupt(signum: int, frame: object) -> None:
        if control.stopping:
            raise KeyboardInterrupt
        print("stopping after this step; press Ctrl-C again to quit at once", file=sys.stderr)
        control.stop()

    before = signal.signal(signal.SIGINT, on_interrupt)
    try:
        info = folder.info()
        with ProgressBar(info.steps, info.steps_done) as bar:
            return execute(folder, control, bar, resume)
    finally:
        signal.signal(signal.SIGINT, before)
