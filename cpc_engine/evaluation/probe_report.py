"""Probe report of a trained network: test accuracy of every feature, beside an untrained network and the raw input."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, fields
from typing import Any

from torch import Tensor

from ..config import RunConfig
from ..data.dataset import Dataset
from ..data.splits import sample_rows
from ..model import MultiModalCPC
from ..terms import Modality
from .baselines import raw_features
from .embed import Features, embed
from .intervals import wilson_interval
from .probe import Probe, fit_probe


@dataclass(frozen=True)
class ProbeRow:
    """Probe accuracy of one kind of feature, from 0 to 1.

    Attributes:
        trained, untrained, raw: test accuracy with the trained network, the same network untrained, and the raw input.
        interval: 95 % Wilson interval of `trained`.
        strength: C of the trained network's probe, chosen on validation items.
        validation, untrained_validation: validation accuracy of the first two; the feature is chosen by it.
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
    """Probes of a network.

    Attributes:
        rows: by feature, "mean_context", or "audio.mean_context" where there are two modalities.
        best: per modality, (feature, probe) with the highest validation accuracy.
    """

    rows: dict[str, ProbeRow]
    best: dict[Modality, tuple[str, Probe]]


def probe_report(
    model: MultiModalCPC,
    untrained: MultiModalCPC,
    data: Dataset,
    config: RunConfig,
    progress: Callable[[str, float], None] = lambda text, share: None,
) -> Report:
    """Fit a probe for every feature on training items, choose its C on validation items, and measure it on test items.

    Args:
        model: the trained network.
        untrained: the same architecture from the same seed, before its first step.
        progress: called with a description of the current work and the share done, 0 to 1.
    """
    train = data.train.take(sample_rows(data.train, config.evaluation.probe_items, config.data.seed))
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
        return fit_probe(x[0], labels[0], x[1], labels[1], config.evaluation.strengths, len(data.classes))

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
            untrained_columns = [getattr(features[modality], name) for features in untrained_features]
            untrained_probe = fit(untrained_columns)
            row = ProbeRow(
                trained=trained,
                untrained=untrained_probe.accuracy(untrained_columns[2].numpy(), labels[2]),
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
