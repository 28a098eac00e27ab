"""Terms that every package of the engine shares. Torch-free, so that lists and forms can use them at once."""

from __future__ import annotations

from typing import Literal

Modality = Literal["audio", "image"]
MODALITIES: tuple[Modality, ...] = ("audio", "image")
# What items of a modality are called in messages, tables and figures: (one, several).
ITEM_NOUNS: dict[str, tuple[str, str]] = {"audio": ("sound", "sounds"), "image": ("picture", "pictures")}
# In which orders a context network reads positions, in words (see `model.context.ContextNetwork.reading_orders`).
READING_ORDERS = ("forward", "backward", "column by column", "column by column, backward")
FULL_SCALE = 32768  # of 16-bit sound: int16 samples are within ±FULL_SCALE
