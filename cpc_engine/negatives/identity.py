"""Identities of latents: modality, item, and position packed into one int64, so that copies can be found and masked.

Bit layout: 1 bit modality | 31 bits item | 16 bits position. The item is the number of its content, so that a sound or
picture that stands in several rows is one item (`data.dataset.Split.contents`). The step at which a latent was encoded
is not part of its identity, because an older encoding of the same position is still a copy of it. See
docs/method.md#identity-and-masks.
"""

from __future__ import annotations

from typing import NamedTuple

import torch
from torch import Tensor

from ..terms import MODALITIES, Modality

POSITION_BITS = 16
ITEM_BITS = 31
# Reserved position for latents of shuffled input, which belong to an item but to no position in it.
NO_POSITION = (1 << POSITION_BITS) - 1


def pack(modality: Modality, items: Tensor, positions: Tensor) -> Tensor:
    """Pack modality, item, and position into identities.

    Args:
        items: int64 item numbers, below 2³¹.
        positions: int64 positions, below 2¹⁶; broadcast against `items`.

    Returns:
        int64 identities of the broadcast shape.

    Example:
        >>> identities = pack("image", torch.tensor([[3], [5]]), torch.tensor([0, 1]))
        >>> identities.shape, item_index(identities[1]).tolist()
        (torch.Size([2, 2]), [5, 5])
    """
    modality_bit = MODALITIES.index(modality) << (ITEM_BITS + POSITION_BITS)
    return modality_bit | (items << POSITION_BITS) | positions


def item_of(identities: Tensor) -> Tensor:
    """Return modality and item as one number, which is equal for all latents of one clip or one image."""
    return identities >> POSITION_BITS


def item_index(identities: Tensor) -> Tensor:
    """Return the item without its modality: a row of the training items that holds the content."""
    return item_of(identities) & ((1 << ITEM_BITS) - 1)


class Mask(NamedTuple):
    """The cells of an (anchors × candidates) matrix that are not negatives: those where the two keys are equal.

    Attributes:
        anchors: (N,) int64 keys of the anchors.
        candidates: (n,) int64 keys of the candidates.
        second: (n,) int64 further keys of candidates that are mixed from two latents, −1 where both keys are the same;
            a cell is masked if either key is equal. None where candidates have one key.
        dense: whether so many cells are equal that comparing all keys takes less memory than a list of them.

    Example:
        >>> Mask(torch.tensor([7, 8]), torch.tensor([8, 9, 7, 8])).cells()
        (tensor([0, 1, 1]), tensor([2, 0, 3]))
        >>> Mask(torch.tensor([7, 8]), torch.tensor([8, 9, 7, 8]), torch.tensor([7, 9, -1, 5])).cells()
        (tensor([0, 0, 1, 1]), tensor([2, 0, 0, 3]))
    """

    anchors: Tensor
    candidates: Tensor
    second: Tensor | None = None
    dense: bool = False

    def cells(self) -> tuple[Tensor, Tensor]:
        """Find the masked cells by sorting, without building an (N, n) matrix.

        Returns:
            Rows and columns of the cells, int64, sorted by row.
        """
        rows, columns = _equal_pairs(self.anchors, self.candidates)
        if self.second is None:
            return rows, columns
        more_rows, more_columns = _equal_pairs(self.anchors, self.second)
        rows, order = torch.cat([rows, more_rows]).sort(stable=True)
        return rows, torch.cat([columns, more_columns])[order]

    def equal(self, rows: slice, columns: slice) -> Tensor:
        """The masked cells of some rows and columns, (b, n) bool, by comparing all keys."""
        equal = self.anchors[rows, None] == self.candidates[columns]
        return equal if self.second is None else equal | (self.anchors[rows, None] == self.second[columns])

    def counts(self) -> Tensor:
        """How many candidates are masked for each anchor, (N,) int64, without building an (N, n) matrix."""
        counts = torch.zeros_like(self.anchors)
        for keys in (self.candidates, self.second):
            if keys is not None:
                ordered = keys.sort().values
                counts += torch.searchsorted(ordered, self.anchors, right=True)
                counts -= torch.searchsorted(ordered, self.anchors)
        return counts


def _equal_pairs(anchors: Tensor, candidates: Tensor) -> tuple[Tensor, Tensor]:
    """All pairs (i, j) with anchors[i] == candidates[j], sorted by i."""
    ordered, order = torch.sort(candidates, stable=True)
    first = torch.searchsorted(ordered, anchors)
    counts = torch.searchsorted(ordered, anchors, right=True) - first
    rows = torch.repeat_interleave(torch.arange(len(anchors), device=anchors.device), counts)
    ends = counts.cumsum(0)
    within = torch.arange(len(rows), device=anchors.device) - (ends - counts)[rows]
    return rows, order[first[rows] + within]
