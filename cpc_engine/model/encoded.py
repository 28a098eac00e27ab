"""What an encoder makes of its inputs, and the summary of a sequence or map."""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

import torch
from torch import Tensor


class Encoded(NamedTuple):
    """The output of an encoder for N inputs.

    Attributes:
        latents: (N, T, d).
        summary: (N, 3 · width), `summary` of its maps; None for encoders without maps of the whole input.
        first: (N, f), means of a first layer from the data over parts of the input; None without one, and in training.
    """

    latents: Tensor
    summary: Tensor | None = None
    first: Tensor | None = None

    def split(self, sizes: list[int]) -> list[Encoded]:
        """Split the inputs into groups of the given sizes."""
        columns = ([None] * len(sizes) if part is None else part.split(sizes) for part in self)
        return [Encoded(*parts) for parts in zip(*columns, strict=True)]


def summary(values: Tensor) -> Tensor:
    """Return mean, maximum and standard deviation over positions, (N, c, positions) → (N, 3c).

    Example:
        >>> summary(torch.tensor([[[1.0, 3.0]]]))
        tensor([[2., 3., 1.]])
    """
    return torch.cat([values.mean(2), values.amax(2), values.std(2, correction=0)], 1)


def whole_summary(encoded: Encoded, contexts: Callable[[Tensor], Tensor]) -> Tensor:
    """Return the summary of what an encoder made, or of its contexts where it has no maps, (B, s).

    Args:
        contexts: latents (B, T, d) to contexts (B, T, h).
    """
    if encoded.summary is not None:
        return encoded.summary
    return summary(contexts(encoded.latents).transpose(1, 2).float())
