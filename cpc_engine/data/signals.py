"""Sounds made from formulas; rows of a block are clips. Used by the built-in data sets and by a synthesiser.

Shapes: N clips of L samples. Every function returns float32 within ±1 before level and noise are applied.
"""

from __future__ import annotations

from typing import Literal

import numpy as np
import numpy.typing as npt

from ..errors import ConfigError
from ..knobs import unknown

Array = npt.NDArray[np.floating]
Wave = Literal["tone", "chirp", "dtmf"]
SHAPES = ("up", "down", "hat", "valley", "warble")
KEYS = "0123456789"
_ROWS, _COLUMNS = (697.0, 770.0, 852.0, 941.0), (1209.0, 1336.0, 1477.0)  # Hz, ITU-T Q.23


def key_pair(key: str) -> tuple[float, float]:
    """(low, high) frequency in Hz of a telephone key "0" to "9"."""
    if key not in KEYS or len(key) != 1:
        raise unknown("key", key, KEYS)
    row, column = (3, 1) if key == "0" else divmod(int(key) - 1, 3)
    return _ROWS[row], _COLUMNS[column]


def check_rate(name: str, highest: float, rate: int) -> None:
    """Raises ConfigError where `highest` Hz would alias at `rate`."""
    if 2.1 * highest > rate:
        raise ConfigError(f"{name} reaches {highest:.0f} Hz and needs audio.sample_rate of {2.1 * highest:.0f} or more")


def tone(frequency: Array, phase: Array, length: int, rate: int) -> Array:
    """(N, L) steady sines; frequency in Hz and phase in turns are (N,)."""
    return _sine(frequency[:, None] * (np.arange(length) / rate) + phase[:, None])


def dtmf(pair: Array, phase: Array, twist_db: Array, length: int, rate: int) -> Array:
    """(N, L) two sines; pair in Hz and phase in turns are (N, 2), twist_db (N,) is high above low."""
    low, high = (tone(pair[:, i], phase[:, i], length, rate) for i in (0, 1))
    ratio = (10 ** (twist_db / 20))[:, None].astype(np.float32)
    return (low + ratio * high) / (1 + ratio)


def chirp(shape: str, base: Array, octaves: Array, phase: Array, wobble: Array, length: int, rate: int) -> Array:
    """(N, L) moving sines from `base` Hz to `octaves` above it.

    Args:
        shape: "up", "down", "hat" (up then down), "valley" (down then up) or "warble" (`wobble` times a second).
        base, octaves, phase, wobble: (N,); phase in turns, wobble in Hz.
    """
    if shape == "warble":
        cycles = wobble[:, None] * (np.arange(length) / rate) + phase[:, None]
        height = 0.5 + 0.5 * _sine(cycles)
    else:
        height = _ramp(shape, np.arange(length) / max(length - 1, 1))[None]
    hertz = base[:, None] * np.exp2(octaves[:, None] * height)
    return _sine(np.cumsum(hertz, axis=1) / rate + phase[:, None])


def _ramp(shape: str, u: Array) -> Array:
    """Height 0 to 1 over the clip's time u, 0 to 1."""
    bend = np.abs(2 * u - 1)
    ramps = {"up": u, "down": 1 - u, "hat": 1 - bend, "valley": bend}
    if shape not in ramps:
        raise unknown("chirp", shape, SHAPES)
    return ramps[shape]


def _sine(turns: Array) -> Array:
    # float32 alone would lose the phase of long clips; the whole turns go first
    return np.sin((2 * np.pi * (turns - np.floor(turns))).astype(np.float32))


def to_int16(waves: Array) -> npt.NDArray[np.int16]:
    """Full scale ±1 to int16, as the decoder's clips are stored."""
    return np.clip(np.rint(waves * 32768), -32768, 32767).astype(np.int16)


def synthesise(
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
    """One clip (L,) within ±1, L = round(seconds · rate).

    Args:
        kind: "tone" (frequency), "chirp" (frequency is its lowest; shape, octaves, wobble) or "dtmf" (key).
        level_db: of full scale. noise: standard deviation of added white noise. seed: of phase and noise.

    Raises:
        ConfigError: an unknown kind, shape or key, or a pitch too high for the rate.
    """
    rng, length = np.random.default_rng(seed), round(seconds * rate)
    phase = rng.random(2)
    if kind == "tone":
        check_rate("the tone", frequency, rate)
        wave = tone(np.array([frequency]), phase[:1], length, rate)
    elif kind == "chirp":
        check_rate("the chirp", frequency * 2**octaves, rate)
        base, span, wobbles = (np.array([value]) for value in (frequency, octaves, wobble))
        wave = chirp(shape, base, span, phase[:1], wobbles, length, rate)
    elif kind == "dtmf":
        pair = key_pair(key)
        check_rate("the key", pair[1], rate)
        wave = dtmf(np.array([pair]), phase[None], np.zeros(1), length, rate)
    else:
        raise unknown("kind of sound", kind, ("tone", "chirp", "dtmf"))
    wave = wave[0] * 10 ** (level_db / 20) + noise * rng.standard_normal(length, dtype=np.float32)
    return np.clip(wave, -1, 1).astype(np.float32)
