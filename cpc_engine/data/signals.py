"""Synthesize audio: steady tones, chirps, and telephone key tones (DTMF).

Used by the built-in data sets and by `synthesize`. Shapes: N clips of L samples. Waveforms are float32 within ±1 before
level and noise are applied.
"""

from __future__ import annotations

from typing import Literal

import numpy as np
import numpy.typing as npt

from ..errors import ConfigError
from ..settings import unknown

Array = npt.NDArray[np.floating]
Wave = Literal["tone", "chirp", "dtmf"]
SHAPES = ("up", "down", "hat", "valley", "warble")
KEYS = "0123456789"
_ROWS, _COLUMNS = (697.0, 770.0, 852.0, 941.0), (1209.0, 1336.0, 1477.0)  # Hz, ITU-T Q.23


def key_pair(key: str) -> tuple[float, float]:
    """Return the (low, high) DTMF frequencies in Hz of a telephone key "0" to "9".

    Example:
        >>> key_pair("5")
        (770.0, 1336.0)
    """
    if key not in KEYS or len(key) != 1:
        raise unknown("key", key, KEYS)
    row, column = (3, 1) if key == "0" else divmod(int(key) - 1, 3)
    return _ROWS[row], _COLUMNS[column]


def check_rate(name: str, highest: float, rate: int) -> None:
    """Raise ConfigError if a frequency of `highest` Hz is too high for a sample rate of `rate` Hz (aliasing)."""
    if 2.1 * highest > rate:
        raise ConfigError(f"{name} reaches {highest:.0f} Hz and needs audio.sample_rate of {2.1 * highest:.0f} or more")


def tone(frequency: Array, phase: Array, length: int, rate: int) -> Array:
    """Steady sine waves (N, L).

    Args:
        frequency: (N,) in Hz.
        phase: (N,) in turns.
        length: samples L.
        rate: sample rate in Hz.

    Example:
        >>> tone(np.array([1.0]), np.array([0.125]), length=4, rate=4).round(3)
        array([[ 0.707,  0.707, -0.707, -0.707]], dtype=float32)
    """
    return _sine(frequency[:, None] * (np.arange(length) / rate) + phase[:, None])


def dtmf(pair: Array, phase: Array, twist_db: Array, length: int, rate: int) -> Array:
    """DTMF tones (N, L), each the sum of two sine waves.

    Args:
        pair: (N, 2) low and high frequency in Hz.
        phase: (N, 2) in turns.
        twist_db: (N,) level of the high tone relative to the low tone in dB.
        length: samples L.
        rate: sample rate in Hz.
    """
    low, high = (tone(pair[:, i], phase[:, i], length, rate) for i in (0, 1))
    ratio = (10 ** (twist_db / 20))[:, None].astype(np.float32)
    return (low + ratio * high) / (1 + ratio)


def chirp(shape: str, base: Array, octaves: Array, phase: Array, wobble: Array, length: int, rate: int) -> Array:
    """Sine waves (N, L) whose frequency moves between `base` and `octaves` above it.

    Args:
        shape: "up", "down", "hat" (up, then down), "valley" (down, then up), or "warble" (up and down repeatedly).
        base: (N,) lowest frequency in Hz.
        octaves: (N,) frequency range in octaves.
        phase: (N,) in turns.
        wobble: (N,) rate of "warble" in Hz; not used by the other shapes.
        length: samples L.
        rate: sample rate in Hz.
    """
    if shape == "warble":
        cycles = wobble[:, None] * (np.arange(length) / rate) + phase[:, None]
        height = 0.5 + 0.5 * _sine(cycles)
    else:
        height = _ramp(shape, np.arange(length) / max(length - 1, 1))[None]
    hertz = base[:, None] * np.exp2(octaves[:, None] * height)
    return _sine(np.cumsum(hertz, axis=1) / rate + phase[:, None])


def _ramp(shape: str, u: Array) -> Array:
    """Pitch contour from 0 (lowest) to 1 (highest) over time `u`, which runs from 0 to 1."""
    bend = np.abs(2 * u - 1)
    ramps = {"up": u, "down": 1 - u, "hat": 1 - bend, "valley": bend}
    if shape not in ramps:
        raise unknown("chirp", shape, SHAPES)
    return ramps[shape]


def _sine(turns: Array) -> Array:
    # Whole turns are subtracted in float64 first: float32 alone would lose the phase of long clips.
    return np.sin((2 * np.pi * (turns - np.floor(turns))).astype(np.float32))


def to_int16(waves: Array) -> npt.NDArray[np.int16]:
    """Convert waveforms within ±1 to int16, with clipping.

    Example:
        >>> to_int16(np.array([-1.0, 0.5, 1.0])).tolist()
        [-32768, 16384, 32767]
    """
    return np.clip(np.rint(waves * 32768), -32768, 32767).astype(np.int16)


def synthesize(
    kind: Wave,
    *,
    frequency: float = 440.0,
    shape: str = "up",
    octaves: float = 1.5,
    wobble: float = 5.0,
    key: str = "5",
    level_db: float = -6.0,
    noise: float = 0.0,
    seconds: float = 1.0,
    rate: int = 16000,
    seed: int = 0,
) -> npt.NDArray[np.float32]:
    """Synthesize one audio clip.

    Args:
        kind: "tone" (uses `frequency`), "chirp" (`frequency`, `shape`, `octaves`, `wobble`), or "dtmf" (`key`).
        frequency: in Hz; the lowest frequency of a chirp.
        shape: contour of a chirp, see `chirp`.
        octaves: frequency range of a chirp.
        wobble: rate of a "warble" chirp in Hz.
        key: telephone key "0" to "9".
        level_db: level in dB relative to full scale.
        noise: standard deviation of added white noise.
        seconds: duration in s.
        rate: sample rate in Hz.
        seed: random seed for phase and noise.

    Returns:
        (L,) float32 within ±1, L = round(seconds · rate).

    Raises:
        ConfigError: the kind, shape, or key does not exist, or the frequency is too high for the sample rate.

    Example:
        >>> synthesize("chirp", shape="up", seconds=0.5, rate=8000).shape
        (4000,)
    """
    rng, length = np.random.default_rng(seed), round(seconds * rate)
    phase = rng.random(2)
    if kind == "tone":
        check_rate("the tone", frequency, rate)
        wave = tone(np.array([frequency]), phase[:1], length, rate)
    elif kind == "chirp":
        check_rate("the chirp", frequency * 2**octaves, rate)
        base, height, wobbles = (np.array([value]) for value in (frequency, octaves, wobble))
        wave = chirp(shape, base, height, phase[:1], wobbles, length, rate)
    elif kind == "dtmf":
        pair = key_pair(key)
        check_rate("the key", pair[1], rate)
        wave = dtmf(np.array([pair]), phase[None], np.zeros(1), length, rate)
    else:
        raise unknown("kind of sound", kind, ("tone", "chirp", "dtmf"))
    wave = wave[0] * 10 ** (level_db / 20) + noise * rng.standard_normal(length, dtype=np.float32)
    result: npt.NDArray[np.float32] = np.clip(wave, -1, 1).astype(np.float32)
    return result
