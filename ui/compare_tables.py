"""The tables of a comparison as columns of plain values: what differs, and who is better."""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import Any

from cpc_engine.evaluation.compare import (
    MEASURES,
    Setting,
    compare,
    describe_measure,
    measure_names,
    settings_table,
)
from cpc_engine.evaluation.probe import mean_interval

Columns = dict[str, list[Any]]
BETTER = {"higher": "↑ higher", "lower": "↓ lower", "neither": "neither"}


def overview(settings: Sequence[Setting]) -> Columns:
    """One row a setting: its letter, name, seeds, and runs that are not counted with the reason."""
    columns: Columns = {"Setting": [], "Name": [], "Seeds": [], "Finished runs": [], "Not counted": []}
    for setting in settings:
        left_out = [f"{run.id} ({run.status})" for run in setting.runs if not run.complete]
        row = (
            setting.letter,
            setting.runs[0].label,
            ", ".join(map(str, setting.seeds)),
            sum(run.complete for run in setting.runs),
            "; ".join(left_out),
        )
        for column, value in zip(columns.values(), row, strict=True):
            column.append(value)
    return columns


def differences(settings: Sequence[Setting], all_knobs: bool = False) -> Columns:
    """One row a knob, one column a setting; values as JSON writes them."""
    table = settings_table(settings, all_knobs)
    columns: Columns = {"Knob": list(table)}
    for index, setting in enumerate(settings):
        columns[setting.letter] = [
            value if isinstance(value := row[index], str) else "–" if value is None else json.dumps(value)
            for row in table.values()
        ]
    return columns


def shown_measures(settings: Sequence[Setting], every: bool) -> list[str]:
    """The measures that a table lists: without the details of modalities and horizons unless `every`."""
    names = measure_names(settings)
    return names if every else [name for name in names if name in MEASURES or name.startswith("probe.")]


def measures_table(settings: Sequence[Setting], reference: Setting, every: bool = False) -> Columns:
    """One row a measure: mean ± half width per setting, and a verdict of each other setting against the reference."""
    names = shown_measures(settings, every)
    described = [describe_measure(name) for name in names]
    columns: Columns = {"Measure": [measure.title for measure in described]}
    for other in settings:
        if other is not reference:
            columns[_versus(reference, other)] = [
                compare(
                    reference.values(name), other.values(name), measure.better, (reference.letter, other.letter)
                ).text
                for name, measure in zip(names, described, strict=True)
            ]
    for setting in settings:
        columns[setting.letter] = [_mean_text(setting.values(name)) for name in names]
    columns["Unit"] = [measure.unit for measure in described]
    columns["Better"] = [BETTER[measure.better] for measure in described]
    columns["Meaning"] = [measure.meaning for measure in described]
    return columns


def measures_csv_columns(settings: Sequence[Setting], reference: Setting) -> Columns:
    """Every measure with all numbers behind the table."""
    names = measure_names(settings)
    described = [describe_measure(name) for name in names]
    columns: Columns = {
        "measure": names,
        "title": [measure.title for measure in described],
        "unit": [measure.unit for measure in described],
        "better": [measure.better for measure in described],
    }
    for setting in settings:
        found = [setting.values(name) for name in names]
        pairs = [mean_interval(list(values.values())) if values else (None, None) for values in found]
        columns[f"{setting.letter} mean"] = [mean for mean, _ in pairs]
        columns[f"{setting.letter} half width 95 %"] = [half for _, half in pairs]
        columns[f"{setting.letter} n"] = [len(values) for values in found]
    for other in settings:
        if other is not reference:
            letters = (reference.letter, other.letter)
            verdicts = [
                compare(reference.values(name), other.values(name), measure.better, letters)
                for name, measure in zip(names, described, strict=True)
            ]
            for field in ("text", "difference", "low", "high", "method"):
                title = "verdict" if field == "text" else field
                columns[f"{letters[0]} − {letters[1]} {title}"] = [getattr(one, field) for one in verdicts]
    return columns


def _versus(reference: Setting, other: Setting) -> str:
    return f"{reference.letter} or {other.letter}?"


def _mean_text(values: dict[int, float]) -> str:
    if not values:
        return "–"
    mean, half = mean_interval(list(values.values()))
    return f"{mean:.4g}" if half is None else f"{mean:.4g} ± {half:.2g}"
