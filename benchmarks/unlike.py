"""Sounds and pictures that no run of spoken digits or of vehicles has learned from, made from a seed."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from PIL import Image, ImageDraw, ImageFont

from cpc_engine.media import Picture, Sound

Random = np.random.Generator


def sounds(count: int, rate: int, clip_seconds: float, seed: int) -> dict[str, list[Sound]]:
    """`count` of each kind, from a third of a clip to one and a half long, at levels as recordings have them."""
    draw = np.random.default_rng(seed)

    def one(make: Callable[[Random, int, int], np.ndarray], level: bool) -> Sound:
        samples = make(draw, int(rate * clip_seconds * draw.uniform(0.35, 1.5)), rate)
        if level:
            samples = samples / np.abs(samples).max() * 10 ** (-draw.uniform(0, 26) / 20)
        return Sound(samples.astype(np.float32), rate)

    return {name: [one(make, name != "silence") for _ in range(count)] for name, make in _SOUNDS.items()}


def pictures(count: int, seed: int) -> dict[str, list[Picture]]:
    """`count` of each kind."""
    draw = np.random.default_rng(seed)
    return {
        name: [Picture(np.clip(make(draw), 0, 255).astype(np.uint8)) for _ in range(count)]
        for name, make in _PICTURES.items()
    }


def _white(draw: Random, length: int, rate: int) -> np.ndarray:
    return draw.normal(size=length)


def _silence(draw: Random, length: int, rate: int) -> np.ndarray:
    """Digital silence, or the last bit or two of a converter."""
    return draw.choice([0, 1e-5, 3e-5]) * draw.normal(size=length)


def _falling(draw: Random, length: int, rate: int, power: float) -> np.ndarray:
    """Noise whose amplitude falls with frequency to the given power, from 20 Hz on."""
    spectrum = np.fft.rfft(draw.normal(size=length))
    return np.fft.irfft(spectrum * np.maximum(np.fft.rfftfreq(length, 1 / rate), 20.0) ** -power, length)


def _brown(draw: Random, length: int, rate: int) -> np.ndarray:
    return _falling(draw, length, rate, 1.0)


def _hum(draw: Random, length: int, rate: int) -> np.ndarray:
    time, base, slope = np.arange(length) / rate, draw.choice([50, 60]), draw.uniform(0.5, 1.5)
    tones = [np.sin(2 * np.pi * (base * k * time + draw.random())) / k**slope for k in range(1, 9)]
    return np.sum(tones, axis=0) + 0.01 * draw.normal(size=length)


def _clicks(draw: Random, length: int, rate: int) -> np.ndarray:
    samples = 0.003 * draw.normal(size=length)
    for start in draw.integers(0, length, draw.integers(2, 12)):
        tail = np.arange(min(length - start, rate // 100))
        samples[start : start + len(tail)] += draw.normal(size=len(tail)) * np.exp(-tail / (0.001 * rate))
    return samples


def _rain(draw: Random, length: int, rate: int) -> np.ndarray:
    """A hiss that rises with frequency, and 80 short ringing drops a second."""
    samples = 0.1 * _falling(draw, length, rate, -0.3)
    for start in draw.integers(0, length, 80 * length // rate):
        tail = np.arange(min(length - start, rate // 50))
        pitch = draw.uniform(800, rate / 2.2)
        drop = np.sin(2 * np.pi * pitch * tail / rate) * np.exp(-tail / (0.003 * rate))
        samples[start : start + len(tail)] += draw.uniform(0, 0.5) * drop
    return samples


def _noise(draw: Random) -> np.ndarray:
    return draw.normal(128, draw.uniform(20, 90), (64, 64, 3))


def _flat(draw: Random) -> np.ndarray:
    return np.ones((64, 64, 3)) * draw.integers(0, 256, 3)


def _grating(draw: Random) -> np.ndarray:
    y, x = np.mgrid[:64, :64]
    angle, frequency = draw.uniform(0, np.pi), draw.uniform(0.02, 0.2)
    wave = np.sin(2 * np.pi * (frequency * (x * np.cos(angle) + y * np.sin(angle)) + draw.random()))
    return draw.integers(60, 196, 3) + draw.uniform(30, 90) * wave[..., None]


def _digit(draw: Random) -> np.ndarray:
    image = Image.new("RGB", (96, 96), tuple(draw.integers(0, 256, 3).tolist()))
    ImageDraw.Draw(image).text(
        (int(draw.integers(10, 35)), int(draw.integers(0, 20))),
        str(draw.integers(0, 10)),
        fill=tuple(draw.integers(0, 256, 3).tolist()),
        font=ImageFont.load_default(size=int(draw.integers(50, 85))),
    )
    return np.asarray(image)


def _photograph(draw: Random) -> np.ndarray:
    """A square of a temple or of a flower (scikit-learn's sample photographs), 64 px or larger."""
    from sklearn.datasets import load_sample_images

    photograph = load_sample_images().images[draw.integers(0, 2)]
    height, width = photograph.shape[:2]
    side = int(draw.integers(64, min(height, width)))
    top, left = draw.integers(0, height - side + 1), draw.integers(0, width - side + 1)
    return photograph[top : top + side, left : left + side]


_SOUNDS: dict[str, Callable[[Random, int, int], np.ndarray]] = {
    "white noise": _white,
    "silence": _silence,
    "brown noise": _brown,
    "hum": _hum,
    "clicks": _clicks,
    "rain": _rain,
}
_PICTURES: dict[str, Callable[[Random], np.ndarray]] = {
    "noise": _noise,
    "flat colors": _flat,
    "gratings": _grating,
    "rendered digits": _digit,
    "crops of photographs": _photograph,
}
