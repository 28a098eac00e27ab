"""The Train page."""

from __future__ import annotations

from ui.train.page import show

show()
