"""Latents of the other modality of the same batch."""

from __future__ import annotations

from typing import Any

from ..settings import Section, setting
from .base import CandidateSet, NegativeSource, SourceInputs, StepShape


class CrossModalSettings(Section):
    """Cross-modal negatives."""

    cross_modal: bool = setting(
        False, "Add the other modality's latents of the batch as negatives.", label="Cross-modal", live=True
    )
    detach_cross_modal: bool = setting(
        False, "Stop the gradient through cross-modal negatives.", label="Stop-gradient: cross-modal", live=True
    )


def _count(sampler: Any, shape: StepShape) -> int:
    return shape.batch * shape.other if sampler.cross_modal else 0


def _draw(inputs: SourceInputs) -> CandidateSet | None:
    keys = inputs.other
    if not inputs.settings.cross_modal or keys is None:
        return None
    vectors = keys.vectors.detach() if inputs.settings.detach_cross_modal else keys.vectors
    return CandidateSet("cross_modal", vectors, keys.ids, keys.labels, keys.pairs)


SOURCE = NegativeSource(
    name="cross_modal",
    label="cross-modal",
    color="vermilion",
    order=4,
    summary="The other modality's latents of the same batch.",
    count=_count,
    draw=_draw,
    off={"sampler.cross_modal": False},
    recipe={"sampler.cross_modal": True},
    settings=CrossModalSettings,
    other_modality=True,
)
