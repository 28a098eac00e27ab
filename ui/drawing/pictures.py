"""Spectrograms, waveforms, pictures and sounds as what a browser shows and plays."""

from __future__ import annotations

import base64
import io

import numpy as np
from numpy.typing import NDArray

from .map_figure import CIVIDIS
from .palette import BLUE

WAVE_WIDTH, WAVE_HEIGHT = 320, 72


def spectrogram_png(log_mel: np.ndarray, width: int = 128, height: int = 128) -> bytes:
    """A log-mel spectrogram (bands, frames) as PNG: low frequencies at the bottom, bright is loud."""
    low, high = float(log_mel.min()), float(log_mel.max())
    shades = (log_mel[::-1] - low) / max(high - low, 1e-6)
    stops = np.array([[int(color[i : i + 2], 16) for i in (1, 3, 5)] for color in CIVIDIS], dtype=np.float64)
    at = np.linspace(0, 1, len(stops))
    pixels = np.stack([np.interp(shades, at, stops[:, channel]) for channel in range(3)], -1).round().astype(np.uint8)
    return png(pixels, (width, height))


def png(pixels: NDArray[np.uint8], size: tuple[int, int] | None = None) -> bytes:
    """RGB pixels (H, W, 3) as PNG, resized to (width, height) where a size is given."""
    from PIL import Image

    image = Image.fromarray(pixels)
    buffer = io.BytesIO()
    (image.resize(size, Image.Resampling.BOX) if size else image).save(buffer, "PNG")
    return buffer.getvalue()


def data_address(content: bytes, kind: str) -> str:
    """The address of contents that a browser need not ask for: a file of the server is gone when its page is left.

    Args:
        kind: MIME type, such as "image/png".
    """
    return f"data:{kind};base64,{base64.b64encode(content).decode()}"


def wav(samples: np.ndarray, rate: int) -> bytes:
    """Samples (L,) within ±1 as a 16-bit mono WAV."""
    import soundfile

    buffer = io.BytesIO()
    soundfile.write(buffer, samples, rate, subtype="PCM_16", format="WAV")
    return buffer.getvalue()


def wave_svg(samples: np.ndarray) -> str:
    """A waveform (L,) within ±1 as the band between its lowest and highest sample, column by column."""
    columns = np.array_split(samples, min(WAVE_WIDTH, len(samples)))
    x = np.linspace(0, WAVE_WIDTH, len(columns))
    top = [WAVE_HEIGHT / 2 * (1 - float(column.max())) for column in columns]
    bottom = [WAVE_HEIGHT / 2 * (1 - float(column.min())) + 0.5 for column in columns]
    up = " ".join(f"{a:.1f},{b:.1f}" for a, b in zip(x, top, strict=True))
    down = " ".join(f"{a:.1f},{b:.1f}" for a, b in zip(x[::-1], bottom[::-1], strict=True))
    return (
        f'<svg viewBox="0 0 {WAVE_WIDTH} {WAVE_HEIGHT}" role="img" aria-label="waveform" '
        f'style="max-width: {WAVE_WIDTH}px"><rect x="0.5" y="0.5" width="{WAVE_WIDTH - 1}" '
        f'height="{WAVE_HEIGHT - 1}" rx="6" fill="none" stroke="currentColor" stroke-opacity="0.25"/>'
        f'<polygon points="{up} {down}" fill="{BLUE}"/></svg>'
    )
