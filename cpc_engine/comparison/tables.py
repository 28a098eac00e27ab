"""Tables of a comparison as columns of plain values: arms, differing settings, and metrics with verdicts."""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import Any

from ..evaluation.intervals import Estimate, hierarchical_interval
from ..evaluation.metric_info import PRIMARY, describe_metric
from .arms import Arm, cells_of, metric_names, settings_table
from .judge import is_tested, judge
from .verdicts import Verdict

Columns = dict[str, list[Any]]
# Columns of a verdict in CSV files: attribute and title.
_NUMBERS = {
    "text": "verdict",
    "difference": "difference",
    "low": "low",
    "high": "high",
    "p": "p",
    "adjusted": "p adjusted",
    "method": "method",
}


def overview(arms: Sequence[Arm]) -> Columns:
    """Return one row per arm: letter, name, seeds, finished runs, and runs that do not count, with their status."""
    columns: Columns = {"Arm": [], "Name": [], "Seeds": [], "Finished runs": [], "Not counted": []}
    for arm in arms:
        not_counted = [f"{run.id} ({run.status})" for run in arm.runs if not run.complete]
        row = (
            arm.letter,
            arm.runs[0].label,
            ", ".join(map(str, arm.seeds)),
            sum(run.complete for run in arm.runs),
            "; ".join(not_counted),
        )
        for column, value in zip(columns.values(), row, strict=True):
            column.append(value)
    return columns


def differences(arms: Sequence[Arm], every: bool = False) -> Columns:
    """Return one row per setting, one column per arm; values as JSON.

    Args:
        every: list all settings, not only those that differ between arms.
    """
    table = settings_table(arms, every)
    columns: Columns = {"Setting": list(table)}
    for index, arm in enumerate(arms):
        columns[arm.letter] = [
            value if isinstance(value := row[index], str) else "–" if value is None else json.dumps(value)
            for row in table.values()
        ]
    return columns


def shown_metrics(arms: Sequence[Arm], primary: str = PRIMARY, every: bool = False) -> list[str]:
    """Return the names of the metrics of a table, the primary one first; those without verdicts only with `every`."""
    names = [name for name in metric_names(arms) if every or is_tested(name)]
    return sorted(names, key=lambda name: name != primary)


def metrics_table(arms: Sequence[Arm], reference: Arm, primary: str = PRIMARY, every: bool = False) -> Columns:
    """Return one row per metric, the primary one first: verdicts and differences against the reference arm, means.

    Args:
        reference: one of `arms`. primary: the metric that was chosen before, see `judge`.
        every: also list the metrics per modality and horizon, without verdicts.
    """
    names = shown_metrics(arms, primary, every)
    described = [describe_metric(name) for name in names]
    verdicts = judge(arms, reference, primary)
    columns: Columns = {"Metric": [metric.title for metric in described]}
    for other in arms:
        if other is not reference:
            found = [verdicts.get((name, other.letter)) for name in names]
            columns[f"{reference.letter} or {other.letter}?"] = [verdict.text if verdict else "" for verdict in found]
            columns[f"{reference.letter} − {other.letter}"] = [_difference_text(verdict) for verdict in found]
    estimates = [_estimates(arms, name) for name in names]
    for index, arm in enumerate(arms):
        columns[arm.letter] = [_mean_text(found[index]) for found in estimates]
    columns["Interval"] = [_covers(found) for found in estimates]
    columns["Role"] = [_role(name, primary) for name in names]
    columns["Unit"] = [metric.unit for metric in described]
    columns["Better"] = [f"{metric.arrow} {metric.better}".strip() for metric in described]
    columns["Meaning"] = [
        " ".join([metric.meaning, *_items_text(arms, name)]) for name, metric in zip(names, described, strict=True)
    ]
    return columns


def metrics_csv_columns(arms: Sequence[Arm], reference: Arm, primary: str = PRIMARY) -> Columns:
    """Return one row per metric with all numbers behind `metrics_table`, for CSV files."""
    names = metric_names(arms)
    described = [describe_metric(name) for name in names]
    columns: Columns = {
        "metric": names,
        "title": [metric.title for metric in described],
        "unit": [metric.unit for metric in described],
        "better": [metric.better for metric in described],
        "role": [_role(name, primary) for name in names],
    }
    estimates = [_estimates(arms, name) for name in names]
    columns["interval"] = [_covers(found) for found in estimates]
    for index, arm in enumerate(arms):
        own = [found[index] for found in estimates]
        columns[f"{arm.letter} mean"] = [found.mean if found else None for found in own]
        columns[f"{arm.letter} half width 95 %"] = [found.half if found else None for found in own]
        columns[f"{arm.letter} n"] = [len(arm.values(name)) for name in names]
    verdicts = judge(arms, reference, primary)
    for other in arms:
        if other is not reference:
            found = [verdicts.get((name, other.letter)) for name in names]
            for field, title in _NUMBERS.items():
                columns[f"{reference.letter} − {other.letter} {title}"] = [
                    getattr(verdict, field) if verdict else None for verdict in found
                ]
    return columns


def _role(name: str, primary: str) -> str:
    return "primary" if name == primary else "exploratory" if is_tested(name) else "detail"


def _difference_text(verdict: Verdict | None) -> str:
    """The difference with its 95 % interval, such as "+0.031 (-0.01 to 0.072)"; empty without one."""
    if verdict is None or verdict.difference is None:
        return ""
    return f"{verdict.difference:+.3g} ({verdict.low:.3g} to {verdict.high:.3g})"


def _items_text(arms: Sequence[Arm], metric: str) -> list[str]:
    """On how many items all arms took a metric that grows with their number; nothing where that differs or is unknown.

    Where it differs, the verdict says so.
    """
    counts = set[int | None]().union(*(arm.item_counts(metric) for arm in arms))
    return [f"Here on {counts.pop()} items."] if len(counts) == 1 and None not in counts else []


def _estimates(arms: Sequence[Arm], metric: str) -> list[Estimate | None]:
    """The mean of each arm with its interval; None for an arm that has no value."""
    return [hierarchical_interval(cells) if cells else None for cells in cells_of(arms, metric)]


def _covers(estimates: Sequence[Estimate | None]) -> str:
    """What the intervals of one metric cover, which is the same in all arms."""
    return next((found.covers for found in estimates if found is not None), "")


def _mean_text(found: Estimate | None) -> str:
    if found is None:
        return "–"
    return f"{found.mean:.4g}" if found.half is None else f"{found.mean:.4g} ± {found.half:.2g}"
