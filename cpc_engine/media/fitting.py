"""Decoded media to what the networks take: clips of one length and rate, square pictures of one side.

torch is imported where it is needed: the process that decodes strangers' bytes imports this package and starts fast.
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


def loudest_window(samples: np.ndarray, window: int) -> np.ndarray:
    """(window,) of `samples` (L,): the stretch with the most energy, or all of it centred between zeros."""
    if len(samples) <= window:
        left = (window - len(samples)) // 2
        return np.pad(samples, (left, window - len(samples) - left))
    energy = np.concatenate(([0.0], np.cumsum(np.square(samples, dtype=np.float64))))
    start = int(np.argmax(energy[window:] - energy[:-window]))
    return samples[start : start + window]


def native_window(rate: int, target_rate: int, length: int) -> int:
    """Samples at `rate` that become `length` samples at `target_rate` (rounded up)."""
    return math.ceil(length * rate / target_rate)


def fit_clips(
    clips: Sequence[tuple[np.ndarray, int]], target_rate: int, length: int, device: torch.device | str = "cpu"
) -> Tensor:
    """Clips of any length and rate as one block, resampled on `device`.

    A longer clip is cut to the window with the most energy, a shorter one is centred between zeros.

    Args:
        clips: n pairs of samples ((L,) float32 mono within ±1) and their rate in Hz.
        target_rate: in Hz.
        length: samples per clip at `target_rate`.

    Returns:
        (n, length) int16 on `device`.
    """
    import torch

    fitted = torch.zeros(len(clips), length, dtype=torch.int16, device=device)
    by_rate: dict[int, list[int]] = defaultdict(list)
    for row, (_, rate) in enumerate(clips):
        by_rate[rate].append(row)
    for rate, rows in by_rate.items():
        window = native_window(rate, target_rate, length)
        for start in range(0, len(rows), 256):  # bounds the memory of padding and resampling
            some = rows[start : start + 256]
            block = np.stack([loudest_window(clips[row][0], window) for row in some]).astype(np.float32, copy=False)
            resampled = _resample(torch.from_numpy(block).to(device), rate, target_rate)[:, :length]
            # 32768 lets 16-bit files at the target rate through unchanged
            levels = (resampled * 32768).round_().clamp_(-32768, 32767).to(torch.int16)
            fitted[torch.tensor(some, device=device), : levels.shape[1]] = levels
    return fitted


def fit_clip(samples: np.ndarray, rate: int, target_rate: int, length: int) -> np.ndarray:
    """(length,) int16: `fit_clips` of one clip, so that serving treats a sound as training did."""
    return fit_clips([(samples, rate)], target_rate, length)[0].numpy()


def _resample(clips: Tensor, rate: int, target_rate: int) -> Tensor:
    """(n, L) → (n, ≈ L · target_rate / rate)."""
    from torchaudio.functional import resample

    if rate == target_rate:
        return clips
    # The filter bank grows with both terms of the reduced ratio (44101 → 16000 Hz: 2.8 GB), so unusual rates are
    # approximated by terms up to 1000: at most 0.1 % off, less than two hundredths of a semitone.
    small, large = sorted((rate, target_rate))
    ratio = Fraction(small, large).limit_denominator(1000)
    terms = (ratio.numerator, ratio.denominator)
    old, new = terms if rate < target_rate else terms[::-1]
    return resample(clips, old, new)


def fit_picture(pixels: np.ndarray, side: int) -> Tensor:
    """(3, side, side) uint8 of (H, W, 3) uint8: the centre square, antialiased going down, bilinear going up."""
    import torch

    height, width = pixels.shape[:2]
    edge = min(height, width)
    left, top = (width - edge) // 2, (height - edge) // 2
    square = Image.fromarray(pixels[top : top + edge, left : left + edge])
    if edge != side:
        square = square.resize((side, side), Image.Resampling.BILINEAR)
    return torch.from_numpy(np.array(square)).permute(2, 0, 1).contiguous()
