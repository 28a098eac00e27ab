"""A clock of the day that is set while something goes on; no time passes by itself."""

from __future__ import annotations

import time

import pytest

HOUR = 3600.0


class Clock:
    """Stands in for `time.time`, `time.time_ns` and `time.monotonic`.

    Attributes:
        day: seconds since 1970, as the clock of the day has them.
    """

    def __init__(self, patch: pytest.MonkeyPatch) -> None:
        self.day, self._passed = time.time(), time.monotonic()
        patch.setattr(time, "time", lambda: self.day)
        patch.setattr(time, "time_ns", lambda: int(self.day * 1e9))
        patch.setattr(time, "monotonic", lambda: self._passed)

    def jump(self, seconds: float) -> None:
        """Set the clock of the day."""
        self.day += seconds

    def wait(self, seconds: float) -> None:
        """Let time pass."""
        self.day += seconds
        self._passed += seconds
