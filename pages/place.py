"""The Place page."""

from __future__ import annotations

from ui.place.page import show

show()
