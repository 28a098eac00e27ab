"""Loading of runs for a comparison: final metrics, and settings changed during training."""

from __future__ import annotations

import json

from ..storage.folder import RunFolder
from .verdicts import ComparedRun


def final_metrics(folder: RunFolder) -> dict[str, float | None]:
    """Return the final metrics of a run by name; see `evaluation.metric_info` for their meaning.

    Loss, training time, contrastive accuracy, and geometry metrics come from the newest records; "probe.FEATURE" is the
    test accuracy of a probe, once the run was evaluated.

    Raises:
        RunError: the folder is broken.
    """
    info, records = folder.info(), folder.records()
    metrics: dict[str, float | None] = {"loss": info.loss_last, "seconds": info.seconds}
    last = records[-1] if records else {}
    accuracies = [part.get("accuracy") for part in last.get("modalities", {}).values()]
    if accuracies and None not in accuracies:
        metrics["accuracy"] = sum(accuracies) / len(accuracies)
    metrics |= next((r["geometry"] for r in reversed(records) if r.get("geometry")), {})
    evaluation = folder.json("evaluation")
    probes = evaluation.get("probe", {}) if isinstance(evaluation, dict) else {}
    metrics |= {f"probe.{name}": row["trained"] for name, row in probes.items() if "trained" in row}
    return metrics


def load_compared(folder: RunFolder) -> ComparedRun:
    """Load a run for a comparison.

    Raises:
        RunError: the folder is broken.
    """
    info = folder.info()
    complete = info.status == "finished"
    return ComparedRun(info.id, folder.config(), info.status, complete, final_metrics(folder), changes_of(folder))


def changes_of(folder: RunFolder) -> tuple[tuple[int, str, str], ...]:
    """Return (step, setting, value as JSON) of every setting that was changed during training."""
    return tuple(
        (int(event["step"]), str(event["setting"]), json.dumps(event["value"]))
        for event in folder.events()
        if event.get("kind") == "change" and {"step", "setting", "value"} <= event.keys()
    )


def is_evaluated(run: ComparedRun) -> bool:
    """Return whether the run has probes, so that it was evaluated."""
    return any(name.startswith("probe.") for name in run.metrics)
