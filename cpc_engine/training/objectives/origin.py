"""Where the rows of a batch come from."""

from __future__ import annotations

from typing import NamedTuple

from torch import Tensor

from ...terms import Modality


class Origin(NamedTuple):
    """Where the B rows of a batch come from.

    Attributes:
        items: (B,) int64 number of the content by modality. labels: (B,) int64 classes. pairs: (B,) int64 pair numbers.
        places: (B,) int64 position of the first latent of each clip in its recording.
    """

    items: dict[Modality, Tensor]
    labels: Tensor
    pairs: Tensor
    places: Tensor
