"""Right and wrong test items in results of experiments: packed for files, and as tables of seeds and folds."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from ..comparison.collect import chosen_probes
from ..evaluation.intervals import Cells, Floats, from_digits

Rows = Mapping[str, Mapping[str, Any]]  # by feature or baseline


def pack(digits: str) -> str:
    """Return one "0" or "1" per item as "number of items:hexadecimal digits".

    Example:
        >>> pack("00011011"), pack("1")
        ('8:1b', '1:1')
    """
    return f"{len(digits)}:{int(digits or '0', 2):x}"


def unpack(text: str) -> Floats:
    """Return the values (N,) of `pack`.

    Example:
        >>> unpack("5:1b").tolist()
        [1.0, 1.0, 0.0, 1.0, 1.0]
    """
    count, _, digits = text.partition(":")
    return from_digits(f"{int(digits, 16):0{count}b}" if int(count) else "")


def accuracies(probes: Rows, baselines: Rows) -> dict[str, tuple[float, str | None]]:
    """Return {"chosen", "untrained", "baseline": (test accuracy, digits per test item or None)} of one run.

    chosen: the trained network, with the feature that has the best validation accuracy. untrained: likewise for the
    untrained network. baseline: the best baseline on test items, which favors the baselines. With two modalities the
    names end in ".audio" and ".image".

    Args:
        probes: rows of evaluation.json by feature. baselines: {name: {"accuracy", and "correct" where it is known}}.

    Example:
        >>> row = {"trained": 0.5, "untrained": 1.0, "validation": 0.9, "untrained_validation": 0.9, "correct": "01"}
        >>> accuracies({"mean_context": row}, {"pixels": {"accuracy": 0.5, "correct": "10"}})
        {'chosen': (0.5, '01'), 'untrained': (1.0, None), 'baseline': (0.5, '10')}
    """
    found: dict[str, tuple[float, str | None]] = {}
    untrained = chosen_probes(probes, "untrained_validation")
    for modality, row in chosen_probes(probes).items():
        suffix = f".{modality}" if modality else ""
        other = untrained[modality]
        found[f"chosen{suffix}"] = row["trained"], row.get("correct")
        found[f"untrained{suffix}"] = other["untrained"], other.get("untrained_correct")
        own = [values for name, values in baselines.items() if name.rpartition(".")[0] == modality]
        if own:
            best = max(own, key=lambda values: float(values["accuracy"]))
            found[f"baseline{suffix}"] = best["accuracy"], best.get("correct")
    return found


def cells_of(
    series: Sequence[tuple[Sequence[Mapping[str, Any]], str]], folds: Sequence[str], items: bool = True
) -> list[Cells]:
    """Return the values of several metrics, at the seeds that have each metric in every fold.

    Args:
        series: (entries of `runs` of the results, all of one arm; name of a metric) of each. folds: names of the folds.
        items: whether to return values per test item where all runs keep those of all these metrics.

    Returns:
        One table per metric, all of them per test item or all with one value for each seed and fold.
    """
    tables = []
    for runs, name in series:
        rows: dict[int, dict[str, Mapping[str, Any]]] = {}
        for run in runs:
            if name in run["metrics"]:
                rows.setdefault(run["seed"], {})[run["fold"]] = run
        complete = {seed: [row[fold] for fold in folds] for seed, row in sorted(rows.items()) if len(row) == len(folds)}
        tables.append((complete, name))
    runs_of_all = [(run, name) for table, name in tables for row in table.values() for run in row]
    if items and all(name in run["correct"] for run, name in runs_of_all):
        return [
            {seed: [unpack(run["correct"][name]) for run in row] for seed, row in table.items()}
            for table, name in tables
        ]
    return [
        {seed: [np.array([run["metrics"][name]], dtype=np.float64) for run in row] for seed, row in table.items()}
        for table, name in tables
    ]
