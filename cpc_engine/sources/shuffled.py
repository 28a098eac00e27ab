"""Positives in another order, or latents of the input with its frames or tiles in random order."""

from __future__ import annotations

from typing import Any, Literal

from ..settings import Section, setting
from .base import CandidateSet, NegativeSource, SourceInputs, StepShape


class ShuffledSettings(Section):
    """Shuffled negatives."""

    shuffled: Literal["off", "batch", "time", "input"] = setting(
        "off",
        "batch, time: permuted latents (the same candidates as in-batch); input: the input shuffled and encoded again.",
        label="Shuffled",
        words={"off": "off", "batch": "in batch", "time": "in time", "input": "input"},
        live=True,
    )


def _count(sampler: Any, shape: StepShape) -> int:
    if sampler.shuffled == "off":
        return 0
    return shape.batch * (shape.length if sampler.shuffled == "input" else shape.futures)


def _draw(inputs: SourceInputs) -> CandidateSet | None:
    """Latents of the shuffled input. A permutation of in-batch latents needs no vectors of its own."""
    keys = inputs.shuffled_input
    if inputs.settings.shuffled != "input" or keys is None:
        return None
    vectors = keys.vectors.detach() if inputs.settings.detach_synthetic else keys.vectors
    return CandidateSet("shuffled", vectors, keys.ids, keys.labels)


SOURCE = NegativeSource(
    name="shuffled",
    label="shuffled",
    color="purple",
    order=3,
    summary="Futures in another order, or the input shuffled and encoded again.",
    count=_count,
    draw=_draw,
    off={"sampler.shuffled": "off"},
    recipe={"sampler.shuffled": "time"},
    settings=ShuffledSettings,
    copies=True,
)
