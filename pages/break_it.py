"""The Break it page."""

from __future__ import annotations

from ui.break_it.page import show

show()
