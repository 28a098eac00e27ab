"""Loading of runs for a comparison: final metrics, and settings changed during training."""

from __future__ import annotations

import json
from collections.abc import Mapping
from statistics import fmean
from typing import TYPE_CHECKING, Any

from ..config import all_settings
from ..errors import RunError
from ..evaluation.alarms import newest_geometry
from ..storage.folder import RunFolder
from .arms import Branch, ComparedRun

if TYPE_CHECKING:
    from ..evaluation.intervals import Floats

Probes = Mapping[str, Mapping[str, Any]]  # `ProbeRow` as a dict by feature


def final_metrics(folder: RunFolder) -> dict[str, float | None]:
    """Return the final metrics of a run by name; see `evaluation.metric_info` for their meaning.

    Loss, training time, contrastive accuracy, and geometry metrics come from the newest records. Once the run was
    evaluated, "probe.FEATURE" is the test accuracy of a probe, and "probe" that of the feature with the best validation
    accuracy, the mean over modalities; "knn.FEATURE" and "knn" are those of nearest neighbors on the same features.

    Raises:
        RunError: the folder is broken.
    """
    return _final_metrics(folder, _probes(folder)[0])


def _final_metrics(folder: RunFolder, probes: Probes) -> dict[str, float | None]:
    info, records = folder.info(), folder.records()
    metrics: dict[str, float | None] = {"loss": info.loss_last, "seconds": info.seconds}
    last = records[-1] if records else {}
    accuracies = [part.get("accuracy") for part in last.get("modalities", {}).values()]
    if accuracies and None not in accuracies:
        metrics["accuracy"] = sum(accuracies) / len(accuracies)
    metrics |= newest_geometry(records)
    metrics |= {f"probe.{name}": row["trained"] for name, row in probes.items()}
    if chosen := chosen_probes(probes):
        metrics["probe"] = fmean(row["trained"] for row in chosen.values())
        metrics |= {f"knn.{name}": row["knn"] for name, row in probes.items() if "knn" in row}
        if all("knn" in row for row in chosen.values()):  # evaluations of older versions have none
            metrics["knn"] = fmean(row["knn"] for row in chosen.values())
    return metrics


def _item_results(probes: Probes, rows: int) -> dict[str, Floats]:
    """Return the values per test item (N,) of the metrics of probes in `final_metrics`; of those whose items are kept.

    1 where the probe is right and 0 where it is wrong; of two modalities the mean over both halves of a pair, where no
    sound and no picture stands in several pairs.

    Args:
        rows: number of test items, of two modalities that of pairs.
    """
    import numpy as np

    from ..evaluation.intervals import from_digits

    found = {f"probe.{name}": from_digits(row["correct"]) for name, row in probes.items() if "correct" in row}
    chosen = list(chosen_probes(probes).values())
    if chosen and all(len(row.get("correct", "")) == rows for row in chosen):
        found["probe"] = np.mean([from_digits(row["correct"]) for row in chosen], axis=0)
    elif len(chosen) == 1 and "correct" in chosen[0]:
        found["probe"] = from_digits(chosen[0]["correct"])
    return found


def _untrained(probes: Probes) -> dict[str, float]:
    """Return the metrics of probes of the network before its first step, where they were measured.

    Its feature is chosen by its own validation accuracy, as that of the trained network is by the trained one's.
    """
    found = {f"probe.{name}": row["untrained"] for name, row in probes.items()}
    found |= {f"knn.{name}": row["untrained_knn"] for name, row in probes.items() if "untrained_knn" in row}
    if chosen := list(chosen_probes(probes, "untrained_validation").values()):
        found["probe"] = fmean(row["untrained"] for row in chosen)
        if all("untrained_knn" in row for row in chosen):  # evaluations of older versions have none
            found["knn"] = fmean(row["untrained_knn"] for row in chosen)
    return found


def _probes(folder: RunFolder) -> tuple[Probes, int]:
    """Return the probes of an evaluation, and its number of test items, of two modalities that of pairs."""
    evaluation = folder.json("evaluation")
    return ({}, 0) if evaluation is None else (evaluation["probe"], evaluation["test_items"])


def chosen_probes(probes: Mapping[str, Mapping[str, Any]], by: str = "validation") -> dict[str, Mapping[str, Any]]:
    """Return {modality: the row with the best validation accuracy}; the modality is "" where there is one.

    Args:
        probes: `ProbeRow` as a dict by feature ("mean_context" or "audio.mean_context"). by: the accuracy that chooses.
    """
    by_modality: dict[str, list[Mapping[str, Any]]] = {}
    for name, row in probes.items():
        by_modality.setdefault(name.rpartition(".")[0], []).append(row)
    return {modality: max(rows, key=lambda row: row[by]) for modality, rows in by_modality.items()}


def load_compared(folder: RunFolder) -> ComparedRun:
    """Load a run for a comparison; without the results of its evaluation where their file is damaged.

    Raises:
        RunError: the folder is broken.
    """
    info = folder.info()
    complete = info.status == "finished"
    probes: Probes = {}
    rows, damaged = 0, ""
    try:
        probes, rows = _probes(folder)
    except RunError as error:
        damaged = str(error)
    metrics, items = _final_metrics(folder, probes), _item_results(probes, rows)
    return ComparedRun(
        info.id,
        folder.config(),
        info.status,
        complete,
        metrics,
        changes_of(folder),
        items,
        _untrained(probes),
        {} if damaged else (folder.json("evaluation") or {}).get("item_digests", {}),
        damaged,
        branch_of(folder),
    )


def branch_of(folder: RunFolder) -> Branch | None:
    """Return where a run branched off; None where it is no fork, or of a version that did not keep it.

    Raises:
        RunError: fork.json is damaged.
    """
    values = folder.json("fork")
    if values is None:
        return None
    return Branch(values["of"], values["step"], values.get("control", ""), values.get("seed"))


def changes_of(folder: RunFolder) -> tuple[tuple[int, str, str], ...]:
    """Return (step, setting, value as JSON) of every setting that was changed during training.

    What names no live setting is left out: a run may come from someone else, and its events are written into commands.
    """
    live = {setting.path for setting in all_settings() if setting.live}
    return tuple(
        (int(event["step"]), event["setting"], json.dumps(event["value"]))
        for event in folder.events()
        if event.get("kind") == "change" and event.get("setting") in live and {"step", "value"} <= event.keys()
    )


def is_evaluated(run: ComparedRun) -> bool:
    """Return whether the run has probes, so that it was evaluated."""
    return any(name.startswith("probe.") for name in run.metrics)
