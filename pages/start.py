"""The Start page."""

from __future__ import annotations

from ui.start.page import show

show()
