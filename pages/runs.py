"""The Runs page."""

from __future__ import annotations

from ui.runs.page import show

show()
