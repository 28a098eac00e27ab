"""The candidates that anchors are scored against, grouped by source, and their masks."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Literal

import torch
from torch import Tensor

from ..sources import SOURCES, CandidateSet
from .identity import Mask, item_index, item_of
from .weighting import Weighting


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
        weighting: how much each negative counts; None if all count alike.
        same_class: whether items of the anchor's own class count as negatives.
        in_batch: whether the in-batch source holds negatives, and not only the positives; always where it is permuted.

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
    weighting: Weighting | None = None
    in_batch: bool = True
    same_class: bool = True

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
        nothing = Mask(torch.zeros_like(positives), torch.zeros_like(self.sources[0].ids))
        if self.mode == "reference":
            columns = torch.arange(len(self.sources[0].ids), device=positives.device)
            return [Mask(positives, columns) if self.in_batch else nothing, *(None for _ in self.sources[1:])]
        own = self.sources[0].ids[positives]
        masks: list[Mask | None] = []
        for source in self.sources:
            if source.name == "in_batch" and not self.in_batch:
                masks.append(nothing)
            elif not self.same_class:  # copies of the positive, the item, and its pairs are all of its class
                first, second = (source.labels, None) if source.parents is None else source.parents
                masks.append(_mask(self.sources[0].labels[positives], first, second, dense=True))
            elif SOURCES[source.name].other_modality:  # leave out all latents of the paired items
                masks.append(Mask(_pairs(self.sources[0])[positives], _pairs(source)))
            elif self.same_item:
                masks.append(_mask(own, source.ids, source.second))
            else:
                second = None if source.second is None else item_of(source.second)
                masks.append(_mask(item_of(own), item_of(source.ids), second))
        return masks

    def negatives(self, masks: list[Mask | None], anchors: int) -> Tensor:
        """How many negatives each anchor has, permuted copies included, (N,) float32.

        Args:
            masks: the result of `masks`. anchors: N.
        """
        in_batch = self.sources[0]
        count = torch.full((anchors,), sum(self.counts().values()), device=in_batch.ids.device)
        copies = 1 if self.permuted == "absent" else 2
        for index, mask in enumerate(masks):
            if mask is not None and index == 0 and self.mode == "reference" and self.in_batch:
                count -= 1  # the positive's own cell, whose permuted copy is a negative
            elif mask is not None:
                count -= mask.counts() * (copies if index == 0 else 1)
        return count.float()


def _mask(anchors: Tensor, keys: Tensor, second: Tensor | None, dense: bool = False) -> Mask:
    """A mask by one or two keys per candidate; the second counts only where it differs."""
    return Mask(anchors, keys, None if second is None else torch.where(second == keys, -1, second), dense)


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
            pairs, second = (None if x is None else x[order] for x in (source.pairs, source.second))
            parents = None if source.parents is None else source.parents[:, order]
            vectors, ids, labels = source.vectors[order], source.ids[order], source.labels[order]
            source = CandidateSet(source.name, vectors, ids, labels, pairs, second, parents)
        sources.append(source)
    return replace(candidates, sources=sources), positives
