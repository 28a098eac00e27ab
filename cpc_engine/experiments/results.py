"""What an experiment's runs say together: numbers per run, means with intervals per arm, and verdicts.

`collect` gives one JSON document, from which the report, the tables and docs/experiments.md are made:

command, quick, seeds, folds      how it was made
machine                           devices the runs were made on, versions
arms: label, preset, overrides, steps
runs: arm, seed, fold, run (id), status, message, measures {name: value}
summary: {arm: {measure: {"mean", "half", "values": {seed: value}}}}   half width of the 95 % t interval, or null
verdicts: question, a, b, measure, text, difference, low, high, method
"""

from __future__ import annotations

import platform
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict
from pathlib import Path
from statistics import fmean
from typing import Any

from ..errors import RunError
from ..evaluation.compare import Direction, Verdict, compare, describe_measure
from ..evaluation.probe import mean_interval
from ..runs.compare import final_measures
from ..runs.folder import RunFolder
from .definitions import Experiment
from .runner import PlannedRun, baselines_of, find_run

Document = dict[str, Any]
Values = dict[int, float]  # by seed

JUDGED = ("chosen", "effective_rank", "uniformity", "retrieval_class", "modality_gap")


def collect(experiment: Experiment, planned: Sequence[PlannedRun], folder: Path, command: str, quick: bool) -> Document:
    """The document of the runs that are there; a run that was never made is "missing".

    Raises:
        RunError: not one run of the plan has finished.
    """
    runs = [_run(run, folder) for run in planned]
    if all(row["status"] != "finished" for row in runs):
        first = runs[0]
        raise RunError(f"{experiment.name}: no run has finished; the first is {first['status']}{_because(first)}")
    configs = {run.arm: run.config for run in reversed(planned)}
    arms: list[Document] = [
        {
            "label": arm.label,
            "preset": arm.preset,
            "overrides": dict(arm.overrides),
            "steps": configs[arm.label].optimiser.steps,
        }
        for arm in experiment.arms
        if arm.label in configs
    ]
    summary = {arm["label"]: _summary(runs, arm["label"], list(experiment.folds)) for arm in arms}
    if experiment.without_pair in summary:
        _add_gap_ratio(summary, summary[experiment.without_pair])
    return {
        "experiment": experiment.name,
        "title": experiment.title,
        "question": experiment.question,
        "command": command,
        "quick": quick,
        "machine": _machine(planned, folder),
        "seeds": sorted({run.seed for run in planned}),
        "folds": list(experiment.folds),
        "without_pair": experiment.without_pair,
        "arms": arms,
        "runs": runs,
        "summary": summary,
        "verdicts": list(_verdicts(summary)),
    }


def values_of(summary: Mapping[str, Any], measure: str) -> Values:
    """{seed: value} of one arm's measure; empty where it has none."""
    return {int(seed): value for seed, value in summary.get(measure, {}).get("values", {}).items()}


def suffixes(summary: Mapping[str, Any]) -> list[str]:
    """[".audio", ".image"] of an evaluated arm with two modalities, [""] of one with one, [] of none."""
    return [name.removeprefix("chosen") for name in summary if name.partition(".")[0] == "chosen"]


def _run(run: PlannedRun, folder: Path) -> Document:
    found = find_run(folder / "runs", run.config)
    row: Document = {
        "arm": run.arm,
        "seed": run.seed,
        "fold": run.fold,
        "run": None,
        "status": "missing",
        "message": "",
    }
    if found is None:
        return {**row, "measures": {}}
    info = found.info()
    row |= {"run": found.id, "status": info.status, "message": info.message}
    if info.status != "finished":
        return {**row, "measures": {}}
    baselines = baselines_of(folder, run.config) or {}
    return {**row, "measures": {name: float(f"{value:.6g}") for name, value in _measures(found, baselines).items()}}


