"""Evaluation of a run on its own data set; the results are kept in its folder."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from ..comparison.collect import branch_of
from ..config import RunConfig
from ..data.dataset import Dataset
from ..data.relations.same_items import names_digest
from ..data.splits import sample_rows
from ..errors import RunError
from ..evaluation.metrics import geometry_metrics
from ..evaluation.probes.report import Report, probe_report
from ..model import MultiModalCPC
from ..storage.artifacts import load_data, load_model, save_ood_reference, save_probes
from ..storage.folder import RunFolder
from ..storage.info import ACTIVE
from ..storage.lock import at_work
from ..training.initial import new_model
from .device import enough_memory, pick_device


def evaluate_run(
    folder: RunFolder, path: str | None = None, progress: Callable[[str, float], None] = lambda text, share: None
) -> dict[str, Any]:
    """Compute metrics and probes on test items, on the run's device, and write evaluation.json and the probes.

    The folder of an example is never changed: its results are only returned.

    Args:
        folder: of a run that has weights.
        path: location of the data set, if it has moved since training.
        progress: called with a description of the current work and the share of its time that has passed, 0 to 1.

    Returns:
        The content of evaluation.json: geometry metrics (see `geometry_metrics`), "run", "test_items", "probe" (one
        `ProbeRow` per feature), "chosen_feature" (per modality), and "item_digests" (per modality, of the names of the
            distinct test items, in the order of `ProbeRow.correct`).

    Raises:
        RunError: the run has no weights or is still going on, or another process is at work on it. DataError: the data
            set is missing or is not the one that the run learned from. StorageError: the folder cannot be written,
            which is found before all work. OutOfMemoryError: it takes more memory than there is.
    """
    config = folder.config()
    if path is not None:
        config = config.replace({"data.path": path})
    if not folder.has_tensors("weights"):
        raise RunError(f"{folder.id} has no weights yet: it has not ended")
    info = folder.info()
    if info.status in ACTIVE:  # also one that waits, and would meet this at work when its turn comes
        raise RunError(f"{folder.id} is still going on")
    if info.is_example:
        with enough_memory(config, trains=False):
            return _measured(folder, config, progress)[0]
    with at_work(folder.path), enough_memory(config, trains=False):
        folder.check_writable()
        evaluation, report, model, data = _measured(folder, config, progress)
        if not folder.has("ood"):
            progress("fitting the out-of-distribution score", 1.0)
            save_ood_reference(folder, model, data)
        save_probes(folder, report.best)
        folder.save_json("evaluation", evaluation)
    return evaluation


def _measured(
    folder: RunFolder, config: RunConfig, progress: Callable[[str, float], None]
) -> tuple[dict[str, Any], Report, MultiModalCPC, Dataset]:
    """Measure a run; nothing is written."""
    progress("loading data", 0.0)
    device = pick_device(config.run.device)
    data = load_data(folder, config, device)
    model = load_model(folder).to(device)
    # The weights of a fork were drawn with the seed of the run that it branched off.
    branch = branch_of(folder)
    first = config.run.seed if branch is None or branch.seed is None else branch.seed
    untrained = new_model(config.replace({"run.seed": first}), data)
    report = probe_report(model, untrained, data, config, progress)
    progress("measuring the geometry", 1.0)
    items = data.test.take(sample_rows(data.test, max(config.evaluation.items, 512), config.data.seed))
    evaluation: dict[str, Any] = {
        "run": folder.id,
        **geometry_metrics(model, items, config),
        "test_items": len(data.test),
        "item_digests": {
            modality: names_digest(data.test.names[row] for row in data.test.distinct(modality).tolist())
            for modality in model.modalities
        },
        "probe": {name: row.to_dict() for name, row in report.rows.items()},
        "chosen_feature": {modality: name for modality, (name, _) in report.best.items()},
    }
    return evaluation, report, model, data
