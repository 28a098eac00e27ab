"""Verdicts on a whole comparison: many metrics and arms, of which 5 % of comparisons may have one wrong "better".

One metric is primary and chosen before the comparison; the others are exploratory. Their p values are corrected
together by Holm's method with weights: half of the allowed error goes to the primary metric, the rest is shared by the
exploratory ones (Holm 1979, Scandinavian Journal of Statistics 6, section 4). This holds whatever the correlation of
the metrics. `python -m benchmarks.false_alarms` measures it.
"""

from __future__ import annotations

from collections.abc import Callable, Hashable, Mapping, Sequence
from dataclasses import replace
from typing import TypeVar

from ..evaluation.intervals import Cells
from ..evaluation.metric_info import METRICS, PRIMARY, describe_metric
from ..settings import unknown
from .arms import MIN_SEEDS, Arm, cells_of, metric_names, same_items
from .verdicts import Verdict, compare_cells

Key = TypeVar("Key", bound=Hashable)

PRIMARY_SHARE = 0.5  # of the allowed error
# What a corrected p value must fall below, for at most 5 % of comparisons to err: accuracies come in steps, and a t
# test of few such values errs somewhat more often than it says.
LEVEL = 0.04

SEEDS_NEEDED = f"A verdict needs {MIN_SEEDS} seeds on each side, best the same ones; fewer give numbers only."
EXPLANATION = (
    "Mean ± half width of the 95 % Student-t interval of finished runs. The column Interval says what it covers. "
    "Seeds: it does not cover the choice of test items or split. Seeds × items: it covers the choice of test items, "
    f"but not of the split. {SEEDS_NEEDED} Differences come seed by seed and item by item where both are the same, "
    "else from Welch's interval. Choose the primary metric before you look: half of the 5 % of allowed error is "
    "its own. All others are exploratory and share the other half (Holm's correction), so at most 1 of 20 comparisons "
    "of equal settings names a better arm anywhere."
)


def is_tested(metric: str) -> bool:
    """Return whether a metric gets verdicts: probes, and all that are not of a single modality or horizon."""
    return metric in METRICS or metric.startswith("probe.")


def check_primary(metric: str) -> None:
    """Refuse a primary metric that gets no verdicts.

    Raises:
        ConfigError: it is no metric that is tested.
    """
    if not is_tested(metric):
        raise unknown("metric", metric, METRICS)


def judge(arms: Sequence[Arm], reference: Arm, primary: str = PRIMARY) -> dict[tuple[str, str], Verdict]:
    """Compare every other arm with the reference arm by every metric that is tested, corrected for all of them.

    Args:
        reference: one of `arms`. primary: name of a metric.

    Returns:
        Verdict by (metric, letter of the other arm).

    Raises:
        ConfigError: `primary` is no metric that is tested.
    """
    return corrected(uncorrected(arms, reference, primary), lambda key: key[0] == primary)


def uncorrected(arms: Sequence[Arm], reference: Arm, primary: str) -> dict[tuple[str, str], Verdict]:
    """The tests of `judge`, each by itself."""
    check_primary(primary)
    tests: dict[tuple[str, str], Verdict] = {}
    for metric in filter(is_tested, metric_names(arms)):
        cells = {arm.letter: values for arm, values in zip(arms, cells_of(arms, metric), strict=True)}
        for other in arms:
            if other is not reference:
                pair = cells[reference.letter], cells[other.letter]
                tests[metric, other.letter] = _compare(reference, other, metric, pair)
    return tests


def corrected(tests: Mapping[Key, Verdict], is_primary: Callable[[Key], bool]) -> dict[Key, Verdict]:
    """Correct verdicts for being made together; those of primary metrics have half of the allowed error, if any others.

    Tests with too few seeds for a verdict do not count.

    Example:
        >>> close = Verdict("a", ("A", "B"), "higher", (5, 5), 0.1, 0.01, 0.2, 0.03, None, "paired t")
        >>> both = corrected({"probe": close, "spread": close}, lambda name: name == "probe")
        >>> [(verdict.text, verdict.adjusted) for verdict in both.values()]
        [('not distinguishable, n = 5', 0.06), ('not distinguishable, n = 5', 0.06)]
    """
    large = [key for key, test in tests.items() if test.p is not None and min(test.counts) >= MIN_SEEDS]
    primary = [is_primary(key) for key in large]
    shares = {True: PRIMARY_SHARE, False: 1 - PRIMARY_SHARE}
    weights = [shares[kind] / primary.count(kind) for kind in primary]
    values = [p for key in large if (p := tests[key].p) is not None]
    found = dict(tests)
    for key, adjusted in zip(large, weighted_holm(values, weights), strict=True):
        test = tests[key]
        found[key] = replace(
            test, adjusted=adjusted, outcome=test.outcome if adjusted < LEVEL else "not_distinguishable"
        )
    return found


def _same_items(a: Arm, b: Arm, cells: tuple[Cells, Cells]) -> bool:
    """Return whether values at the same place are of the same test item, or there is one value for each seed."""
    sizes = {len(row[0]) for arm in cells for row in arm.values()}
    runs = [run for run in (*a.runs, *b.runs) if run.complete]
    return sizes == {1} or (len(sizes) == 1 and same_items((run.config, run.item_digests) for run in runs))


def _compare(reference: Arm, other: Arm, metric: str, cells: tuple[Cells, Cells]) -> Verdict:
    """One test, uncorrected; none where the metric grows with the number of items and that number differs."""
    better, names = describe_metric(metric).better, (reference.letter, other.letter)
    items = reference.item_counts(metric) | other.item_counts(metric)
    if all(cells) and len(items) > 1:
        counts = (len(cells[0]), len(cells[1]))
        ordered = tuple(sorted(items, key=lambda count: (count is None, count)))
        return Verdict("different_items", names, better, counts, items=ordered)
    return compare_cells(*cells, better, names, _same_items(reference, other, cells))


def weighted_holm(p: Sequence[float], weights: Sequence[float]) -> list[float]:
    """Return p values adjusted for being tested together; rejecting those below α errs at all with probability ≤ α.

    Args:
        p: values from 0 to 1. weights: one positive number each; a test with more weight is adjusted less.

    Example:
        >>> [round(value, 3) for value in weighted_holm([0.01, 0.04, 0.03], [1, 1, 1])]
        [0.03, 0.06, 0.06]
        >>> [round(value, 3) for value in weighted_holm([0.02, 0.001, 0.3], [2, 1, 1])]
        [0.03, 0.004, 0.3]
    """
    adjusted = [0.0] * len(p)
    order = sorted(range(len(p)), key=lambda i: p[i] / weights[i])
    left, largest = float(sum(weights)), 0.0
    for i in order:
        largest = max(largest, min(1.0, p[i] * max(left, weights[i]) / weights[i]))
        adjusted[i] = largest
        left -= weights[i]
    return adjusted