def _measures(folder: RunFolder, baselines: Mapping[str, float]) -> dict[str, float]:
    """Numbers of a finished run: geometry on test items and probes once evaluated, baselines beside them.

    chosen: the feature that validation likes best, of the trained network; untrained: likewise of the untrained one;
    baseline: the best baseline on test items, which favours the baselines.
    """
    measures = {name: value for name, value in final_measures(folder).items() if value is not None}
    evaluation = folder.json("evaluation") or {"probe": {}}
    measures |= {name: value for name, value in evaluation.items() if isinstance(value, float)}
    by_modality: dict[str, dict[str, Any]] = {}
    for name, row in evaluation["probe"].items():
        measures[f"untrained.{name}"] = row["untrained"]
        modality, dot, _ = name.rpartition(".")
        by_modality.setdefault(f"{dot}{modality}", {})[name] = row
    for suffix, rows in by_modality.items():
        best = max(rows.values(), key=lambda row: row["validation"])
        other = max(rows.values(), key=lambda row: row["untrained_validation"])
        measures[f"chosen{suffix}"], measures[f"untrained{suffix}"] = best["trained"], other["untrained"]
        known = {n: v for n, v in baselines.items() if n.rpartition(".")[0] == suffix.removeprefix(".")}
        measures |= {f"baseline.{name}": value for name, value in known.items()}
        if known:
            measures[f"baseline{suffix}"] = max(known.values())
    return measures


def _summary(runs: Sequence[Document], arm: str, folds: Sequence[str]) -> Document:
    """Per measure over the seeds whose every fold has it."""
    found: dict[str, dict[int, list[float]]] = {}
    for run in runs:
        for name, value in run["measures"].items() if run["arm"] == arm else ():
            found.setdefault(name, {}).setdefault(run["seed"], []).append(value)
    whole = {
        name: {seed: fmean(values) for seed, values in by_seed.items() if len(values) == len(folds)}
        for name, by_seed in found.items()
    }
    return {name: _interval(values) for name, values in whole.items() if values}


def _interval(values: Values) -> Document:
    mean, half = mean_interval(list(values.values()))
    rounded = {str(seed): float(f"{value:.6g}") for seed, value in values.items()}
    return {"mean": mean, "half": half, "values": rounded}


def _add_gap_ratio(summary: Document, reference: Document) -> None:
    """`modality_gap_ratio` of every arm: its gap over that of the arm without a pair term, seed by seed."""
    below = values_of(reference, "modality_gap")
    for arm in summary.values():
        ratios = {seed: gap / below[seed] for seed, gap in values_of(arm, "modality_gap").items() if below.get(seed)}
        if ratios:
            arm["modality_gap_ratio"] = _interval(ratios)


def _verdicts(summary: Document) -> Iterator[Document]:
    """Of every arm: trained against untrained and against the best baseline; then the first arm against each other."""
    for label, arm in summary.items():
        for suffix in suffixes(arm):
            for other in ("untrained", "baseline"):
                question = f"Does training beat the {'untrained network' if other == 'untrained' else 'best baseline'}?"
                names = ("trained", other if other == "untrained" else "best baseline")
                pair = values_of(arm, f"chosen{suffix}"), values_of(arm, f"{other}{suffix}")
                yield _row(question, label, names[1], f"chosen{suffix}", compare(*pair, "higher", names))
    labels = list(summary)
    for label in labels[1:]:
        first, second = summary[labels[0]], summary[label]
        for measure in first:
            if measure.partition(".")[0] in JUDGED:
                pair = values_of(first, measure), values_of(second, measure)
                verdict = compare(*pair, _better(measure), (labels[0], label))
                yield _row(f"{labels[0]} against {label}", labels[0], label, measure, verdict)


def _better(measure: str) -> Direction:
    return "higher" if measure.startswith("chosen") else describe_measure(measure).better


def _row(question: str, a: str, b: str, measure: str, verdict: Verdict) -> Document:
    return {"question": question, "a": a, "b": b, "measure": measure, **asdict(verdict)}


def _because(row: Document) -> str:
    return f": {row['message']}" if row["message"] else ""


def _machine(planned: Sequence[PlannedRun], folder: Path) -> Document:
    """What the runs were made on, and the versions that evaluated them."""
    import torch

    found = [find_run(folder / "runs", run.config) for run in planned]
    devices = sorted({run.info().device for run in found if run is not None} - {""})
    return {"python": platform.python_version(), "torch": torch.__version__, "devices": devices}
