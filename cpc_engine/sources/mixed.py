"""Mixtures of two negatives that are hard for the same anchor: synthetic hard negatives (MoCHi).

Reference: Kalantidis et al. 2020 (arXiv 2010.01028); docs/method.md#mixed.
"""

from __future__ import annotations

from typing import Any

from ..settings import Section, setting
from .base import CandidateSet, Keys, NegativeSource, SourceInputs, StepShape
from .queue import SOURCE as QUEUE

ANCHORS = 128  # most anchors of a step whose hardest negatives are looked for, which takes most of the time


class MixedSettings(Section):
    """Mixed negatives."""

    mixed: int = setting(
        0,
        "Negatives made in each step by mixing two that are hard for one anchor (0: none).",
        label="Mixed (MoCHi)",
        unit="latents",
        ge=0,
        le=65_536,
        live=True,
        low="too few to change the mean over negatives",
        high="false negatives, which are among the hardest, are multiplied",
    )
    mixed_pool: int = setting(
        64,
        "Of its hardest negatives, how many an anchor's mixtures are drawn from.",
        label="Hard pool of mixed",
        unit="latents",
        ge=2,
        le=4096,
        live=True,
        speed=False,
        low="only the very hardest are mixed, which are often false negatives",
        high="easy negatives are mixed too",
    )


def _count(sampler: Any, shape: StepShape) -> int:
    return int(sampler.mixed)


def _draw(inputs: SourceInputs) -> CandidateSet | None:
    """α n_a + (1 − α) n_b for up to 128 random anchors in turn, α ≥ ½; of unit length where cosine similarity is used.

    Both parents are drawn from the in-batch and queued latents that are most similar to the anchor, without those that
    are not its negatives. The first identity is that of the parent with the larger part. A mixture has a class only if
    both parents have it.
    """
    count, anchors, futures = inputs.settings.mixed, inputs.anchors, inputs.futures
    if count == 0 or anchors is None:
        return None
    import torch
    from torch.nn import functional as F

    past = QUEUE.draw(inputs)
    pools: list[Keys | CandidateSet] = [futures] if past is None else [futures, past]
    vectors = torch.cat([pool.vectors.detach().float() for pool in pools])
    ids, labels = (torch.cat([getattr(pool, name) for pool in pools]) for name in ("ids", "labels"))
    if len(ids) < 2:
        return None
    generator, device = inputs.generator, vectors.device
    drawn = min(count, ANCHORS)
    chosen = torch.randint(len(anchors.vectors), (drawn,), generator=generator, device=device)
    positives = anchors.positives[chosen]
    own = inputs.mask_key(futures.ids[positives], futures.labels[positives])
    scores = anchors.vectors[chosen] @ vectors.T
    scores.masked_fill_(own[:, None] == inputs.mask_key(ids, labels), -torch.inf)
    hardest, columns = scores.topk(min(inputs.settings.mixed_pool, len(ids)), dim=1)
    # With fewer than two negatives, the anchor's own positive becomes a parent; the mask knows.
    turn = torch.arange(count, device=device) % drawn
    usable = (hardest > -torch.inf).sum(1).clamp(min=2)[turn]
    draw = torch.rand(3, count, generator=generator, device=device)
    first = (draw[0] * usable).long()
    second = (first + 1 + (draw[1] * (usable - 1)).long()) % usable
    a, b = columns[turn, first], columns[turn, second]
    part = 0.5 + 0.5 * draw[2, :, None]  # which of two random parents is the first does not matter
    mixed = part * vectors[a] + (1 - part) * vectors[b]
    none = labels.amax() + 1  # a class that no anchor has
    return CandidateSet(
        "mixed",
        F.normalize(mixed, dim=1) if inputs.cosine else mixed,
        ids[a],
        torch.where(labels[a] == labels[b], labels[a], none),
        second=ids[b],
        parents=torch.stack([labels[a], labels[b]]),
    )


SOURCE = NegativeSource(
    name="mixed",
    label="mixed (MoCHi)",
    color="sky",
    order=5,
    summary="Mixtures of two negatives that are hard for the same anchor.",
    count=_count,
    draw=_draw,
    off={"sampler.mixed": 0},
    recipe={"sampler.mixed": 256},
    settings=MixedSettings,
    copies=True,
)
