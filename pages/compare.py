"""The Compare page."""

from __future__ import annotations

from ui.compare.page import show

show()
