"""An address of earlier versions: `/watch?run=…` leads to the Train page, on which runs are watched now."""

from __future__ import annotations

from ui.shell.address import lead_to

lead_to("pages/train.py")
