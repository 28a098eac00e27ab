"""A finished network against its baselines: probes on held-out items, with intervals."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, fields
from typing import Any

import torch
from torch import Tensor

from ..config import EvaluationConfig
from ..data.items import Dataset, Modality
from ..model import MultiModalCPC
from .baselines import raw_features
from .embed import Features, embed
from .probe import Probe, fit_probe, wilson_interval


@dataclass(frozen=True)
class ProbeRow:
    """Held-out accuracy of one kind of feature, 0…1.

    Attributes:
        trained, untrained, raw: of the trained network, the same network untrained, and the raw input.
        interval: 95 % Wilson interval of `trained`. strength: C, chosen on validation.
        validation, untrained_validation: what validation said of `trained` and `untrained`; they choose a feature.
    """

    trained: float
    untrained: float
    raw: float
    interval: tuple[float, float]
    strength: float
    validation: float
    untrained_validation: float

    def to_dict(self) -> dict[str, Any]:
        return {**vars(self), "interval": list(self.interval)}


@dataclass(frozen=True)
class Report:
    """Probe rows by feature ("mean_context", or "audio.mean_context" where there are two modalities), and for each
    modality the probe that validation likes best with the name of its feature."""

    rows: dict[str, ProbeRow]
    best: dict[Modality, tuple[str, Probe]]


def probe_report(
    model: MultiModalCPC,
    untrained: MultiModalCPC,
    data: Dataset,
    config: EvaluationConfig,
    progress: Callable[[str, float], None] = lambda text, share: None,
) -> Report:
    """Fit every probe on training items, choose its strength on validation, and read it once on test.

    Args:
        untrained: the same architecture from the same seed, before its first step.
        progress: called with what is being done and the share done, 0…1.
    """
    train = data.train.take(balanced_rows(data.train.labels, config.probe_items))
    splits = (train, data.validation, data.test)
    labels = [split.labels.cpu().numpy() for split in splits]
    names = [field.name for field in fields(Features)]
    total = len(model.modalities) * (1 + 2 * len(names))
    done = 0

    def fit(columns: list[Tensor]) -> Probe:
        nonlocal done
        progress("fitting probes", done / total)
        done += 1
        x = [column.numpy() for column in columns]
        return fit_probe(x[0], labels[0], x[1], labels[1], config.strengths, len(data.classes))

    progress("embedding", 0.0)
    trained_features = [embed(model, split) for split in splits]
    untrained_features = [embed(untrained, split) for split in splits]
    rows: dict[str, ProbeRow] = {}
    best: dict[Modality, tuple[str, Probe]] = {}
    for modality in model.modalities:
        audio = model.audio_features if modality == "audio" else None
        raw_columns = [raw_features(modality, split, audio) for split in splits]
        raw = fit(raw_columns).accuracy(raw_columns[2].numpy(), labels[2])
        for name in names:
            columns = [getattr(features[modality], name) for features in trained_features]
            probe = fit(columns)
            trained = probe.accuracy(columns[2].numpy(), labels[2])
            others = [getattr(features[modality], name) for features in untrained_features]
            untrained_probe = fit(others)
            row = ProbeRow(
                trained=trained,
                untrained=untrained_probe.accuracy(others[2].numpy(), labels[2]),
                raw=raw,
                interval=wilson_interval(round(trained * len(labels[2])), len(labels[2])),
                strength=probe.strength,
                validation=probe.validation_accuracy,
                untrained_validation=untrained_probe.validation_accuracy,
            )
            rows[name if len(model.modalities) == 1 else f"{modality}.{name}"] = row
            if modality not in best or probe.validation_accuracy > best[modality][1].validation_accuracy:
                best[modality] = (name, probe)
    return Report(rows, best)


def balanced_rows(labels: Tensor, limit: int) -> Tensor:
    """Rows of at most `limit` items, the same number of every class as far as they go, in their order."""
    labels = labels.cpu()
    if len(labels) <= limit:
        return torch.arange(len(labels))
    rank = torch.zeros_like(labels)
    for label in labels.unique():
        mine = labels == label
        rank[mine] = torch.arange(int(mine.sum()))
    return torch.sort(torch.argsort(rank, stable=True)[:limit]).values
