"""How similar a step's candidates are to its anchors, as a whole, and how much queued latents differ from new ones.

Of each step that a run can be opened at the batch is the one that it trained on next, so the mean of a distribution is
the similarity that the next record has.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor
from torch.nn import functional as F

from ..evaluation.metrics import renewed
from ..terms import Modality
from .frozen import Frozen
from .lineup import derive, unfolded
from .opened import Opened

BINS = 60
ANCHORS = 1024  # whose candidates are counted, evenly spaced over the loss
QUEUED = 512  # latents that are encoded again, evenly spaced from the oldest to the newest
_LOGITS, _ITEMS = 8 << 20, 64  # at once


@dataclass(frozen=True)
class Distribution:
    """Histograms of similarities to anchors, not divided by τ.

    Attributes:
        step: number of finished steps.
        edges: (b + 1,) of the bins.
        positive: (b,) number of anchors by the similarity of their positive.
        sources: (b,) number of (anchor, candidate) pairs by similarity and source; masked ones are left out.
        closer: how many of those pairs, by source, are of a candidate that is more similar to the anchor than its
            positive.
    """

    step: int
    edges: Tensor
    positive: Tensor
    sources: dict[str, Tensor]
    closer: dict[str, int]


@torch.no_grad()
def distribution(frozen: Frozen, most: int = ANCHORS) -> Distribution:
    """Count the candidates of a batch by their similarity, under the run's own settings.

    Args:
        most: anchors that are looked at.
    """
    inputs, candidates = frozen.draw(frozen.opened.config)
    sources, total = unfolded(candidates), len(inputs.positives)
    chosen = torch.linspace(0, total - 1, min(most, total)).round().long()
    size = max(1, _LOGITS // sum(len(source.ids) for source in sources))
    low, high = -1.0, 1.0
    if not inputs.sampler.cosine:  # products of vectors have no bounds
        longest = max(float(source.vectors.float().norm(dim=1).max()) for source in sources if len(source.ids))
        high = float(inputs.anchors.float().norm(dim=1).max()) * longest
        low = -high
    positive = torch.zeros(BINS)
    counts, closer = {source.name: torch.zeros(BINS) for source in sources}, {source.name: 0 for source in sources}
    for rows in chosen.split(size):
        matching, logits, _ = derive(inputs, candidates, rows)
        positive += _histogram(matching / inputs.scale, low, high)
        parts = logits.split([len(source.ids) for source in sources], 1)
        for source, part in zip(sources, parts, strict=True):
            counts[source.name] += _histogram(part[part > -torch.inf] / inputs.scale, low, high)
            closer[source.name] += int((part > matching[:, None]).sum())
    return Distribution(frozen.opened.step, torch.linspace(low, high, BINS + 1), positive, counts, closer)


@dataclass(frozen=True)
class Staleness:
    """Queued latents by their age, and how similar each is to the same position encoded now.

    Attributes:
        ages: (n,) int64, steps since they were encoded. cosines: (n,).
    """

    ages: Tensor
    cosines: Tensor


@torch.no_grad()
def staleness(opened: Opened, modality: Modality, most: int = QUEUED) -> Staleness | None:
    """Encode queued latents of the prediction term again, without augmentation.

    Args:
        most: latents.

    Returns:
        None where the run has no queue, or stores none: one that was filled again says nothing of drift.
    """
    queue = opened.samplers("prediction")[modality].queue.state()
    count = len(queue["ids"])
    if count == 0 or opened.refilled:
        return None
    chosen = torch.linspace(0, count - 1, min(most, count)).round().long()
    new = torch.cat([renewed(opened.trainer, modality, ids) for ids in queue["ids"][chosen].split(_ITEMS)])
    cosines = F.cosine_similarity(queue["vectors"][chosen].float(), new, dim=1)
    return Staleness(opened.step - queue["steps"][chosen], cosines)


def _histogram(values: Tensor, low: float, high: float) -> Tensor:
    return torch.histc(values.float().clamp(low, high), BINS, low, high)
