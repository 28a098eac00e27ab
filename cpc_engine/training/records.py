"""What a step says about itself."""

from __future__ import annotations

import math
from dataclasses import asdict, dataclass
from typing import Any

from ..negatives.account import HardNegative, SourceAccount


@dataclass(frozen=True)
class ModalityRecord:
    """One modality's part of a step; similarities are before division by τ.

    Attributes:
        horizons: loss per horizon, keyed by the horizon's number as text.
        queue: latents in the modality's queue before this step.
        latents_per_item: positions of one item that are some anchor's future.
    """

    loss: float
    accuracy: float
    positive_mass: float
    positive_similarity: float
    queue: int
    latents_per_item: int
    horizons: dict[str, float]
    sources: dict[str, SourceAccount]


@dataclass(frozen=True)
class StepRecord:
    """One recorded step.

    Attributes:
        step: from 1. seconds: training time since the run began, pauses not counted.
        gradient_norm: before clipping. pair_loss: of the pair term, before its weight; 0 without one.
        geometry: measures on held-out items, on the steps where they were taken.
        hard: the hardest negatives of a few anchors per modality; kept on the same steps.
    """

    step: int
    seconds: float
    loss: float
    learning_rate: float
    temperature: float
    gradient_norm: float
    pair_loss: float
    modalities: dict[str, ModalityRecord]
    geometry: dict[str, float] | None = None
    hard: dict[str, list[HardNegative]] | None = None

    def to_dict(self) -> dict[str, Any]:
        """Plain JSON values with six significant digits; a number that is not finite becomes null."""
        return {key: value for key, value in _plain(asdict(self)).items() if value is not None or key == "loss"}


def _plain(value: Any) -> Any:
    if isinstance(value, dict):
        return {key: _plain(inner) for key, inner in value.items()}
    if isinstance(value, list):
        return [_plain(inner) for inner in value]
    if isinstance(value, float):
        return float(f"{value:.6g}") if math.isfinite(value) else None
    return value
