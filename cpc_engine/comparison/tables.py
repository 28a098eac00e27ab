"""Tables of a comparison as columns of plain values: arms, differing settings, and metrics with verdicts."""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import Any

from ..evaluation.intervals import mean_interval
from ..evaluation.metric_info import METRICS, describe_metric
from .verdicts import Arm, compare, metric_names, settings_table

Columns = dict[str, list[Any]]


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


def shown_metrics(arms: Sequence[Arm], every: bool) -> list[str]:
    """Return the names of the metrics of a table; those per modality and horizon only with `every`."""
    names = metric_names(arms)
    return names if every else [name for name in names if name in METRICS or name.startswith("probe.")]


def metrics_table(arms: Sequence[Arm], reference: Arm, every: bool = False) -> Columns:
    """Return one row per metric: verdicts of every other arm against the reference arm, and mean ± half width per arm.

    Args:
        reference: one of `arms`.
        every: also list the metrics per modality and horizon.
    """
    names = shown_metrics(arms, every)
    described = [describe_metric(name) for name in names]
    columns: Columns = {"Metric": [metric.title for metric in described]}
    for other in arms:
        if other is not reference:
            columns[_versus(reference, other)] = [
                compare(
                    reference.values(name), other.values(name), metric.better, (reference.letter, other.letter)
                ).text
                for name, metric in zip(names, described, strict=True)
            ]
    for arm in arms:
        columns[arm.letter] = [_mean_text(arm.values(name)) for name in names]
    columns["Unit"] = [metric.unit for metric in described]
    columns["Better"] = [f"{metric.arrow} {metric.better}".strip() for metric in described]
    columns["Meaning"] = [metric.meaning for metric in described]
    return columns


def metrics_csv_columns(arms: Sequence[Arm], reference: Arm) -> Columns:
    """Return one row per metric with all numbers behind `metrics_table`, for CSV files."""
    names = metric_names(arms)
    described = [describe_metric(name) for name in names]
    columns: Columns = {
        "metric": names,
        "title": [metric.title for metric in described],
        "unit": [metric.unit for metric in described],
        "better": [metric.better for metric in described],
    }
    for arm in arms:
        rows = [arm.values(name) for name in names]
        pairs = [mean_interval(list(values.values())) if values else (None, None) for values in rows]
        columns[f"{arm.letter} mean"] = [mean for mean, _ in pairs]
        columns[f"{arm.letter} half width 95 %"] = [half for _, half in pairs]
        columns[f"{arm.letter} n"] = [len(values) for values in rows]
    for other in arms:
        if other is not reference:
            letters = (reference.letter, other.letter)
            verdicts = [
                compare(reference.values(name), other.values(name), metric.better, letters)
                for name, metric in zip(names, described, strict=True)
            ]
            for field in ("text", "difference", "low", "high", "method"):
                title = "verdict" if field == "text" else field
                columns[f"{letters[0]} − {letters[1]} {title}"] = [getattr(verdict, field) for verdict in verdicts]
    return columns


def _versus(reference: Arm, other: Arm) -> str:
    return f"{reference.letter} or {other.letter}?"


def _mean_text(values: dict[int, float]) -> str:
    if not values:
        return "–"
    mean, half = mean_interval(list(values.values()))
    return f"{mean:.4g}" if half is None else f"{mean:.4g} ± {half:.2g}"
