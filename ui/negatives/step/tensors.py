"""Tensors as small pictures: what a network reads, and the numbers that it makes of it."""

from __future__ import annotations

import numpy as np
from torch import Tensor

from ...drawing.palette import BLUE, VERMILION
from ...drawing.pictures import data_address, png, spectrogram_png

WIDEST = 64  # numbers of a vector, and positions of an item, that are shown


def input_image(features: Tensor) -> str:
    """The address of a picture of features: a spectrogram (bands, frames), or a picture (3, height, width)."""
    values = features.numpy()
    if features.ndim == 2:
        return data_address(spectrogram_png(values, values.shape[1], values.shape[0]), "image/png")
    pixels = (255 * (0.5 + 0.25 * values.transpose(1, 2, 0))).clip(0, 255)  # see docs/method.md#front-ends
    return data_address(png(pixels.round().astype(np.uint8)), "image/png")


def signed_image(values: Tensor) -> str:
    """The address of a picture of numbers (rows, columns): blue above 0, red below, the stronger the larger.

    What is near 0 is transparent, so that it is seen on a light page and on a dark one.
    """
    numbers = values.float().numpy()
    largest = max(float(np.quantile(np.abs(numbers), 0.98)), 1e-6)
    strength = (np.abs(numbers) / largest).clip(0, 1)
    colors = np.array([[int(color[i : i + 2], 16) for i in (1, 3, 5)] for color in (VERMILION, BLUE)], dtype=np.uint8)
    pixels = np.concatenate([colors[(numbers > 0).astype(int)], (255 * strength).round()[..., None]], -1)
    return data_address(png(pixels.astype(np.uint8)), "image/png")


def shown_positions(count: int, target: int | None) -> slice:
    """Which of an item's positions are shown: all, or those around its target where there are many.

    Example:
        >>> shown_positions(16, 3), shown_positions(200, 100)
        (slice(0, 16, None), slice(68, 132, None))
    """
    begin = min(max((target or 0) - WIDEST // 2, 0), max(count - WIDEST, 0))
    return slice(begin, min(begin + WIDEST, count))


def by_position(values: Tensor, target: int | None) -> Tensor:
    """The shown part of vectors (T, d), positions from left to right."""
    return values[shown_positions(len(values), target), :WIDEST].T


def strip(vector: Tensor) -> Tensor:
    """The shown part of a vector (d,) as one row."""
    return vector[None, :WIDEST]
