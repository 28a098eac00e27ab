"""Results of an experiment: metrics per run, means with intervals per arm, and verdicts.

`collect` returns one JSON document, from which the report, the tables, and docs/experiments.md are made:

experiment, title, question       from the definition
command, quick, seeds, folds      how the runs were made
machine                           devices of the runs, versions of Python and torch
without_pair                      arm whose modality gap the other gaps are divided by, or null
arms: label, preset, overrides, steps
runs: arm, seed, fold, run (id), status, message, metrics {name: value}
summary: {arm: {metric: {"mean", "half", "values": {seed: value}}}}   half width of the 95 % t interval, or null
verdicts: question, a, b, metric, outcome, counts, text, difference, low, high, method
"""

from __future__ import annotations

import platform
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from statistics import fmean
from typing import Any

from ..comparison.collect import chosen_probes, final_metrics
from ..comparison.verdicts import Verdict, compare
from ..errors import RunError
from ..evaluation.intervals import mean_interval
from ..evaluation.metric_info import Direction, describe_metric
from ..storage.folder import RunFolder
from .definitions import Experiment
from .runner import PlannedRun, baselines_of, find_run

Document = dict[str, Any]
Values = dict[int, float]  # by seed

JUDGED = ("chosen", "effective_rank", "uniformity", "retrieval_class", "modality_gap")


def collect(experiment: Experiment, planned: Sequence[PlannedRun], folder: Path, command: str, quick: bool) -> Document:
    """Collect the results of the planned runs; a run that does not exist has the status "missing".

    Args:
        planned: see `runner.plan_runs`. folder: the report folder, with the runs in `folder`/runs.
        command: the command that makes the report. quick: whether it is a smoke test.

    Raises:
        RunError: no planned run has finished.
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
            "steps": configs[arm.label].optimizer.steps,
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


def values_of(summary: Mapping[str, Any], metric: str) -> Values:
    """Return {seed: value} of a metric of one arm (a value of `document["summary"]`); empty if it has none."""
    return {int(seed): value for seed, value in summary.get(metric, {}).get("values", {}).items()}


def suffixes(summary: Mapping[str, Any]) -> list[str]:
    """Return [".audio", ".image"] for an arm with two modalities, [""] for one modality, [] if it was not evaluated."""
    return [name.removeprefix("chosen") for name in summary if name.partition(".")[0] == "chosen"]


def _run(run: PlannedRun, folder: Path) -> Document:
    """Return the entry of `runs` for one planned run."""
    run_folder = find_run(folder / "runs", run.config)
    row: Document = {
        "arm": run.arm,
        "seed": run.seed,
        "fold": run.fold,
        "run": None,
        "status": "missing",
        "message": "",
    }
    if run_folder is None:
        return {**row, "metrics": {}}
    info = run_folder.info()
    row |= {"run": run_folder.id, "status": info.status, "message": info.message}
    if info.status != "finished":
        return {**row, "metrics": {}}
    baselines = {name: row["accuracy"] for name, row in (baselines_of(folder, run.config) or {}).items()}
    metrics = {name: float(f"{value:.6g}") for name, value in _metrics(run_folder, baselines).items()}
    return {**row, "metrics": metrics}


def _metrics(folder: RunFolder, baselines: Mapping[str, float]) -> dict[str, float]:
    """Return the metrics of a finished run: final metrics, geometry and probes on test items, and baselines.

    chosen: probe accuracy of the trained network, with the feature that has the best validation accuracy. untrained:
    likewise for the untrained network. baseline: the best baseline on test items, which favors the baselines.
    """
    metrics = {name: value for name, value in final_metrics(folder).items() if value is not None}
    evaluation = folder.json("evaluation") or {"probe": {}}
    metrics |= {name: value for name, value in evaluation.items() if isinstance(value, float)}
    probes = evaluation["probe"]
    metrics |= {f"untrained.{name}": row["untrained"] for name, row in probes.items()}
    metrics |= {f"untrained_knn.{name}": row["untrained_knn"] for name, row in probes.items() if "knn" in row}
    untrained = chosen_probes(probes, "untrained_validation")
    for modality, row in chosen_probes(probes).items():
        suffix = f".{modality}" if modality else ""
        metrics[f"chosen{suffix}"] = row["trained"]
        metrics[f"untrained{suffix}"] = untrained[modality]["untrained"]
        own = {n: v for n, v in baselines.items() if n.rpartition(".")[0] == modality}
        metrics |= {f"baseline.{name}": value for name, value in own.items()}
        if own:
            metrics[f"baseline{suffix}"] = max(own.values())
    return metrics


def _summary(runs: Sequence[Document], arm: str, folds: Sequence[str]) -> Document:
    """Summarize each metric of an arm over the seeds that have it in every fold."""
    folded: dict[str, dict[int, list[float]]] = {}
    for run in runs:
        for name, value in run["metrics"].items() if run["arm"] == arm else ():
            folded.setdefault(name, {}).setdefault(run["seed"], []).append(value)
    complete = {
        name: {seed: fmean(values) for seed, values in by_seed.items() if len(values) == len(folds)}
        for name, by_seed in folded.items()
    }
    return {name: _interval(values) for name, values in complete.items() if values}


def _interval(values: Values) -> Document:
    mean, half = mean_interval(list(values.values()))
    rounded = {str(seed): float(f"{value:.6g}") for seed, value in values.items()}
    return {"mean": mean, "half": half, "values": rounded}


def _add_gap_ratio(summary: Document, reference: Document) -> None:
    """Add `modality_gap_ratio` to every arm: its gap divided by that of the arm without a pair term, seed by seed."""
    divisors = values_of(reference, "modality_gap")
    for arm in summary.values():
        ratios = {
            seed: gap / divisors[seed] for seed, gap in values_of(arm, "modality_gap").items() if divisors.get(seed)
        }
        if ratios:
            arm["modality_gap_ratio"] = _interval(ratios)


def _verdicts(summary: Document) -> Iterator[Document]:
    """Yield the verdicts: per arm, trained against untrained and best baseline; then the first arm against others."""
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
        for metric in first:
            if metric.partition(".")[0] in JUDGED:
                pair = values_of(first, metric), values_of(second, metric)
                verdict = compare(*pair, _better(metric), (labels[0], label))
                yield _row(f"{labels[0]} against {label}", labels[0], label, metric, verdict)


def _better(metric: str) -> Direction:
    return "higher" if metric.startswith("chosen") else describe_metric(metric).better


def _row(question: str, a: str, b: str, metric: str, verdict: Verdict) -> Document:
    numbers = {name: getattr(verdict, name) for name in ("outcome", "counts", "difference", "low", "high", "method")}
    return {"question": question, "a": a, "b": b, "metric": metric, **numbers, "text": verdict.text}


def _because(row: Document) -> str:
    return f": {row['message']}" if row["message"] else ""


def _machine(planned: Sequence[PlannedRun], folder: Path) -> Document:
    """Return the devices of the runs, and the versions that evaluated them."""
    import torch

    folders = [find_run(folder / "runs", run.config) for run in planned]
    devices = sorted({run.info().device for run in folders if run is not None} - {""})
    return {"python": platform.python_version(), "torch": torch.__version__, "devices": devices}
