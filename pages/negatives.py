"""The Negatives page."""

from __future__ import annotations

from ui.negatives.page import show

show()
