"""Where items lie at each step that a run keeps weights of: one plane a step, in which any item can be placed."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from torch.nn import functional as F

from ..evaluation.metrics import encode
from ..maps.projection import Floats, planes_over_time
from ..terms import Modality
from .opened import Opened

SHOWN = 120  # held-out items, evenly spaced over the map's
_AT_ONCE = 64  # encoded together


@dataclass(frozen=True, repr=False)
class Places:
    """Held-out items of one modality at S steps.

    Attributes:
        opened: the run at each step. rows: (N,) of the items, among `Opened.items`.
        layouts: (S, N, 2): PCA of unit-length mean contexts at each step, turned onto the step before.
    """

    opened: Sequence[Opened]
    modality: Modality
    rows: np.ndarray
    layouts: Floats
    _planes: Sequence[tuple[Floats, Floats]]

    def __repr__(self) -> str:
        return f"<Places of {len(self.rows)} items at steps {', '.join(str(one.step) for one in self.opened)}>"

    def way(self, row: int) -> Floats:
        """(S, 2) where an item at a row of `Opened.items` lies at each step."""
        places = []
        for one, (mean, axes) in zip(self.opened, self._planes, strict=True):
            places.append((contexts(one, self.modality, [row])[0] - mean) @ axes)
        return np.stack(places)


def places(opened: Sequence[Opened], modality: Modality, count: int = SHOWN) -> Places:
    """Lay out held-out items of a run's map at each step.

    Args:
        opened: the same run at rising steps. count: items at most.
    """
    rows = opened[0].held_out_rows(count)
    features = [contexts(one, modality, rows.tolist()) for one in opened]
    planes = planes_over_time(features)
    layouts = np.stack([(x - mean) @ axes for x, (mean, axes) in zip(features, planes, strict=True)])
    return Places(opened, modality, rows, layouts, planes)


@torch.no_grad()
def contexts(opened: Opened, modality: Modality, rows: Sequence[int]) -> Floats:
    """(n, h) unit-length mean contexts of items at rows of `Opened.items`, without augmentation."""
    parts = []
    with opened.drawing:  # no other page meets the network in evaluation mode
        for some in torch.tensor(rows).split(_AT_ONCE):
            parts.append(encode(opened.trainer.model, opened.items.take(some), [modality])[modality].contexts)
    found: Floats = F.normalize(torch.cat(parts), dim=1).double().numpy()
    return found
