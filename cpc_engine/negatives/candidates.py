"""The candidates that anchors are scored against, grouped by source, and their masks."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import torch
from torch import Tensor

from ..sources import SOURCES, CandidateSet
from .identity import Mask, item_index, item_of


@dataclass
class Candidates:
    """All candidates of one modality in one step.

    A `shuffled` source that only permutes the in-batch latents is the same set of vectors again. It is represented by
    `permuted`; its vectors are neither stored nor multiplied (see docs/method.md#block-wise-loss).

    Attributes:
        sources: candidates by source. `sources[0]` is `in_batch` and contains the positive of every anchor.
        permuted: whether there is a permuted copy of the in-batch latents, and whether gradients flow through it
            ("attached") or not ("detached").
        mode: "reference" masks nothing; "exclude_positives" masks every copy of an anchor's own positive.
        same_item: whether other positions of the anchor's own item count as negatives.

    Example:
        >>> ids = torch.arange(4)
        >>> in_batch = CandidateSet("in_batch", torch.eye(4), ids, labels=ids % 2)
        >>> Candidates([in_batch], permuted="attached").counts()
        {'in_batch': 4, 'shuffled': 4}
    """

    sources: list[CandidateSet]
    permuted: Literal["absent", "attached", "detached"] = "absent"
    mode: Literal["reference", "exclude_positives"] = "exclude_positives"
    same_item: bool = True

    def counts(self) -> dict[str, int]:
        """Number of candidates per source before masks, including the permuted copy."""
        counts = {source.name: len(source.ids) for source in self.sources}
        if self.permuted != "absent":
            counts["shuffled"] = counts["in_batch"]
        return counts

    def masks(self, positives: Tensor) -> list[Mask | None]:
        """Determine which (anchor, candidate) cells are not negatives (see docs/method.md#identity-and-masks).

        The positive's own cell in the in-batch source is one of them.

        Args:
            positives: (N,) int64, column of each anchor's positive in the in-batch source.

        Returns:
            One mask per source; None if all cells are negatives.
        """
        if self.mode == "reference":
            columns = torch.arange(len(self.sources[0].ids), device=positives.device)
            return [Mask(positives, columns), *(None for _ in self.sources[1:])]
        own = self.sources[0].ids[positives]
        masks: list[Mask | None] = []
        for source in self.sources:
            if SOURCES[source.name].other_modality:  # leave out all latents of the paired items
                masks.append(Mask(_pairs(self.sources[0])[positives], _pairs(source)))
            elif self.same_item:
                masks.append(Mask(own, source.ids))
            else:
                masks.append(Mask(item_of(own), item_of(source.ids)))
        return masks


def _pairs(source: CandidateSet) -> Tensor:
    """The pair number of each candidate, (N,) int64."""
    return item_index(source.ids) if source.pairs is None else source.pairs


def by_class(candidates: Candidates, positives: Tensor) -> tuple[Candidates, Tensor]:
    """Sort the candidates of every source by class, so that statistics of a class are sums over adjacent columns.

    The order of candidates does not affect a softmax.

    Args:
        positives: (N,) int64, column of each anchor's positive in the in-batch source.

    Returns:
        The sorted candidates, and the new columns of the positives.

    Example:
        >>> in_batch = CandidateSet("in_batch", torch.eye(3), torch.arange(3), labels=torch.tensor([1, 0, 1]))
        >>> ordered, positives = by_class(Candidates([in_batch]), torch.arange(3))
        >>> ordered.sources[0].labels, positives
        (tensor([0, 1, 1]), tensor([1, 0, 2]))
    """
    sources = []
    for source in candidates.sources:
        if bool((source.labels[1:] < source.labels[:-1]).any()):
            order = source.labels.argsort(stable=True)
            if source is candidates.sources[0]:
                positives = order.argsort()[positives]
            pairs = None if source.pairs is None else source.pairs[order]
            source = CandidateSet(source.name, source.vectors[order], source.ids[order], source.labels[order], pairs)
        sources.append(source)
    return Candidates(sources, candidates.permuted, candidates.mode, candidates.same_item), positives
