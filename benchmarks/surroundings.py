"""Made-up sounds of surroundings, as hard to tell apart as recordings are: every one through a filter of its own, in
noise of its own, at a level of its own."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import soundfile

Random = np.random.Generator
RATE = 16_000  # Hz
SECONDS = 4
_LENGTH = SECONDS * RATE
_TIME = np.arange(_LENGTH) / RATE
_FILTER = np.log([20, 150, 500, 1500, 4000, 8000])  # log Hz at which a filter's level is drawn
_FILTER_DB = 12
_NOISE_DB = (-10, 6)  # of the noise above the sound


def write(folder: Path, each: int, seed: int) -> None:
    """`each` WAV files of every kind in `folder`/kind."""
    draw = np.random.default_rng(seed)
    for kind, make in KINDS.items():
        (folder / kind).mkdir(parents=True, exist_ok=True)
        for number in range(each):
            sound = _even(_filtered(draw, make(draw)))
            noise = _even(_filtered(draw, _falling(draw, 0.5)))
            mixed = sound + 10 ** (draw.uniform(*_NOISE_DB) / 20) * noise
            mixed *= 10 ** (-draw.uniform(0, 20) / 20) / np.abs(mixed).max()
            soundfile.write(folder / kind / f"{number:03d}.wav", mixed.astype(np.float32), RATE)


def _even(samples: np.ndarray) -> np.ndarray:
    """At power 1."""
    return samples / np.sqrt(np.square(samples).mean())


def _filtered(draw: Random, samples: np.ndarray) -> np.ndarray:
    """Through a random smooth filter: another microphone, another place."""
    level = draw.uniform(-_FILTER_DB, _FILTER_DB, len(_FILTER))
    frequency = np.log(np.maximum(np.fft.rfftfreq(len(samples), 1 / RATE), 20))
    return np.fft.irfft(np.fft.rfft(samples) * 10 ** (np.interp(frequency, _FILTER, level) / 20), len(samples))


def _falling(draw: Random, power: float) -> np.ndarray:
    """Noise within ±1 whose amplitude falls with frequency to the given power."""
    spectrum = np.fft.rfft(draw.normal(size=_LENGTH))
    noise = np.fft.irfft(spectrum * np.maximum(np.fft.rfftfreq(_LENGTH, 1 / RATE), 20) ** -power, _LENGTH)
    return noise / np.abs(noise).max()


def _wave(draw: Random, low: float, high: float) -> np.ndarray:
    """A slow sine within 0 and 1, of low to high Hz."""
    return 0.5 + 0.5 * np.sin(2 * np.pi * (draw.uniform(low, high) * _TIME + draw.random()))


def _placed(starts: np.ndarray, event: Callable[[], np.ndarray]) -> np.ndarray:
    """Events at seconds `starts`, over each other where they meet."""
    samples = np.zeros(2 * _LENGTH)
    for start in (starts[(starts >= 0) & (starts < SECONDS)] * RATE).astype(int):
        made = event()
        samples[start : start + len(made)] += made
    return samples[:_LENGTH]


def _scattered(draw: Random, per_second: float) -> np.ndarray:
    return draw.uniform(0, SECONDS, draw.poisson(SECONDS * per_second) + 1)


def _beats(draw: Random, shortest: float, longest: float) -> np.ndarray:
    """A period of its own, kept to a twentieth."""
    period = draw.uniform(shortest, longest)
    count = int(SECONDS / period) + 2
    return period * (draw.random() + np.arange(count)) + 0.05 * period * draw.normal(size=count)


def _fading(draw: Random, seconds: float) -> np.ndarray:
    return draw.uniform(0.3, 1) * np.exp(-np.arange(int(5 * seconds * RATE) + 8) / (seconds * RATE))


def _ring(draw: Random, hertz: float, seconds: float) -> np.ndarray:
    envelope = _fading(draw, seconds)
    return envelope * np.sin(2 * np.pi * hertz * np.arange(len(envelope)) / RATE)


def _burst(draw: Random, seconds: float) -> np.ndarray:
    envelope = _fading(draw, seconds)
    return envelope * draw.normal(size=len(envelope))


def _rain(draw: Random) -> np.ndarray:
    drops = _placed(_scattered(draw, draw.uniform(60, 200)), lambda: _ring(draw, draw.uniform(800, 7000), 0.003))
    return 0.2 * _falling(draw, -0.2) + drops


def _wind(draw: Random) -> np.ndarray:
    gusts = np.interp(_TIME, np.arange(9) * 0.5, draw.random(9))
    return _falling(draw, draw.uniform(0.5, 1)) * (0.4 + gusts)


def _sea(draw: Random) -> np.ndarray:
    return _falling(draw, draw.uniform(0.2, 0.8)) * (0.3 + 0.7 * _wave(draw, 0.2, 0.5) ** 2)


def _engine(draw: Random) -> np.ndarray:
    speed = draw.uniform(25, 110) * (1 + 0.1 * np.interp(_TIME, np.arange(5), draw.normal(size=5)))
    phase, slope = 2 * np.pi * np.cumsum(speed) / RATE, draw.uniform(0.4, 1.2)
    tones = [np.sin(k * phase + 2 * np.pi * draw.random()) / k**slope for k in range(1, 20)]
    return np.sum(tones, axis=0) + 0.3 * _falling(draw, 0.5)


def _crickets(draw: Random) -> np.ndarray:
    tone = np.sin(2 * np.pi * draw.uniform(2500, 5500) * _TIME)
    return tone * _wave(draw, 12, 40) * (_wave(draw, 1, 3) > 0.4)


def _bird(draw: Random) -> np.ndarray:
    def call() -> np.ndarray:
        length = int(draw.uniform(0.05, 0.25) * RATE)
        u = np.arange(length) / length
        trill = draw.choice([0, 0.1]) * np.sin(2 * np.pi * draw.uniform(3, 9) * u)
        hertz = draw.uniform(1500, 5000) * 2 ** (draw.uniform(-0.8, 0.8) * u + trill)
        return np.hanning(length) * np.sin(2 * np.pi * np.cumsum(hertz) / RATE)

    return _placed(_scattered(draw, draw.uniform(1.5, 5)), call)


def _footsteps(draw: Random) -> np.ndarray:
    seconds = draw.uniform(0.01, 0.04)
    return _placed(_beats(draw, 0.35, 0.7), lambda: np.convolve(_burst(draw, seconds), np.ones(24) / 24))


def _clock(draw: Random) -> np.ndarray:
    hertz, seconds = draw.uniform(1500, 5000), draw.uniform(0.003, 0.01)
    return _placed(_beats(draw, 0.25, 1), lambda: _ring(draw, hertz, seconds))


def _siren(draw: Random) -> np.ndarray:
    hertz = draw.uniform(500, 1000) * 2 ** (draw.uniform(0.5, 1) * _wave(draw, 0.3, 2.5))
    phase = 2 * np.pi * np.cumsum(hertz) / RATE
    return np.sum([np.sin(k * phase) / k for k in (1, 2, 3)], axis=0)


def _fire(draw: Random) -> np.ndarray:
    crackles = _placed(_scattered(draw, draw.uniform(6, 25)), lambda: _burst(draw, draw.uniform(0.001, 0.006)))
    return 0.1 * _falling(draw, 0.6) + crackles


def _saw(draw: Random) -> np.ndarray:
    strokes = np.abs(np.sin(np.pi * (draw.uniform(1, 3) * _TIME + draw.random())))
    return _falling(draw, draw.uniform(-0.3, 0.3)) * strokes


KINDS: dict[str, Callable[[Random], np.ndarray]] = {
    "bird": _bird,
    "clock": _clock,
    "crickets": _crickets,
    "engine": _engine,
    "fire": _fire,
    "footsteps": _footsteps,
    "rain": _rain,
    "saw": _saw,
    "sea": _sea,
    "siren": _siren,
    "wind": _wind,
}
