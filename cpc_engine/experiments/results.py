"""Results of an experiment: metrics per run, means with intervals per arm, and verdicts.

`collect` returns one JSON document, from which the report, the tables, and docs/experiments.md are made:

experiment, title, question       from the definition
command, quick, seeds, folds      how the runs were made
machine                           devices of the runs, versions of Python and torch
recipe                            see `recipe.recipe`; trained: the code, versions, and devices that trained the runs
without_pair                      arm whose modality gap the other gaps are divided by, or null
arms: label, preset, overrides, steps
primary                           metric that decides which arm is better
runs: arm, seed, fold, run (id), status, message, metrics {name: value},
      correct {"chosen", "untrained", "baseline": right and wrong test items, see `items.pack`},
      item_digests {modality: digest of the names of the test items} of finished runs
summary: {arm: {metric: {"mean", "half", "interval", "values": {seed: value}}}}
      half width of the 95 % t interval, or null; interval: what it covers, "seeds", "seeds × items", "seeds × speakers"
verdicts: question, a, b, metric, role ("primary" or "exploratory"), outcome, counts, text, difference, low, high, p,
      adjusted (p, corrected within the table), method
"""

from __future__ import annotations

import platform
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from ..comparison.arms import same_items
from ..comparison.collect import final_metrics
from ..comparison.judge import corrected
from ..comparison.verdicts import Verdict, compare_cells
from ..config import RunConfig
from ..errors import RunError
from ..evaluation.intervals import Cells, hierarchical_interval, single_values
from ..evaluation.metric_info import SIZE_DEPENDENT, Direction, describe_metric
from ..storage.folder import RunFolder
from .definitions import Experiment, run_title
from .items import Rows, accuracies, cells_of, pack
from .recipe import Recipe, recipe
from .runner import PlannedRun, baselines_of, find_run, fingerprint_of, source_of

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
    of_arm = {arm["label"]: [run for run in runs if run["arm"] == arm["label"]] for arm in arms}
    summary = {label: _summary(rows, experiment) for label, rows in of_arm.items()}
    if experiment.without_pair in summary:
        _add_gap_ratio(summary, summary[experiment.without_pair])
    return {
        "experiment": experiment.name,
        "title": experiment.title,
        "question": experiment.question,
        "command": command,
        "quick": quick,
        "machine": _machine(planned, folder),
        "recipe": _recipe(experiment, planned, runs, folder, command),
        "seeds": sorted({run.seed for run in planned}),
        "folds": list(experiment.folds),
        "without_pair": experiment.without_pair,
        "primary": experiment.primary,
        "arms": arms,
        "runs": runs,
        "summary": summary,
        "verdicts": [
            *_against_no_training(of_arm, summary, experiment),
            *_against_the_first(of_arm, configs, experiment),
        ],
    }


def values_of(summary: Mapping[str, Any], metric: str) -> Values:
    """Return {seed: value} of a metric of one arm (a value of `document["summary"]`); empty if it has none."""
    return {int(seed): value for seed, value in summary.get(metric, {}).get("values", {}).items()}


def gpus(document: Document) -> list[str]:
    """Return the names of the GPUs that trained the runs; none where processors did."""
    trained = document.get("recipe", {}).get("trained", ())
    return sorted({source["device"]["gpu"] for source in trained if source and "gpu" in source["device"]})


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
        return {**row, "metrics": {}, "correct": {}}
    info = run_folder.info()
    row |= {"run": run_folder.id, "status": info.status, "message": info.message}
    if info.status != "finished":
        return {**row, "metrics": {}, "correct": {}}
    row["item_digests"] = (run_folder.json("evaluation") or {}).get("item_digests", {})
    metrics, correct = _metrics(run_folder, baselines_of(folder, run_folder.config()) or {})
    return {**row, "metrics": {name: float(f"{value:.6g}") for name, value in metrics.items()}, "correct": correct}


def _metrics(folder: RunFolder, baselines: Rows) -> tuple[dict[str, float], dict[str, str]]:
    """Return the metrics of a finished run, and its right and wrong test items, packed, where they are kept.

    The metrics are final metrics, geometry and probes on test items, baselines, and `items.accuracies`.
    """
    metrics = {name: value for name, value in final_metrics(folder).items() if value is not None}
    evaluation = folder.json("evaluation") or {"probe": {}}
    counts = set(SIZE_DEPENDENT.values())  # of the same items as what they are counts for
    metrics |= {
        name: float(value)
        for name, value in evaluation.items()
        if isinstance(value, float) or (isinstance(value, int) and name.rpartition(".")[2] in counts)
    }
    probes = evaluation["probe"]
    metrics |= {f"untrained.{name}": row["untrained"] for name, row in probes.items()}
    metrics |= {f"untrained_knn.{name}": row["untrained_knn"] for name, row in probes.items() if "knn" in row}
    metrics |= {f"baseline.{name}": row["accuracy"] for name, row in baselines.items()}
    found = accuracies(probes, baselines)
    metrics |= {name: accuracy for name, (accuracy, _) in found.items()}
    return metrics, {name: pack(digits) for name, (_, digits) in found.items() if digits is not None}


