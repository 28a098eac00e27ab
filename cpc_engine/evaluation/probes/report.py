"""Probe report of a trained network: test accuracy of every feature, beside an untrained network and the raw input."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from ...config import RunConfig
from ...data.dataset import Dataset, Split
from ...data.splits import sample_rows
from ...model import MultiModalCPC
from ...terms import Modality
from ..baselines import raw_features
from ..embed import Features, embed
from ..intervals import wilson_interval
from .knn import Neighbors, nearest_neighbors
from .plan import Part, Plan, Progress
from .probe import Probe, fit_probe

_ITEM_SECONDS = 0.003  # guess of the time to embed an item
_PROBE_SECONDS = 1e-7  # guess by item, feature and class
_RAW_WIDTH: dict[Modality, int] = {"image": 3072, "audio": 128}


@dataclass(frozen=True)
class ProbeRow:
    """Accuracy that one kind of feature allows, from 0 to 1.

    Attributes:
        trained, untrained, raw: test accuracy of a linear probe with the trained network, the same network untrained,
            and the raw input.
        interval: 95 % Wilson interval of `trained`.
        strength: C of the trained network's probe, chosen on validation items.
        validation, untrained_validation: validation accuracy of the first two; the feature is chosen by it.
        knn, untrained_knn: test accuracy of nearest neighbors, without any training.
        neighbors: their number for the trained network, chosen on validation items.
        correct, untrained_correct: "1" for every test item that the linear probe classifies correctly, "0" for every
            other one, in the order of the distinct test items (`Split.distinct`).
        at_bound: whether `strength` is a bound of the search, so that a better one may lie beyond.
        converged: whether all three regressions reached their tolerance.
    """

    trained: float
    untrained: float
    raw: float
    interval: tuple[float, float]
    strength: float
    validation: float
    untrained_validation: float
    knn: float
    untrained_knn: float
    neighbors: int
    correct: str
    untrained_correct: str
    at_bound: bool
    converged: bool

    def to_dict(self) -> dict[str, Any]:
        return {**vars(self), "interval": list(self.interval)}


@dataclass(frozen=True)
class Report:
    """Probes of a network.

    Attributes:
        rows: by feature, "mean_context", or "audio.mean_context" where there are two modalities.
        best: per modality, (feature, probe) with the highest validation accuracy.
    """

    rows: dict[str, ProbeRow]
    best: dict[Modality, tuple[str, Probe]]


@dataclass(frozen=True)
class _Found:
    """What one feature of one network allows."""

    probe: Probe
    accuracy: float
    correct: str
    near: Neighbors
    near_accuracy: float


def probe_report(
    model: MultiModalCPC,
    untrained: MultiModalCPC,
    data: Dataset,
    config: RunConfig,
    progress: Progress = lambda text, share: None,
) -> Report:
    """Fit a probe for every feature on training items, choose its C on validation items, and measure it on test items.

    Args:
        model: the trained network.
        untrained: the same architecture from the same seed, before its first step.
        progress: called with a description of the current work and the share of its time that has passed, 0 to 1.
    """
    train = data.train.take(sample_rows(data.train, config.evaluation.probe_items, config.data.seed))
    splits = {"training": train, "validation": data.validation, "test": data.test}
    # An item that stands in several pairs is one item.
    distinct = {m: [split.distinct(m).cpu() for split in splits.values()] for m in model.modalities}
    device = next(model.parameters()).device
    sample = embed(model, train.take(torch.tensor([0])))
    keys = [(modality, name) for modality in model.modalities for name in sample[modality].names()]
    plan = Plan(_parts(sample, splits, len(data.classes)), progress)

    def measure(modality: Modality, features: list[Tensor]) -> _Found:
        with plan.next():
            columns = [column[rows] for column, rows in zip(features, distinct[modality], strict=True)]
            labels = [s.labels.cpu()[rows] for s, rows in zip(splits.values(), distinct[modality], strict=True)]
            x, y = ([part.numpy() for part in parts] for parts in (columns, labels))
            probe = fit_probe(x[0], y[0], x[1], y[1], config.evaluation.strengths, len(data.classes), device)
            right = probe.predict(x[2]) == y[2]
            near = nearest_neighbors(columns[0], labels[0], columns[1], labels[1], columns[2])
            near_accuracy = float((near.predicted == labels[2]).float().mean())
            return _Found(probe, float(right.mean()), "".join(map(str, right.astype(int))), near, near_accuracy)

    raw: dict[Modality, _Found] = {}
    for modality in model.modalities:
        audio = model.audio_features if modality == "audio" else None
        raw[modality] = measure(modality, [raw_features(modality, split, audio) for split in splits.values()])
    found: list[dict[tuple[Modality, str], _Found]] = []
    for network in (model, untrained):
        embedded = []
        for split in splits.values():
            with plan.next() as inside:
                embedded.append(embed(network, split, progress=inside))
        found.append({key: measure(key[0], [getattr(e[key[0]], key[1]) for e in embedded]) for key in keys})

    rows: dict[str, ProbeRow] = {}
    best: dict[Modality, tuple[str, Probe]] = {}
    for modality, name in keys:
        ours, theirs, pixels = found[0][modality, name], found[1][modality, name], raw[modality]
        rows[name if len(model.modalities) == 1 else f"{modality}.{name}"] = ProbeRow(
            trained=ours.accuracy,
            untrained=theirs.accuracy,
            raw=pixels.accuracy,
            interval=wilson_interval(ours.correct.count("1"), len(ours.correct)),
            strength=ours.probe.strength,
            validation=ours.probe.validation_accuracy,
            untrained_validation=theirs.probe.validation_accuracy,
            knn=ours.near_accuracy,
            untrained_knn=theirs.near_accuracy,
            neighbors=ours.near.neighbors,
            correct=ours.correct,
            untrained_correct=theirs.correct,
            at_bound=ours.probe.at_bound,
            converged=all(found.probe.converged for found in (ours, theirs, pixels)),
        )
        if modality not in best or ours.probe.validation_accuracy > best[modality][1].validation_accuracy:
            best[modality] = (name, ours.probe)
    return Report(rows, best)


def _parts(sample: dict[Modality, Features], splits: dict[str, Split], classes: int) -> list[Part]:
    """Return the parts of a report in their order.

    Args:
        sample: the features of one item; gives their widths.
    """
    keys = [(modality, name) for modality, features in sample.items() for name in features.names()]
    total, items = len(sample) + 2 * len(keys), len(splits["training"])
    number = 0

    def probe(name: str, width: int) -> Part:
        nonlocal number
        number += 1
        return Part(f"probe {number} of {total}: {name}", "probe", _PROBE_SECONDS * items * (width + 200) * classes)

    parts = [probe(f"raw {modality}", _RAW_WIDTH[modality]) for modality in sample]
    for suffix in ("", ", untrained"):
        for name, split in splits.items():
            guess = _ITEM_SECONDS * len(split) * len(sample)
            parts.append(Part(f"embedding {name} items{suffix}", "embedding", guess))
        for modality, name in keys:
            width = getattr(sample[modality], name).shape[1]
            parts.append(probe(name.replace("_", " ") + suffix, width))
    return parts
