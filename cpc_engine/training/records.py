"""Records of training steps, as written to metrics.jsonl."""

from __future__ import annotations

import math
from dataclasses import asdict, dataclass
from typing import Any

from ..model import Encoding
from ..negatives.infonce import InfoNCE
from ..negatives.source_stats import HardNegative, SourceStats


@dataclass(frozen=True)
class ModalityRecord:
    """The record of one modality in one step. Similarities are not divided by τ; losses are in nats.

    Attributes:
        loss: InfoNCE loss, averaged over horizons.
        accuracy: share of anchors whose positive scores at least as high as every negative.
        positive_mass: softmax probability p₊ of the positive, averaged over anchors.
        positive_similarity: similarity between anchors and their positives, averaged over anchors.
        queue: number of latents in the modality's queue before this step.
        latents_per_item: number of positions per item that are candidates, those from the smallest horizon on.
        horizons: loss per horizon, keyed by the horizon as text; "global" for the global–local term.
        sources: statistics per source of negatives.
    """

    loss: float
    accuracy: float
    positive_mass: float
    positive_similarity: float
    queue: int
    latents_per_item: int
    horizons: dict[str, float]
    sources: dict[str, SourceStats]


@dataclass(frozen=True)
class StepRecord:
    """The record of one step.

    Attributes:
        step: counted from 1.
        seconds: training time since the start of the run in s, without pauses.
        loss: total loss in nats.
        learning_rate: learning rate of the step.
        temperature: τ in the step.
        gradient_norm: norm of the gradient before clipping.
        pair_loss: loss of the pair term before multiplication by its weight; 0 without a pair term.
        modalities: record per modality.
        items: record of the item-level term per modality, with item embeddings for latents; None without it.
        geometry: metrics on held-out items; None on steps without them.
        hard: hardest negatives of a few anchors per modality; None on the same steps.
    """

    step: int
    seconds: float
    loss: float
    learning_rate: float
    temperature: float
    gradient_norm: float
    pair_loss: float
    modalities: dict[str, ModalityRecord]
    items: dict[str, ModalityRecord] | None = None
    geometry: dict[str, float] | None = None
    hard: dict[str, list[HardNegative]] | None = None

    def to_dict(self) -> dict[str, Any]:
        """Convert to plain JSON values with six significant digits. Numbers that are not finite become null.

        Example:
            >>> record = StepRecord(1, 0.5, float("nan"), 1e-3, 0.2, 1 / 3, 0.0, modalities={})
            >>> record.to_dict()["loss"], record.to_dict()["gradient_norm"]
            (None, 0.333333)
        """
        return {key: value for key, value in _plain(asdict(self)).items() if value is not None or key == "loss"}


def loss_record(
    result: InfoNCE, per_item: int, queued: int, loss: float | None = None, horizons: dict[str, float] | None = None
) -> ModalityRecord:
    """Return the record of a loss with source statistics.

    Args:
        per_item: number of candidates per item.
        queued: number of latents in the queue before the step.
        loss: in nats; that of the result by default.
        horizons: loss per horizon.
    """
    stats = result.stats
    assert stats is not None
    return ModalityRecord(
        loss=result.loss.item() if loss is None else loss,
        accuracy=stats.accuracy,
        positive_mass=stats.positive_mass,
        positive_similarity=stats.positive_similarity,
        queue=queued,
        latents_per_item=per_item,
        horizons=horizons or {},
        sources={str(name): source for name, source in stats.sources.items()},
    )


def prediction_record(result: InfoNCE, encoding: Encoding, per_item: int, queued: int) -> ModalityRecord:
    """Return the record of the prediction of later positions, with a loss for each horizon."""
    horizons, begin = {}, 0
    for k, vectors in encoding.predictions.items():
        count = vectors.shape[0] * vectors.shape[1]
        horizons[str(k)] = result.losses[begin : begin + count].mean().item()
        begin += count
    loss = sum(horizons.values()) / len(horizons)
    if begin < len(result.losses):
        horizons["global"] = result.losses[begin:].mean().item()
    return loss_record(result, per_item, queued, loss, horizons)


def _plain(value: Any) -> Any:
    """Round floats in nested dicts and lists, and replace those that are not finite by None."""
    if isinstance(value, dict):
        return {key: _plain(inner) for key, inner in value.items()}
    if isinstance(value, list):
        return [_plain(inner) for inner in value]
    if isinstance(value, float):
        return float(f"{value:.6g}") if math.isfinite(value) else None
    return value