def _summary(runs: Sequence[Document], experiment: Experiment) -> Document:
    """Summarize each metric of one arm over the seeds that have it in every fold."""
    names = dict.fromkeys(name for run in runs for name in run["metrics"])
    tables = {name: cells_of([(runs, name)], list(experiment.folds))[0] for name in names}
    return {name: _interval(cells, experiment.unit) for name, cells in tables.items() if cells}


def _interval(cells: Cells, unit: str) -> Document:
    found = hierarchical_interval(cells, unit)
    values = {str(seed): float(f"{hierarchical_interval({seed: row}).mean:.6g}") for seed, row in cells.items()}
    return {"mean": found.mean, "half": found.half, "interval": found.covers, "values": values}


def _add_gap_ratio(summary: Document, reference: Document) -> None:
    """Add `modality_gap_ratio` to every arm: its gap divided by that of the arm without a pair term, seed by seed."""
    divisors = values_of(reference, "modality_gap")
    for arm in summary.values():
        ratios = {
            seed: gap / divisors[seed] for seed, gap in values_of(arm, "modality_gap").items() if divisors.get(seed)
        }
        if ratios:
            arm["modality_gap_ratio"] = _interval(single_values(ratios), "")


def _against_no_training(
    of_arm: Mapping[str, Sequence[Document]], summary: Document, experiment: Experiment
) -> Iterator[Document]:
    """Yield the verdicts of each arm against the untrained network and the best baseline, corrected together."""
    tests = {}
    for label, arm in summary.items():
        for suffix in suffixes(arm):
            for kind, name in (("untrained", "untrained"), ("baseline", "best baseline")):
                series = [(of_arm[label], f"{metric}{suffix}") for metric in ("chosen", kind)]
                a, b = cells_of(series, list(experiment.folds))
                verdict = compare_cells(a, b, "higher", ("trained", name), folds=experiment.unit)
                tests[label, name, f"chosen{suffix}"] = verdict
    for (label, name, metric), verdict in corrected(tests, lambda key: True).items():
        question = f"Does training beat the {'untrained network' if name == 'untrained' else name}?"
        yield _row(question, label, name, metric, "primary", verdict)


def _against_the_first(
    of_arm: Mapping[str, Sequence[Document]], configs: Mapping[str, RunConfig], experiment: Experiment
) -> Iterator[Document]:
    """Yield the verdicts of the first arm against each other arm, corrected together."""
    first, *others = of_arm
    names = dict.fromkeys(name for run in of_arm[first] for name in run["metrics"])
    tests = {}
    for label in others:
        both = [(configs[arm], run) for arm in (first, label) for run in of_arm[arm] if run["metrics"]]
        same = all(
            same_items((config, run.get("item_digests", {})) for config, run in both if run["fold"] == fold)
            for fold in experiment.folds
        )
        for metric in names:
            if metric.partition(".")[0] in (*JUDGED, experiment.primary):
                series = [(of_arm[arm], metric) for arm in (first, label)]
                a, b = cells_of(series, list(experiment.folds), items=same)
                tests[label, metric] = compare_cells(a, b, _better(metric), (first, label), folds=experiment.unit)

    def is_primary(key: tuple[str, str]) -> bool:
        return key[1].partition(".")[0] == experiment.primary

    for key, verdict in corrected(tests, is_primary).items():
        role = "primary" if is_primary(key) else "exploratory"
        yield _row(f"{first} against {key[0]}", first, key[0], key[1], role, verdict)


def _better(metric: str) -> Direction:
    return "higher" if metric.startswith("chosen") else describe_metric(metric).better


def _row(question: str, a: str, b: str, metric: str, role: str, verdict: Verdict) -> Document:
    fields = ("outcome", "counts", "difference", "low", "high", "p", "adjusted", "method")
    numbers = {name: getattr(verdict, name) for name in fields}
    return {"question": question, "a": a, "b": b, "metric": metric, "role": role, **numbers, "text": verdict.text}


def _recipe(
    experiment: Experiment, planned: Sequence[PlannedRun], runs: Sequence[Document], folder: Path, command: str
) -> Recipe:
    """Return the recipe of the finished runs."""
    presets = {arm.label: arm.preset for arm in experiment.arms}
    configs: dict[str, tuple[str, RunConfig]] = {}
    data: dict[str, str | None] = {}
    sources: list[Recipe | None] = []
    for run, row in zip(planned, runs, strict=True):
        if row["status"] == "finished":
            title = run_title(run.arm, run.fold)
            config = RunFolder(folder / "runs" / row["run"]).config()
            configs[title] = presets[run.arm], config
            data[title] = fingerprint_of(folder, config)
            if (found := source_of(folder, row["run"])) not in sources:
                sources.append(found)
    return {**recipe(command, configs, data), "trained": sources}


def _because(row: Document) -> str:
    return f": {row['message']}" if row["message"] else ""


def _machine(planned: Sequence[PlannedRun], folder: Path) -> Document:
    """Return the devices of the runs, and the versions that evaluated them."""
    import torch

    folders = [find_run(folder / "runs", run.config) for run in planned]
    devices = sorted({run.info().device for run in folders if run is not None} - {""})
    return {"python": platform.python_version(), "torch": torch.__version__, "devices": devices}
