"""What features are worth, judged alike for every method: the engine's probe and its nearest neighbors.

Every kind of feature that a method offers gets both; which kind counts, validation items decide.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor

from cpc_engine.config import RunConfig
from cpc_engine.data.dataset import Dataset, Split
from cpc_engine.data.splits import sample_rows
from cpc_engine.evaluation.probes.knn import nearest_neighbors
from cpc_engine.evaluation.probes.probe import fit_probe

GLANCE = 1000  # training items that a look in the course of training compares with; half as many validation items

FeaturesOf = Callable[[Split], dict[str, Tensor]]


def judge(features: FeaturesOf, data: Dataset, config: RunConfig) -> dict[str, dict[str, Any]]:
    """Return for every kind of feature what `row` says; training items are those that the probe of a run sees."""
    splits = (probe_items(data, config), data.validation, data.test)
    labels = [split.labels.cpu() for split in splits]
    found = [features(split) for split in splits]
    return {name: row([part[name] for part in found], labels, len(data.classes), config) for name in found[0]}


def probe_items(data: Dataset, config: RunConfig) -> Split:
    """Return the training items that probes are fitted on: each content once."""
    rows = sample_rows(data.train, config.evaluation.probe_items, config.data.seed)
    return data.train.take(rows)


def row(x: list[Tensor], y: list[Tensor], classes: int, config: RunConfig) -> dict[str, Any]:
    """Judge one kind of feature.

    Args:
        x: (N, F), (M, F) and (T, F) features of training, validation and test items. y: their int64 classes.

    Returns:
        Accuracies of the probe (`validation`, `test`) and of nearest neighbors (`knn_validation`, `knn_test`); of both
        one digit for each test item, 1 where it is right (`correct`, `knn_correct`); the chosen `strength` and
        `neighbors`; whether the probe `converged`.
    """
    values, classes_of = [part.numpy() for part in x], [part.numpy() for part in y]
    strengths = config.evaluation.strengths
    probe = fit_probe(values[0], classes_of[0], values[1], classes_of[1], strengths, classes)
    near = nearest_neighbors(x[0], y[0], x[1], y[1], x[2])
    right = {"correct": torch.from_numpy(probe.predict(values[2])) == y[2], "knn_correct": near.predicted == y[2]}
    return {
        "width": x[0].shape[1],
        "validation": probe.validation_accuracy,
        "test": float(right["correct"].float().mean()),
        "strength": probe.strength,
        "converged": probe.converged,
        "knn_validation": near.validation,
        "knn_test": float(right["knn_correct"].float().mean()),
        "neighbors": near.neighbors,
        **{name: "".join(map(str, one.int().tolist())) for name, one in right.items()},
    }


def glance(features: FeaturesOf, data: Dataset, config: RunConfig) -> float:
    """Return the accuracy of nearest neighbors on some validation items, with the best kind of feature for them."""
    train = data.train.take(sample_rows(data.train, GLANCE, config.data.seed))
    held = data.validation.take(sample_rows(data.validation, GLANCE // 2, config.data.seed))
    x, z = features(train), features(held)
    y, held_y = train.labels.cpu(), held.labels.cpu()
    return max(nearest_neighbors(x[name], y, z[name], held_y, z[name]).validation for name in x)
