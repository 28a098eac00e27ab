"""The address `/start`, which one may type or have kept: it leads to the Start page, at `/`."""

from __future__ import annotations

from ui.shell.address import lead_to

lead_to("pages/start.py")
