"""Confidence intervals of an accuracy on test items and of a mean over seeds."""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]


def wilson_interval(correct: int, n: int, z: float = 1.96) -> tuple[float, float]:
    """Return the Wilson score interval (low, high) of an accuracy: 95 % at z = 1.96.

    It covers the choice of test items; `mean_interval` covers the choice of seed.

    Args:
        correct: number of correct items. n: number of items; the interval is (0, 1) for 0 items.
        z: quantile of the standard normal distribution.

    Example:
        >>> low, high = wilson_interval(90, 100)
        >>> round(low, 3), round(high, 3)
        (0.826, 0.945)
    """
    if not 0 <= correct <= n:
        raise ValueError(f"{correct} right of {n} is no share")
    if n == 0:
        return 0.0, 1.0
    share, correction = correct / n, z * z / n
    center = (share + correction / 2) / (1 + correction)
    half = z * math.sqrt(share * (1 - share) / n + correction / n / 4) / (1 + correction)
    return max(0.0, center - half), min(1.0, center + half)


def mean_interval(values: Sequence[float]) -> tuple[float, float | None]:
    """Return (mean, half width of its 95 % Student-t interval) over seeds; the half width of one value is None.

    Example:
        >>> mean, half = mean_interval([0.80, 0.82, 0.84])
        >>> round(mean, 3), round(half, 3)
        (0.82, 0.05)
        >>> mean_interval([0.8])
        (0.8, None)
    """
    if not values:
        raise ValueError("no values to average")
    mean = float(np.mean(values))
    return mean, float(half_widths(np.asarray(values, dtype=np.float64))) if len(values) > 1 else None


def half_widths(values: Floats) -> Floats:
    """Return the half widths (…) of the 95 % Student-t intervals of means over the first axis of values (n, …), n ≥ 2.

    Example:
        >>> half_widths(np.array([[0.80, 1.0], [0.82, 1.0], [0.84, 1.0]])).round(3).tolist()
        [0.05, 0.0]
    """
    from scipy.special import stdtrit

    half: Floats = stdtrit(len(values) - 1, 0.975) * np.std(values, axis=0, ddof=1) / math.sqrt(len(values))
    return half
