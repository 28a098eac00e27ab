"""Who a latent is: modality, item and position packed into one int64, so that copies can be found and masked.

Bit layout: 1 bit modality | 31 bits item | 16 bits position. The step is kept beside it, not inside: an older
encoding of the same position is still a copy of it.
"""

from __future__ import annotations

from typing import NamedTuple

import torch
from torch import Tensor

from ..data.items import MODALITIES, Modality

POSITION_BITS = 16
ITEM_BITS = 31
SCRAMBLED = (
    1 << POSITION_BITS
) - 1  # position of a latent of shuffled input: it belongs to the item, to no place in it


def pack(modality: Modality, items: Tensor, positions: Tensor) -> Tensor:
    """Identities of latents; `items` and `positions` (int64) broadcast against each other."""
    side = MODALITIES.index(modality) << (ITEM_BITS + POSITION_BITS)
    return side | (items << POSITION_BITS) | positions


def item_of(identities: Tensor) -> Tensor:
    """Modality and item together: equal for all latents of one sound or one picture."""
    return identities >> POSITION_BITS


def item_index(identities: Tensor) -> Tensor:
    """The item alone, without its modality: equal for both halves of a pair."""
    return item_of(identities) & ((1 << ITEM_BITS) - 1)


class Mask(NamedTuple):
    """Which cells of an (anchors × candidates) matrix are no negatives: those whose keys are equal.

    Attributes:
        anchors: (N,) int64. candidates: (n,) int64.
    """

    anchors: Tensor
    candidates: Tensor

    def cells(self) -> tuple[Tensor, Tensor]:
        """Rows and columns of the masked cells, int64, sorted by row; found by sorting, no (N, n) matrix is made."""
        return _equal_pairs(self.anchors, self.candidates)


def _equal_pairs(anchors: Tensor, candidates: Tensor) -> tuple[Tensor, Tensor]:
    ordered, order = torch.sort(candidates, stable=True)
    first = torch.searchsorted(ordered, anchors)
    counts = torch.searchsorted(ordered, anchors, right=True) - first
    rows = torch.repeat_interleave(torch.arange(len(anchors), device=anchors.device), counts)
    ends = counts.cumsum(0)
    within = torch.arange(len(rows), device=anchors.device) - (ends - counts)[rows]
    return rows, order[first[rows] + within]
