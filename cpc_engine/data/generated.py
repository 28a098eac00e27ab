"""Built-in data sets, which are synthesized and need no files.

Phase, level, noise, and other properties of each item are random. The random seed is (data.seed, name of the data set,
split), so a data set is reproducible and its splits are independent. Labels are balanced.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import cache

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional as F

from ..config import RunConfig
from .dataset import Dataset, Split
from .loading import Progress, check_memory
from .signals import KEYS, SHAPES, Array, check_rate, chirp, dtmf, key_pair, to_int16, tone
from .splits import chosen_classes, holdout, labels_tensor, take_validation

TONES = (220.0, 440.0, 880.0, 1760.0)  # Hz
TONE_NAMES = tuple(f"{hertz:.0f} Hz" for hertz in TONES)
BARS = {  # name: (direction of the wave in degrees, cycles per side)
    "wide horizontal": (90.0, 3.0),
    "narrow horizontal": (90.0, 7.0),
    "wide vertical": (0.0, 3.0),
    "narrow vertical": (0.0, 7.0),
}
BARS_SIDE, DIGIT_SIDE = 64, 32  # px
DETUNE = 0.02  # largest relative deviation of a tone's frequency
CHIRP_BASE, CHIRP_OCTAVES = (200.0, 500.0), (1.2, 2.0)  # Hz, octaves
_BLOCK = 256  # clips or images computed at once; bounds the memory for float intermediates

Rng = np.random.Generator
# (class indices (N,), generator) → clips (N, L) int16 or images (N, 3, H, W) uint8
Maker = Callable[[np.ndarray, Rng], np.ndarray]


def tones(config: RunConfig, device: torch.device | str, progress: Progress | None) -> Dataset:
    """Steady sine waves of four frequencies, one octave apart."""
    return _dataset(config, "tones", TONE_NAMES, audio=_tones_maker(config))


def chirps(config: RunConfig, device: torch.device | str, progress: Progress | None) -> Dataset:
    """Chirps of five shapes: up, down, hat, valley, and warble. Unlike in `tones`, the future differs from the past."""
    rate, length = config.audio.sample_rate, config.audio.clip_length
    check_rate("chirps", CHIRP_BASE[1] * 2 ** CHIRP_OCTAVES[1], rate)

    def make(labels: np.ndarray, rng: Rng) -> np.ndarray:
        base = CHIRP_BASE[0] * (CHIRP_BASE[1] / CHIRP_BASE[0]) ** rng.random(len(labels))
        octaves, phase = rng.uniform(*CHIRP_OCTAVES, len(labels)), rng.random(len(labels))
        wobble = rng.uniform(3, 7, len(labels))
        waves = np.empty((len(labels), length), np.float32)
        for label in np.unique(labels):
            rows = labels == label
            waves[rows] = chirp(SHAPES[label], base[rows], octaves[rows], phase[rows], wobble[rows], length, rate)
        return _finish_clips(waves, rng)

    return _dataset(config, "chirps", SHAPES, audio=make)


def bars(config: RunConfig, device: torch.device | str, progress: Progress | None) -> Dataset:
    """Images of gratings: wide or narrow, horizontal or vertical, in random colors."""
    return _dataset(config, "bars", tuple(BARS), image=_draw_bars)


def tones_bars(config: RunConfig, device: torch.device | str, progress: Progress | None) -> Dataset:
    """Pairs of a tone and a grating of the same class index. All other properties of the two are independent."""
    return _dataset(config, "tones_bars", TONE_NAMES, audio=_tones_maker(config), image=_draw_bars)


def keypad(config: RunConfig, device: torch.device | str, progress: Progress | None) -> Dataset:
    """Pairs of a telephone key's DTMF tones and a real handwritten digit. No image is in two splits."""
    classes = chosen_classes(config.data, tuple(KEYS))
    _check_size(config, "keypad", 2 * config.audio.clip_length + 3 * DIGIT_SIDE**2)
    images, digits = _handwritten()
    names = [f"digit {index}" for index in range(len(digits))]
    train_rows, test_rows = (np.array(rows) for rows in holdout(digits.tolist(), names, 0.3, config.data.seed))
    splits = {}
    for part, count, rows in (
        ("train", config.data.train_items, train_rows),
        ("test", config.data.test_items, test_rows),
    ):
        rng = _rng(config, "keypad", part)
        labels = _balanced_labels(len(classes), count, rng)
        keys = np.array([int(name) for name in classes])[labels]
        drawn = np.empty(count, np.int64)
        for key in np.unique(keys):  # use every image once before repeating any
            of_key, needed = rows[digits[rows] == key], int((keys == key).sum())
            rounds = [rng.permutation(of_key) for _ in range(-(-needed // len(of_key)))]
            drawn[keys == key] = np.concatenate(rounds)[:needed]
        splits[part] = Split(
            audio=_audio_tensor(_keypad_maker(config), keys, rng, config.audio.clip_length),
            image=images[torch.from_numpy(drawn)].expand(-1, 3, -1, -1).contiguous(),
            labels=labels_tensor(labels),
            names=tuple(f"keypad/{part}/{i}" for i in range(count)),
            groups=tuple(names[i] for i in drawn),
        )
    train, validation = take_validation(splits["train"], config.data)
    rate = config.audio.sample_rate
    return Dataset("keypad", classes, train, validation, splits["test"], rate, DIGIT_SIDE)


def _dataset(
    config: RunConfig, name: str, valid: tuple[str, ...], *, audio: Maker | None = None, image: Maker | None = None
) -> Dataset:
    """Synthesize all splits of a data set.

    Args:
        name: of the data set; also part of the random seed.
        valid: names of all its classes; `audio` and `image` receive indices into them.
        audio: makes the clips; None if the data set has no audio.
        image: makes the images; None if the data set has no images.

    Raises:
        ConfigError: a class does not exist.
        DataError: the items need too much memory.
    """
    classes = chosen_classes(config.data, valid)
    class_indices = np.array([valid.index(title) for title in classes])
    counts = {"train": config.data.train_items, "test": config.data.test_items}
    _check_size(config, name, (2 * config.audio.clip_length if audio else 0) + (3 * BARS_SIDE**2 if image else 0))
    splits = {}
    for part, count in counts.items():
        rng = _rng(config, name, part)
        labels = _balanced_labels(len(classes), count, rng)
        ids = tuple(f"{name}/{part}/{i}" for i in range(count))
        splits[part] = Split(
            audio=None if audio is None else _audio_tensor(audio, class_indices[labels], rng, config.audio.clip_length),
            image=None if image is None else _image_tensor(image, class_indices[labels], rng),
            labels=labels_tensor(labels),
            names=ids,
            groups=ids,
        )
    train, validation = take_validation(splits["train"], config.data)
    rate, side = (config.audio.sample_rate if audio else 0), (BARS_SIDE if image else 0)
    return Dataset(name, classes, train, validation, splits["test"], rate, side)


def _check_size(config: RunConfig, name: str, item_bytes: int) -> None:
    """Raise DataError if the items of both splits, each of so many bytes, need too much memory."""
    count = config.data.train_items + config.data.test_items
    check_memory(f"{name}: {count} items", count * item_bytes)


def _rng(config: RunConfig, name: str, part: str) -> Rng:
    """The random generator of one split of a data set."""
    return np.random.default_rng([config.data.seed, *name.encode(), *part.encode()])


def _balanced_labels(classes: int, count: int, rng: Rng) -> np.ndarray:
    """Labels (count,) from 0 to classes − 1 in random order, each about equally often."""
    return rng.permutation(np.arange(count) % classes)


def _audio_tensor(make: Maker, classes: np.ndarray, rng: Rng, length: int) -> Tensor:
    """Clips (N, L) int16 of the class indices (N,), made block by block."""
    clips = np.empty((len(classes), length), np.int16)
    for start in range(0, len(classes), _BLOCK):
        clips[start : start + _BLOCK] = make(classes[start : start + _BLOCK], rng)
    return torch.from_numpy(clips)


def _image_tensor(make: Maker, classes: np.ndarray, rng: Rng) -> Tensor:
    """Images (N, 3, side, side) uint8 of the class indices (N,), made block by block."""
    images = np.empty((len(classes), 3, BARS_SIDE, BARS_SIDE), np.uint8)
    for start in range(0, len(classes), _BLOCK):
        images[start : start + _BLOCK] = make(classes[start : start + _BLOCK], rng)
    return torch.from_numpy(images)


def _finish_clips(waves: Array, rng: Rng) -> np.ndarray:
    """Scale clips to a random level and add white noise.

    The level is −20 to −3 dB of full scale. The noise is 20 to 80 dB below it, from the quality of a noisy recording to
    that of a clean synthetic signal.

    Args:
        waves: (N, L) within ±1.

    Returns:
        (N, L) int16.
    """
    level = 10 ** (rng.uniform(-20, -3, (len(waves), 1)) / 20)
    noise_level = level * 10 ** (rng.uniform(-80, -20, (len(waves), 1)) / 20)
    noise = rng.standard_normal(waves.shape, dtype=np.float32)
    return to_int16(waves * level.astype(np.float32) + noise * noise_level.astype(np.float32))


def _tones_maker(config: RunConfig) -> Maker:
    """A function that makes clips of steady tones."""
    rate, length = config.audio.sample_rate, config.audio.clip_length
    check_rate("tones", TONES[-1] * (1 + DETUNE), rate)

    def make(labels: np.ndarray, rng: Rng) -> np.ndarray:
        pitch = np.array(TONES)[labels] * rng.uniform(1 - DETUNE, 1 + DETUNE, len(labels))
        return _finish_clips(tone(pitch, rng.random(len(labels)), length, rate), rng)

    return make


def _keypad_maker(config: RunConfig) -> Maker:
    """A function that makes clips of DTMF tones."""
    rate, length = config.audio.sample_rate, config.audio.clip_length
    check_rate("keypad", 1477.0, rate)
    pairs = np.array([key_pair(key) for key in KEYS])

    def make(keys: np.ndarray, rng: Rng) -> np.ndarray:
        count = len(keys)
        waves = dtmf(pairs[keys], rng.random((count, 2)), rng.uniform(-4, 4, count), length, rate)
        # The key is pressed before or after the start of the clip, and released before its end or not at all.
        onset, duration = rng.uniform(-0.2, 0.3, (count, 1)), rng.uniform(0.6, 1.4, (count, 1))
        u = np.arange(length) / length
        waves[(u < onset) | (u > onset + duration)] = 0
        return _finish_clips(waves, rng)

    return make


def _draw_bars(labels: np.ndarray, rng: Rng) -> np.ndarray:
    """Gratings (N, 3, side, side) uint8 between two random colors, with noise."""
    count = len(labels)
    degrees, cycles = np.array(list(BARS.values()), np.float32)[labels].T
    angle = np.deg2rad(degrees + rng.uniform(-6, 6, count))[:, None, None]
    y, x = np.mgrid[:BARS_SIDE, :BARS_SIDE] / BARS_SIDE
    along = np.cos(angle) * x + np.sin(angle) * y
    wave = 0.5 + 0.5 * np.sin(2 * np.pi * (cycles[:, None, None] * along + rng.random((count, 1, 1))))
    dark = rng.uniform(0, 0.4, (count, 3, 1, 1))
    contrast = rng.uniform(0.3, 0.6, (count, 3, 1, 1))
    noise = rng.standard_normal((count, 3, BARS_SIDE, BARS_SIDE), dtype=np.float32)
    images = dark + contrast * wave[:, None] + rng.uniform(0.01, 0.08, (count, 1, 1, 1)) * noise
    result: np.ndarray = np.clip(np.rint(255 * images), 0, 255).astype(np.uint8)
    return result


@cache
def _handwritten() -> tuple[Tensor, np.ndarray]:
    """Gray images (1797, 1, 32, 32) uint8 and digits (1797,) from scikit-learn's 8 × 8 px scans; not to be changed."""
    from sklearn.datasets import load_digits  # imported here because the import is slow

    scans = load_digits()
    small = torch.from_numpy(scans.images).float()[:, None] * (255 / 16)
    large = F.interpolate(small, size=(DIGIT_SIDE, DIGIT_SIDE), mode="bicubic", align_corners=False)
    return large.round().clamp(0, 255).to(torch.uint8), scans.target
