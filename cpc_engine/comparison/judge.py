"""Verdicts on a whole comparison: many metrics and arms, of which 5 % of comparisons may have one wrong "better".

One metric is primary and chosen before the comparison; the others are exploratory. Their p values are corrected
together by Holm's method with weights: half of the allowed error goes to the primary metric, the rest is shared by the
exploratory ones (Holm 1979, Scandinavian Journal of Statistics 6, section 4). This holds whatever the correlation of
the metrics. `python -m benchmarks.false_alarms` measures it.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from ..evaluation.metric_info import METRICS, PRIMARY, describe_metric
from ..settings import unknown
from .arms import MIN_SEEDS, Arm, metric_names
from .verdicts import ALPHA, Verdict, compare

PRIMARY_SHARE = 0.5  # of the allowed error

SEEDS_NEEDED = f"A verdict needs {MIN_SEEDS} seeds on each side, best the same ones; fewer give numbers only."
EXPLANATION = (
    f"Mean ± half width of the 95 % Student-t interval over seeds of finished runs. {SEEDS_NEEDED} Differences come "
    "seed by seed where the seeds are the same, else from Welch's interval. Choose the primary metric before you look: "
    "half of the 5 % of allowed error is its own. All others are exploratory and share the other half (Holm's "
    "correction), so at most 1 of 20 comparisons of equal settings names a better arm anywhere."
)


def is_tested(metric: str) -> bool:
    """Return whether a metric gets verdicts: all but those of single modalities and horizons."""
    return metric in METRICS or metric.startswith("probe.")


def judge(arms: Sequence[Arm], reference: Arm, primary: str = PRIMARY) -> dict[tuple[str, str], Verdict]:
    """Compare every other arm with the reference arm by every metric that is tested, corrected for all of them.

    Args:
        reference: one of `arms`. primary: name of a metric.

    Returns:
        Verdict by (metric, letter of the other arm).

    Raises:
        ConfigError: `primary` is no metric that is tested.
    """
    if not is_tested(primary):
        raise unknown("metric", primary, METRICS)
    tests = {
        (metric, other.letter): _compare(reference, other, metric)
        for metric in metric_names(arms)
        if is_tested(metric)
        for other in arms
        if other is not reference
    }
    large = [key for key, test in tests.items() if test.p is not None and min(test.counts) >= MIN_SEEDS]
    counts = {kind: sum((metric == primary) == kind for metric, _ in large) for kind in (True, False)}
    shares = {True: PRIMARY_SHARE, False: 1 - PRIMARY_SHARE}
    weights = [shares[metric == primary] / counts[metric == primary] for metric, _ in large]
    values = [p for key in large if (p := tests[key].p) is not None]
    for key, adjusted in zip(large, weighted_holm(values, weights), strict=True):
        test = tests[key]
        tests[key] = replace(
            test, adjusted=adjusted, outcome=test.outcome if adjusted < ALPHA else "not_distinguishable"
        )
    return tests


def _compare(reference: Arm, other: Arm, metric: str) -> Verdict:
    """One test, uncorrected; none where the metric grows with the number of items and that number differs."""
    values, names = (reference.values(metric), other.values(metric)), (reference.letter, other.letter)
    better = describe_metric(metric).better
    items = reference.item_counts(metric) | other.item_counts(metric)
    if all(values) and len(items) > 1:
        counts = (len(values[0]), len(values[1]))
        ordered = tuple(sorted(items, key=lambda count: (count is None, count)))
        return Verdict("different_items", names, better, counts, items=ordered)
    return compare(*values, better, names)


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
