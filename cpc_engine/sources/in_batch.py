"""The positives of all other anchors of the batch."""

from __future__ import annotations

from typing import Any

from .base import CandidateSet, NegativeSource, SourceInputs, StepShape


def _count(sampler: Any, shape: StepShape) -> int:
    return shape.batch * shape.futures if sampler.in_batch else 0


def _draw(inputs: SourceInputs) -> CandidateSet:
    futures = inputs.futures
    return CandidateSet("in_batch", futures.vectors, futures.ids, futures.labels, futures.pairs)


SOURCE = NegativeSource(
    name="in_batch",
    label="in-batch",
    color="blue",
    order=0,
    summary="True futures of all other anchors of the batch.",
    count=_count,
    draw=_draw,
)
