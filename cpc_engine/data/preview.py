"""Convert items of a split to WAV and PNG files for a browser, or to decoded media."""

from __future__ import annotations

import io
import wave

import numpy as np
from PIL import Image

from ..errors import DataError
from ..media import Picture, Sound
from ..terms import FULL_SCALE, Modality
from .dataset import Split


def preview_wav(split: Split, row: int, rate: int) -> bytes:
    """Encode one item as a 16-bit mono WAV file.

    Args:
        row: index of the item in the split.
        rate: sample rate of the split's audio in Hz.

    Raises:
        DataError: the split has no audio.

    Example:
        >>> import torch
        >>> split = Split(torch.zeros(1, 800, dtype=torch.int16), None, torch.zeros(1).long(), ("a",), ("a",))
        >>> preview_wav(split, 0, 8000)[:4]
        b'RIFF'
    """
    samples = _sound(split, row).astype("<i2")
    buffer = io.BytesIO()
    with wave.open(buffer, "wb") as file:
        file.setnchannels(1)
        file.setsampwidth(2)
        file.setframerate(rate)
        file.writeframes(samples.tobytes())
    return buffer.getvalue()


def preview_png(split: Split, row: int) -> bytes:
    """Encode one item as an RGB PNG file at its native size.

    Args:
        row: index of the item in the split.

    Raises:
        DataError: the split has no images.
    """
    buffer = io.BytesIO()
    Image.fromarray(_pixels(split, row)).save(buffer, "PNG")
    return buffer.getvalue()


def item_media(split: Split, row: int, modality: Modality, rate: int) -> Sound | Picture:
    """Return one item in the form that the decoders in `cpc_engine.media` return.

    Args:
        row: index of the item in the split.
        rate: sample rate of the split's audio in Hz; not used for images.

    Raises:
        DataError: the split does not have this modality.
    """
    if modality == "image":
        return Picture(_pixels(split, row))
    return Sound(_sound(split, row).astype(np.float32) / FULL_SCALE, rate)


def _sound(split: Split, row: int) -> np.ndarray:
    """Samples (L,) int16 of one item."""
    if split.audio is None:
        raise DataError("these items have no sound")
    return split.recording(row).cpu().numpy()


def _pixels(split: Split, row: int) -> np.ndarray:
    """Pixels (H, W, 3) uint8 of one item."""
    if split.image is None:
        raise DataError("these items have no pictures")
    return split.image[row].permute(1, 2, 0).contiguous().cpu().numpy()
