"""Strangers' sounds and pictures on a finished run: decoded apart, embedded like held-out items, placed on its maps."""

from __future__ import annotations

from .placement import Neighbour, Placed, Placement, Stability, Window
from .placer import Item, Placer, place

__all__ = ["Item", "Neighbour", "Placed", "Placement", "Placer", "Stability", "Window", "place"]
