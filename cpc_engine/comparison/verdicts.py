"""Verdicts: which of two arms is better by one metric, with the interval and the p value of their difference.

The runs of an arm are draws of one random variable per metric. The difference of two arms is tested paired by seed
where the seeds are the same (equal first weights and data order), else by Welch's method. `judge` corrects for many
metrics. See `docs/method.md#comparison-statistics`.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal

from ..evaluation.intervals import Cells, combined, hierarchical_interval, single_values
from ..evaluation.metric_info import Direction
from .arms import MIN_SEEDS

ALPHA = 0.05


Outcome = Literal["a", "b", "not_distinguishable", "too_few_seeds", "not_measured", "different_items"]


@dataclass(frozen=True)
class Verdict:
    """Result of comparing arms A and B by one metric.

    Attributes:
        outcome: "a" or "b" for the better arm (the higher one for metrics without a better direction), or why there is
            none.
        names: of A and B. better: direction of improvement of the metric. counts: numbers of seeds of A and B.
        difference: mean of A minus mean of B. low, high: its 95 % interval. p: two-sided p value of no difference. All
            four None with fewer than two seeds of an arm.
        adjusted: p corrected for all metrics and arms of the comparison, see `judge`; None without a verdict.
        method: "paired t" or "Welch", with ", seeds × items" where it covers the choice of items; empty without a test.
        items: different numbers of items that runs took the metric on, None for unknown, so that they cannot be
            compared; empty otherwise.
    """

    outcome: Outcome
    names: tuple[str, str]
    better: Direction
    counts: tuple[int, int]
    difference: float | None = None
    low: float | None = None
    high: float | None = None
    p: float | None = None
    adjusted: float | None = None
    method: str = ""
    items: tuple[int | None, ...] = ()

    @property
    def winner(self) -> str | None:
        """Name of the better arm; None without one."""
        return {"a": self.names[0], "b": self.names[1]}.get(self.outcome)

    @property
    def text(self) -> str:
        """The verdict in words, such as "A better", "not distinguishable, n = 5", or "one seed each: no verdict"."""
        if self.winner is not None:
            return f"{self.winner} {'higher' if self.better == 'neither' else 'better'}"
        pairs = list(zip(self.names, self.counts, strict=True))
        if self.outcome == "not_measured":
            missing = [name for name, count in pairs if not count]
            return "not measured" if len(missing) == 2 else f"not measured in {missing[0]}"
        if self.outcome == "different_items":
            counts = [str(count) for count in self.items if count is not None]
            return f"different numbers of items ({' and '.join([*counts, *['unknown'] * (None in self.items)])})"
        single = [name for name, count in pairs if count < 2]
        if single:
            return f"one seed {'each' if len(single) == 2 else f'of {single[0]}'}: no verdict"
        first, second = self.counts
        n = f"n = {first if first == second else f'{first} and {second}'}"
        if self.outcome == "too_few_seeds":
            return f"no verdict below {MIN_SEEDS} seeds, {n}"
        return f"not distinguishable, {n}"


def compare(
    a: Mapping[int, float], b: Mapping[int, float], better: Direction, names: tuple[str, str] = ("A", "B")
) -> Verdict:
    """Compare the values of two arms by a t test at 95 %; with fewer than five seeds, numbers without a verdict.

    Paired by seed where all seeds of one arm are among those of the other, else Welch. This is one test; `judge` makes
    many of them and corrects for that. It covers the choice of seeds alone; `compare_cells` covers more.

    Args:
        a, b: {seed: value} of each arm. better: direction of improvement of the metric. names: of the arms.

    Example:
        >>> a, b = dict(enumerate([0.90, 0.91, 0.92, 0.91, 0.90])), dict(enumerate([0.80, 0.80, 0.82, 0.81, 0.79]))
        >>> compare(a, b, "higher").text
        'A better'
        >>> few = compare({0: 0.90, 1: 0.91}, {0: 0.80, 1: 0.80}, "higher")
        >>> few.text, round(few.difference, 3)
        ('no verdict below 5 seeds, n = 2', 0.105)
    """
    return compare_cells(single_values(a), single_values(b), better, names)


def compare_cells(
    a: Cells,
    b: Cells,
    better: Direction,
    names: tuple[str, str] = ("A", "B"),
    same_items: bool = True,
    folds: str = "folds",
) -> Verdict:
    """Compare two arms as `compare` does, with the choice of test items or folds where the values are per item.

    Where the seeds can be paired and the items are the same, the differences are taken item by item; else the two
    arms' variances are added, which is too wide an interval rather than too narrow where they share items.

    Args:
        a, b: see `evaluation.intervals.Cells`; the same folds for both. better, names: see `compare`.
        same_items: whether items at the same place are the same in both. folds: what folds are, in the plural.

    Raises:
        ValueError: seeds of one arm with other folds or another number of items.

    Example:
        >>> import numpy as np
        >>> draw = np.random.default_rng(0)
        >>> a = {seed: [(draw.random(60) < 0.9).astype(float)] for seed in range(5)}
        >>> b = {seed: [(draw.random(60) < 0.5).astype(float)] for seed in range(5)}
        >>> verdict = compare_cells(a, b, "higher")
        >>> verdict.text, verdict.method
        ('A better', 'paired t, seeds × items')
    """
    counts = (len(a), len(b))
    if not a or not b:
        return Verdict("not_measured", names, better, counts)
    if min(counts) < 2:
        return Verdict("too_few_seeds", names, better, counts)
    common = sorted(a.keys() & b.keys())
    if len(common) == min(counts) and same_items:
        method, counts = "paired t", (len(common), len(common))
        differences = {s: [x - y for x, y in zip(a[s], b[s], strict=True)] for s in common}
        found = hierarchical_interval(differences, folds)
    else:
        method = "Welch"
        found = combined([hierarchical_interval(a, folds), hierarchical_interval(b, folds)], [1, -1])
    half, p = found.half, found.p
    assert half is not None
    assert p is not None
    outcome: Outcome = "not_distinguishable"
    if min(counts) < MIN_SEEDS:
        outcome = "too_few_seeds"
    elif p < ALPHA:
        outcome = "a" if (found.mean > 0) == (better != "lower") else "b"
    method = method if found.covers == "seeds" else f"{method}, {found.covers}"
    return Verdict(outcome, names, better, counts, found.mean, found.mean - half, found.mean + half, p, None, method)
