"""Convert decoded media to the input format of the networks: clips of one length and rate, square images of one size.

PyTorch is imported inside functions, because the sandbox worker imports this package and has to start quickly.
"""

from __future__ import annotations

import math
from collections import defaultdict
from collections.abc import Sequence
from fractions import Fraction
from typing import TYPE_CHECKING

import numpy as np
from PIL import Image

if TYPE_CHECKING:
    import torch
    from torch import Tensor

# A long Kaiser-windowed sinc. The short filter that torchaudio takes by default lets frequencies just above half the
# target rate through at −8 to −17 dB, where they alias, and dampens those below it.
_FILTER = {
    "resampling_method": "sinc_interp_kaiser",
    "lowpass_filter_width": 64,
    "rolloff": 0.9476,
    "beta": 14.77,
}


def loudest_window(samples: np.ndarray, window: int) -> np.ndarray:
    """Cut out the stretch with the most energy.

    Args:
        samples: (L,) mono.
        window: samples to return.

    Returns:
        (window,); if L < window, all samples, centered and padded with zeros.

    Example:
        >>> loudest_window(np.array([0.0, 0.1, 0.9, 0.8]), 2).tolist(), loudest_window(np.array([0.5]), 3).tolist()
        ([0.9, 0.8], [0.0, 0.5, 0.0])
    """
    if len(samples) <= window:
        left = (window - len(samples)) // 2
        return np.pad(samples, (left, window - len(samples) - left))
    energy = np.concatenate(([0.0], np.cumsum(np.square(samples, dtype=np.float64))))
    start = int(np.argmax(energy[window:] - energy[:-window]))
    return samples[start : start + window]


def native_window(rate: int, target_rate: int, length: int) -> int:
    """Number of samples at `rate` that become `length` samples at `target_rate`, rounded up.

    Example:
        >>> native_window(44100, 16000, 16000)
        44100
    """
    return math.ceil(length * rate / target_rate)


def fit_recordings(
    clips: Sequence[tuple[np.ndarray, int]],
    target_rate: int,
    shortest: int,
    longest: int,
    device: torch.device | str = "cpu",
) -> tuple[Tensor, Tensor]:
    """Resample recordings of any length and rate to one rate.

    A recording longer than `longest` is cut to the window with the most energy. One shorter than `shortest` is centered
    and padded with zeros. Between them, zeros at the beginning and the end are cut off first.

    Args:
        clips: n pairs of samples ((L,) float32 mono within ±1) and sample rate in Hz.
        target_rate: sample rate of the result in Hz.
        shortest, longest: bounds of the length in samples at `target_rate`.
        device: device to resample on.

    Returns:
        (n, W) int16, padded with zeros at the end, and (n,) int64 lengths, both on `device`; W is the largest length.

    Example:
        >>> values, lengths = fit_recordings([(np.ones(16000, np.float32), 8000)], 8000, shortest=8000, longest=12000)
        >>> values.shape, lengths
        (torch.Size([1, 12000]), tensor([12000]))
    """
    import torch

    fitted: list[Tensor] = [torch.zeros(0)] * len(clips)
    by_rate: dict[int, list[int]] = defaultdict(list)
    for row, (_, rate) in enumerate(clips):
        by_rate[rate].append(row)
    for rate, rows in by_rate.items():
        bounds = native_window(rate, target_rate, shortest), native_window(rate, target_rate, longest)
        for start in range(0, len(rows), 256):  # bounds the memory for padding and resampling
            cuts = [_between(clips[row][0], *bounds) for row in rows[start : start + 256]]
            block = np.zeros((len(cuts), max(map(len, cuts))), np.float32)
            for padded, samples in zip(block, cuts, strict=True):
                padded[: len(samples)] = samples
            resampled = _resample(torch.from_numpy(block).to(device), rate, target_rate)
            # with a factor of 32768, 16-bit files at the target rate are kept exactly
            levels = (resampled * 32768).round_().clamp_(-32768, 32767).to(torch.int16)
            for row, line, samples in zip(rows[start : start + 256], levels, cuts, strict=True):
                length = min(max(len(samples) * target_rate // rate, shortest), longest)
                fitted[row] = line[:length]
    lengths = torch.tensor([max(len(line), shortest) for line in fitted], dtype=torch.int64, device=device)
    values = torch.zeros(len(clips), int(lengths.amax()) if clips else shortest, dtype=torch.int16, device=device)
    for row, recording in zip(values, fitted, strict=True):
        row[: len(recording)] = recording
    return values, lengths


def fit_clips(
    clips: Sequence[tuple[np.ndarray, int]], target_rate: int, length: int, device: torch.device | str = "cpu"
) -> Tensor:
    """Resample clips of any length and rate to one length and rate, as `fit_recordings` does.

    Returns:
        (n, length) int16 on `device`.

    Example:
        >>> fit_clips([(np.zeros(44100, np.float32), 44100), (np.zeros(800, np.float32), 8000)], 16000, 16000).shape
        torch.Size([2, 16000])
    """
    return fit_recordings(clips, target_rate, length, length, device)[0]


def _between(samples: np.ndarray, shortest: int, longest: int) -> np.ndarray:
    """Bring samples to a length between two bounds, in samples at their own rate."""
    if shortest < len(samples) and shortest < longest:
        sounding = np.flatnonzero(samples)
        if len(sounding):
            samples = samples[sounding[0] : sounding[-1] + 1]
    return loudest_window(samples, min(max(len(samples), shortest), longest))


def _resample(clips: Tensor, rate: int, target_rate: int) -> Tensor:
    """Resample clips (n, L) at `rate` to (n, ≈ L · target_rate / rate)."""
    # The whole of it: a part, imported while another thread imports the whole, would leave one with half a module.
    import torchaudio

    if rate == target_rate:
        return clips
    # The resampling filter grows with both terms of the reduced ratio of the rates (2.8 GB for 44101 → 16000 Hz).
    # Unusual ratios are therefore approximated with terms up to 1000. The error is at most 0.1 %, that is, less than
    # 0.02 semitones.
    small, large = sorted((rate, target_rate))
    ratio = Fraction(small, large).limit_denominator(1000)
    terms = (ratio.numerator, ratio.denominator)
    old, new = terms if rate < target_rate else terms[::-1]
    result: Tensor = torchaudio.functional.resample(clips, old, new, **_FILTER)
    return result


def fit_picture(pixels: np.ndarray, side: int) -> Tensor:
    """Crop an image to its center square and resize it bilinearly (with antialiasing when it shrinks).

    Args:
        pixels: (H, W, 3) uint8.
        side: height and width of the result in px.

    Returns:
        (3, side, side) uint8.

    Example:
        >>> fit_picture(np.zeros((30, 40, 3), np.uint8), 32).shape
        torch.Size([3, 32, 32])
    """
    import torch

    height, width = pixels.shape[:2]
    edge = min(height, width)
    left, top = (width - edge) // 2, (height - edge) // 2
    square = Image.fromarray(pixels[top : top + edge, left : left + edge])
    if edge != side:
        square = square.resize((side, side), Image.Resampling.BILINEAR)
    return torch.from_numpy(np.array(square)).permute(2, 0, 1).contiguous()
