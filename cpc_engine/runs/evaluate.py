"""Evaluate a run on its own data set and keep what was found with it."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from ..data import load_dataset
from ..errors import DataError, RunError
from ..evaluation.measures import measure
from ..evaluation.report import balanced_rows, probe_report
from ..training.trainer import new_model
from .folder import RunFolder
from .frozen import load_model, save_probes, save_typicality


def evaluate_run(
    folder: RunFolder, path: str | None = None, progress: Callable[[str, float], None] = lambda text, share: None
) -> dict[str, Any]:
    """Measures and probes on held-out items; writes evaluation.json and the probe, and returns the former.

    Args:
        path: where the data set is now, when it is not where it was.

    Raises:
        RunError: the run has no weights. DataError: the data set is missing or another one.
    """
    config = folder.config()
    if path is not None:
        config = config.replace({"data.path": path})
    if not folder.has_tensors("weights"):
        raise RunError(f"{folder.id} has no weights yet: it has not ended")
    progress("loading data", 0.0)
    data = load_dataset(config)
    trained_on = folder.facts()
    if list(data.classes) != trained_on["classes"]:
        raise DataError(f"{folder.id} learned {trained_on['classes']}, these data have {list(data.classes)}")
    model = load_model(folder)
    report = probe_report(model, new_model(config, data), data, config.evaluation, progress)
    shown = data.test.take(balanced_rows(data.test.labels, max(config.evaluation.items, 512)))
    found: dict[str, Any] = {
        "run": folder.id,
        **measure(model, shown, config),
        "test_items": len(data.test),
        "probe": {name: row.to_dict() for name, row in report.rows.items()},
        "chosen_feature": {modality: name for modality, (name, _) in report.best.items()},
    }
    if not folder.has_tensors("typicality"):
        progress("measuring what is typical", 1.0)
        save_typicality(folder, model, data)
    save_probes(folder, report.best)
    folder.save_json("evaluation", found)
    return found
