"""The Sweeps page."""

from __future__ import annotations

from ui.sweeps.page import show

show()
