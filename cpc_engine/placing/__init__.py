"""New sounds and pictures on a finished run: decoded apart, embedded like held-out items, placed on its maps."""

from __future__ import annotations

from .placement import Neighbor, Placed, Placement, Stability, Window
from .placer import Item, Placer
from .preview import HeardSound, SeenPicture

__all__ = [
    "HeardSound",
    "Item",
    "Neighbor",
    "Placed",
    "Placement",
    "Placer",
    "SeenPicture",
    "Stability",
    "Window",
]
