"""Control of a training run from another thread."""

from __future__ import annotations

import threading
from typing import Any

from ..config import RunConfig, current_path
from ..errors import ConfigError
from ..settings import describe
from .plan import diagnostics


class Control:
    """Pause, resume, or stop a run, and change its live settings. Thread-safe.

    Requests take effect between two steps, so a step is never interrupted.

    Example:
        >>> control = Control()
        >>> control.pause()
        >>> control.paused
        True
        >>> control.stop()  # also ends the pause
        >>> control.paused, control.stopping
        (False, True)

    Attributes:
        lost: why the run ends although nobody has asked for it, which leaves it interrupted; empty if that is not so.
    """

    lost = ""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._go = threading.Event()
        self._go.set()
        self._stop = threading.Event()
        self._changes: dict[str, Any] = {}  # asked for since they were taken last
        self._accepted: dict[str, Any] = {}  # all of them

    def pause(self) -> None:
        """Ask the run to wait after the current step."""
        self._go.clear()

    def resume(self) -> None:
        """End a pause."""
        self._go.set()

    def stop(self) -> None:
        """Ask the run to end after the current step, and end a pause. The run remains usable."""
        self._stop.set()
        self._go.set()

    def change(self, config: RunConfig, path: str, value: Any) -> None:
        """Request a new value of a live setting.

        Args:
            config: configuration of the run before any request was made here, to validate the value beside the others.
            path: path of the setting, for example "sampler.sigma".
            value: the new value.

        Raises:
            ConfigError: the setting does not exist or is not live, or the value is not valid for the run.
        """
        path = current_path(path)
        with self._lock:  # of two requests that fit by themselves, the second may not fit with the first
            changed = config.replace(self._accepted | {path: value})
            if path not in live_settings():
                raise ConfigError(
                    f"{path} cannot be changed while a run goes on (live: {', '.join(sorted(live_settings()))})"
                )
            for diagnostic in diagnostics(changed):
                if diagnostic.stops:
                    raise ConfigError(f"{path}: {diagnostic.text}")
            self._changes[path] = self._accepted[path] = value

    @property
    def stopping(self) -> bool:
        """Whether `stop` has been called."""
        return self._stop.is_set()

    @property
    def paused(self) -> bool:
        """Whether a pause has been requested and not ended."""
        return not self._go.is_set()

    def wait(self, seconds: float) -> None:
        """Wait for the end of a pause, but no longer than `seconds`."""
        self._go.wait(seconds)

    def take_changes(self) -> dict[str, Any]:
        """Return the changes requested since the last call, {path: value}."""
        with self._lock:
            changes, self._changes = self._changes, {}
        return changes


def live_settings() -> set[str]:
    """Return the paths of the settings that can be changed during a run.

    Example:
        >>> "loss.temperature" in live_settings(), "context.latent_dim" in live_settings()
        (True, False)
    """
    return {setting.path for setting in describe(RunConfig) if setting.live}
