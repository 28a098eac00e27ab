"""Positives of earlier batches, kept in a first-in-first-out queue (memory bank) per modality."""

from __future__ import annotations

from typing import Any

from ..settings import Section, setting
from .base import CandidateSet, NegativeSource, SourceInputs, StepShape


class QueueSettings(Section):
    """The queue and the momentum encoder that fills it."""

    queue_size: int = setting(
        0,
        "Past positives kept as negatives, per modality (0: no queue).",
        label="Queue size",
        unit="latents",
        ge=0,
        le=262_144,
        low="few negatives beyond the batch",
        high="old keys; without a momentum encoder the latents can collapse",
    )
    queue_per_item: int = setting(
        0, "Latents of each item that enter the queue per step (0: all).", label="Enqueued per item", ge=0, le=1024
    )
    queue_delay: int = setting(
        0,
        "Steps before the queue's latents count as negatives.",
        label="Queue warm-up",
        unit="steps",
        ge=0,
        le=100_000,
    )
    queue_max_age: int = setting(
        0,
        "Oldest age of a queued latent that still counts (0: any).",
        label="Max key age",
        unit="steps",
        ge=0,
        le=1_000_000,
    )
    key_momentum: float = setting(
        0.0,
        "EMA rate of a second, slower encoder that makes positives and queue (0: off).",
        label="Momentum encoder (MoCo m)",
        ge=0,
        le=0.99999,
        low="keys change as fast as the encoder",
        high="keys lag far behind; learning is slow",
    )


def _count(sampler: Any, shape: StepShape) -> int:
    """The queue counted full."""
    return int(sampler.queue_size)


def _draw(inputs: SourceInputs) -> CandidateSet | None:
    sampler: QueueSettings = inputs.settings
    if not len(inputs.queue) or inputs.step < sampler.queue_delay:
        return None
    past = inputs.queue.entries(inputs.step, sampler.queue_max_age)
    return CandidateSet("queue", past.vectors, past.ids, past.labels) if len(past.ids) else None


SOURCE = NegativeSource(
    name="queue",
    label="queue",
    color="orange",
    order=1,
    summary="Futures of earlier batches, oldest out first (memory bank).",
    count=_count,
    draw=_draw,
    off={"sampler.queue_size": 0},
    recipe={"sampler.queue_size": 1024},
    settings=QueueSettings,
)
