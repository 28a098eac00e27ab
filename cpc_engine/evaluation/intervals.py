"""Confidence intervals of an accuracy: over test items, over seeds, and over both or seeds and folds."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]
Cells = Mapping[int, Sequence[Floats]]  # {seed: one array of values per test item, for each fold}


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


def single_values(values: Mapping[int, float]) -> dict[int, list[Floats]]:
    """Return {seed: value} as `Cells` of one value each, whose interval is that over seeds alone."""
    return {seed: [np.array([value], dtype=np.float64)] for seed, value in values.items()}


def from_digits(digits: str) -> Floats:
    """Return values (N,) from one digit per item, "1" where it is right and "0" where it is wrong.

    Example:
        >>> from_digits("101").tolist()
        [1.0, 0.0, 1.0]
    """
    return np.frombuffer(digits.encode(), dtype=np.uint8) - np.float64(ord("0"))


def half_widths(values: Floats) -> Floats:
    """Return the half widths (…) of the 95 % Student-t intervals of means over the first axis of values (n, …), n ≥ 2.

    Example:
        >>> half_widths(np.array([[0.80, 1.0], [0.82, 1.0], [0.84, 1.0]])).round(3).tolist()
        [0.05, 0.0]
    """
    from scipy.special import stdtrit

    half: Floats = stdtrit(len(values) - 1, 0.975) * np.std(values, axis=0, ddof=1) / math.sqrt(len(values))
    return half


# Added to the variance between items: one more item, at distance 1 from the mean. Without it an accuracy of 100 % would
# have no interval, and those near it too narrow ones (as the four items of Agresti & Coull 1998 do for one proportion).
_SPARE = 1


@dataclass(frozen=True)
class Estimate:
    """A mean with its standard error by components of variance.

    Attributes:
        mean: over seeds and folds of the mean over items.
        error: standard error of `mean`; None where it cannot be known, from one seed.
        freedom: Satterthwaite's degrees of freedom of `error`².
        covers: what would vary in a repetition: "seeds", "seeds × items", or "seeds × folds".
    """

    mean: float
    error: float | None
    freedom: float
    covers: str

    @property
    def half(self) -> float | None:
        """Half width of the 95 % Student-t interval."""
        from scipy.special import stdtrit

        return None if self.error is None else float(stdtrit(self.freedom, 0.975)) * self.error if self.error else 0.0

    @property
    def p(self) -> float | None:
        """Two-sided p value of a true mean of 0."""
        from scipy.special import stdtr

        if self.error is None:
            return None
        if self.error == 0:
            return 0.0 if abs(self.mean) > 1e-12 else 1.0  # a smaller one is rounding
        return float(2 * stdtr(self.freedom, -abs(self.mean) / self.error))


def hierarchical_interval(cells: Cells, folds: str = "folds") -> Estimate:
    """Estimate a mean accuracy, or a mean difference of accuracies, with the choice of seeds and of items or folds.

    Seeds and items (of one fold), or seeds and folds, are two crossed random effects without repetition. With the mean
    squares of the two-way table, V = V_seeds + V_items − V_interaction, and not less than either of the first two
    (Searle, Casella & McCulloch 1992, *Variance Components*, chapter 4; degrees of freedom by Satterthwaite 1946). The
    variance between folds includes that of their items. One value for each seed gives the interval over seeds alone.

    Args:
        cells: {seed: one array of values per item, for each fold}. Items may differ between folds; in one fold they are
            the same, in the same order, for all seeds.
        folds: what the folds are, in the plural, for `Estimate.covers`.

    Raises:
        ValueError: no seeds, no items, or seeds with other folds or another number of items.

    Example:
        >>> right = {0: [np.array([1.0, 1, 1, 0])], 1: [np.array([1.0, 1, 0, 0])], 2: [np.array([1.0, 1, 1, 0])]}
        >>> found = hierarchical_interval(right)
        >>> round(found.mean, 3), found.covers, round(found.error, 3)
        (0.667, 'seeds × items', 0.289)
        >>> hierarchical_interval({0: [np.array([0.80])], 1: [np.array([0.82])]}).covers
        'seeds'
    """
    shapes = {tuple(len(values) for values in row) for row in cells.values()}
    if len(shapes) != 1 or not (shape := next(iter(shapes))) or 0 in shape:
        raise ValueError(f"every seed needs the same folds with the same items, not {sorted(shapes)}")
    means = np.array([[np.mean(values) for values in row] for row in cells.values()], dtype=np.float64)
    table = means if len(shape) > 1 else np.array([row[0] for row in cells.values()], dtype=np.float64)
    other = folds if len(shape) > 1 else "items"
    covers = "seeds" if table.shape[1] == 1 else f"seeds × {other}"
    mean = float(means.mean())
    if len(table) == 1:
        return Estimate(mean, None, 0.0, covers)
    error, freedom = _crossed(table, _SPARE if other == "items" else 0)
    return Estimate(mean, error, freedom, covers)


def combined(estimates: Sequence[Estimate], weights: Sequence[float]) -> Estimate:
    """Return the weighted sum of independent means, without assuming equal variances (Welch 1947, Biometrika 34).

    Raises:
        ValueError: an estimate has no standard error.

    Example:
        >>> a, b = Estimate(0.9, 0.03, 4.0, "seeds"), Estimate(0.8, 0.04, 4.0, "seeds")
        >>> found = combined([a, b], [1, -1])
        >>> round(found.mean, 3), round(found.error, 3), round(found.freedom, 2)
        (0.1, 0.05, 7.42)
    """
    if any(found.error is None for found in estimates):
        raise ValueError("every estimate needs a standard error")
    squared = [(weight * (found.error or 0.0)) ** 2 for found, weight in zip(estimates, weights, strict=True)]
    spread = sum(part**2 / found.freedom for part, found in zip(squared, estimates, strict=True))
    freedom = sum(squared) ** 2 / spread if spread else sum(found.freedom for found in estimates)
    mean = sum(weight * found.mean for found, weight in zip(estimates, weights, strict=True))
    covers = "; ".join(dict.fromkeys(found.covers for found in estimates))
    return Estimate(mean, math.sqrt(sum(squared)), freedom, covers)


def _crossed(table: Floats, spare: int) -> tuple[float, float]:
    """Return (standard error of the mean, degrees of freedom) of a table (seeds, units), ≥ 2 seeds, both random.

    `spare` units at distance 1 from the mean are added to the variance between units.
    """
    seeds, units = table.shape
    of_seeds = float(table.mean(1).var(ddof=1)) / seeds
    if units == 1:
        return math.sqrt(of_seeds), seeds - 1.0
    squares = float(((table.mean(0) - table.mean()) ** 2).sum()) + spare
    of_units = squares / (units + spare - 1) / (units + spare)
    rest = table - table.mean(1, keepdims=True) - table.mean(0) + table.mean()
    of_rest = float((rest**2).sum()) / ((seeds - 1) * (units - 1)) / table.size
    parts = ((of_seeds, seeds - 1), (of_units, units - 1), (of_rest, (seeds - 1) * (units - 1)))
    variance, floor = of_seeds + of_units - of_rest, max(parts[:2])
    if variance <= floor[0]:
        return math.sqrt(floor[0]), float(floor[1])
    return math.sqrt(variance), variance**2 / sum(part**2 / freedom for part, freedom in parts)
