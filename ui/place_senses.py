"""What the network hears and sees of an item: exactly the clip or square that goes into its encoder."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from .explore_data import png, spectrogram_png
from .palette import BLUE
from .place_inputs import wav

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from cpc_engine.media import Picture, Sound
    from cpc_engine.runs.explore import Exploration

WIDTH, HEIGHT = 320, 72


@dataclass(frozen=True)
class Heard:
    """The clip as the encoder gets it: `svg` its waveform, `picture` its spectrogram; levels in dB of full scale."""

    svg: str
    picture: bytes
    sound: bytes
    peak_db: float
    mean_db: float
    seconds: float


def heard(explored: Exploration, sound: Sound) -> Heard:
    """Of a longer sound, the window with the most energy: that is what its place on the map is made from."""
    import torch

    from cpc_engine.media import fit_clip

    features = explored.model.audio_features
    rate = features.config.sample_rate
    clip = fit_clip(sound.samples, sound.rate, rate, features.length)
    waves = clip.astype(np.float32) / 32768
    log_mel = features.log_mel(torch.from_numpy(waves)[None])[0].numpy()
    peak, mean = float(np.abs(waves).max()), float(np.sqrt(np.square(waves).mean()))
    return Heard(
        wave_svg(waves),
        spectrogram_png(log_mel, 320, 160),
        wav(waves, rate),
        decibels(peak),
        decibels(mean),
        len(clip) / rate,
    )


def seen(explored: Exploration, picture: Picture, side: int) -> bytes:
    """PNG of the square that the encoder gets, at its own size."""
    import torch
    from PIL import Image

    from cpc_engine.media import fit_picture

    fitted = fit_picture(picture.pixels, side)[None]
    with torch.no_grad():
        # The features are (x − 0.5) / 0.25 of the resized picture.
        pixels = explored.model.features["image"](fitted)[0] * 0.25 + 0.5
    return png(Image.fromarray((pixels.clamp(0, 1) * 255).round().byte().permute(1, 2, 0).contiguous().numpy()))


def decibels(level: float) -> float:
    """Of full scale; silence is −inf."""
    return 20 * math.log10(level) if level > 0 else -math.inf


def wave_svg(waves: NDArray[np.floating[Any]]) -> str:
    """A waveform (L,) within ±1 as the band between its lowest and highest sample, column by column."""
    columns = np.array_split(waves, min(WIDTH, len(waves)))
    x = np.linspace(0, WIDTH, len(columns))
    top = [HEIGHT / 2 * (1 - float(column.max())) for column in columns]
    bottom = [HEIGHT / 2 * (1 - float(column.min())) + 0.5 for column in columns]
    up = " ".join(f"{a:.1f},{b:.1f}" for a, b in zip(x, top, strict=True))
    down = " ".join(f"{a:.1f},{b:.1f}" for a, b in zip(x[::-1], bottom[::-1], strict=True))
    return (
        f'<svg viewBox="0 0 {WIDTH} {HEIGHT}" role="img" aria-label="waveform" style="max-width: {WIDTH}px">'
        f'<rect x="0.5" y="0.5" width="{WIDTH - 1}" height="{HEIGHT - 1}" rx="6" fill="none" stroke="currentColor" '
        f'stroke-opacity="0.25"/><polygon points="{up} {down}" fill="{BLUE}"/></svg>'
    )
