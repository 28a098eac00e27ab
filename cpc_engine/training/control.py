"""The handle by which another thread steers a run."""

from __future__ import annotations

import threading
from typing import Any

from ..config import RunConfig
from ..errors import ConfigError
from ..knobs import describe
from ..negatives.plan import remarks


class Control:
    """Pause, resume, stop, and change live knobs; every method may be called from any thread.

    A request is honoured between two steps, so what it leaves behind is always a whole step.
    """

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._go = threading.Event()
        self._go.set()
        self._stop = threading.Event()
        self._changes: dict[str, Any] = {}

    def pause(self) -> None:
        self._go.clear()

    def resume(self) -> None:
        self._go.set()

    def stop(self) -> None:
        """End after the current step, keeping a usable run; ends a pause too."""
        self._stop.set()
        self._go.set()

    def change(self, config: RunConfig, path: str, value: Any) -> None:
        """Ask for another value of a live knob.

        Args:
            config: the run's configuration, to check the value against.

        Raises:
            ConfigError: the knob does not exist, is not live, or the value does not fit the run.
        """
        changed = config.replace({path: value})
        if path not in live_knobs():
            raise ConfigError(f"{path} cannot be changed while a run goes on (live: {', '.join(sorted(live_knobs()))})")
        for remark in remarks(changed):
            if remark.stops:
                raise ConfigError(f"{path}: {remark.text}")
        with self._lock:
            self._changes[path] = value

    @property
    def stopping(self) -> bool:
        return self._stop.is_set()

    @property
    def paused(self) -> bool:
        return not self._go.is_set()

    def wait(self, seconds: float) -> None:
        """Wait for the end of a pause, at most so long."""
        self._go.wait(seconds)

    def take_changes(self) -> dict[str, Any]:
        """Changes asked for since the last call."""
        with self._lock:
            changes, self._changes = self._changes, {}
        return changes


def live_knobs() -> set[str]:
    """Paths of the knobs that a running run accepts."""
    return {knob.path for knob in describe(RunConfig) if knob.live}
