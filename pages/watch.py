"""The page of one run."""

from __future__ import annotations

from ui.watch.page import show

show()
