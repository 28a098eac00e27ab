"""Items as bytes that a browser plays or shows."""

from __future__ import annotations

import io
import wave

from PIL import Image

from ..errors import DataError
from .items import Split


def preview_wav(split: Split, row: int, rate: int) -> bytes:
    """A 16-bit mono WAV of one item; raises DataError where the split has no sound."""
    if split.audio is None:
        raise DataError("these items have no sound")
    buffer = io.BytesIO()
    with wave.open(buffer, "wb") as file:
        file.setnchannels(1)
        file.setsampwidth(2)
        file.setframerate(rate)
        file.writeframes(split.audio[row].cpu().numpy().astype("<i2").tobytes())
    return buffer.getvalue()


def preview_png(split: Split, row: int) -> bytes:
    """An RGB PNG of one item at its native size; raises DataError where the split has no pictures."""
    if split.image is None:
        raise DataError("these items have no pictures")
    buffer = io.BytesIO()
    Image.fromarray(split.image[row].permute(1, 2, 0).contiguous().cpu().numpy()).save(buffer, "PNG")
    return buffer.getvalue()
