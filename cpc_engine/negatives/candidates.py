"""What an anchor is scored against: candidates by source, and which of them are masked."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import torch
from torch import Tensor

from .identity import Mask, item_index, item_of

SourceName = Literal["in_batch", "queue", "perturbed", "shuffled", "cross_modal"]
SOURCES: tuple[SourceName, ...] = ("in_batch", "queue", "perturbed", "shuffled", "cross_modal")


@dataclass
class Source:
    """Candidates of one origin.

    Attributes:
        vectors: (n, d), n ≥ 1; gradients flow through it unless it is detached.
        ids: (n,) int64 identities.
        labels: (n,) int64 class of the item each came from.
    """

    name: SourceName
    vectors: Tensor
    ids: Tensor
    labels: Tensor


@dataclass
class Candidates:
    """All candidates of one modality in one step; `sources[0]` is `in_batch` and holds every anchor's positive.

    A `shuffled` source that only permutes the in-batch latents is, as a set, those latents a second time. It is
    described by `mirror` and never stored or multiplied: see `infonce`.

    Attributes:
        mirror: what the permuted copy is: absent, "attached" (gradients flow) or "detached".
        mode: "seed" masks nothing, "exclude_positives" masks every copy of an anchor's own positive.
        same_item: whether other positions of the anchor's own item count.
    """

    sources: list[Source]
    mirror: Literal["absent", "attached", "detached"] = "absent"
    mode: Literal["seed", "exclude_positives"] = "exclude_positives"
    same_item: bool = True

    def counts(self) -> dict[SourceName, int]:
        """Candidates per source, the mirrored one included, before masks."""
        counts = {source.name: len(source.ids) for source in self.sources}
        if self.mirror != "absent":
            counts["shuffled"] = counts["in_batch"]
        return counts

    def masks(self, positives: Tensor) -> list[Mask | None]:
        """Per source, the (anchor, candidate) cells that are no negatives; in-batch, the positive's own cell is one.

        Args:
            positives: (N,) int64, column of each anchor's positive among the in-batch candidates.
        """
        if self.mode == "seed":
            columns = torch.arange(len(self.sources[0].ids), device=positives.device)
            return [Mask(positives, columns), *(None for _ in self.sources[1:])]
        own = self.sources[0].ids[positives]
        masks: list[Mask | None] = []
        for source in self.sources:
            if source.name == "cross_modal":  # the paired item is the same event in the other modality
                masks.append(Mask(item_index(own), item_index(source.ids)))
            elif self.same_item:
                masks.append(Mask(own, source.ids))
            else:
                masks.append(Mask(item_of(own), item_of(source.ids)))
        return masks


def by_class(candidates: Candidates, positives: Tensor) -> tuple[Candidates, Tensor]:
    """The same candidates, those of every source sorted by class, and where each anchor's positive is then.

    A softmax does not mind their order, and the account can then sum a class as one stretch of columns.
    """
    sources = []
    for source in candidates.sources:
        if bool((source.labels[1:] < source.labels[:-1]).any()):
            order = source.labels.argsort(stable=True)
            if source is candidates.sources[0]:
                positives = order.argsort()[positives]
            source = Source(source.name, source.vectors[order], source.ids[order], source.labels[order])
        sources.append(source)
    return Candidates(sources, candidates.mirror, candidates.mode, candidates.same_item), positives
