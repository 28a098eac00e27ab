"""The Explore page."""

from __future__ import annotations

from ui.explore.page import show

show()
