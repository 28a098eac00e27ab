"""A first layer that is taken from the data instead of learned: directions of whitened patches, as a convolution.

Coates & Ng 2012, "Learning Feature Representations with K-means": see `docs/method.md#residual-encoder`.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from .patches import Reader, fit_patches

SIDE = 6  # of a patch
STRIDE = 2
_SAMPLED = 256  # items that the scale of each output is measured on


class Dictionary(nn.Module):
    """A convolution of contrast-normalized patches with the directions of k-means centroids, rectified and scaled.

    An output is the projection of the whitened patch on a direction where that is positive, and 0 elsewhere; over the
    training items it has a standard deviation of 1. `fit` computes the filters once. They are stored with the weights
    and not trained. The statistics of a patch come from the patch alone, so a bright background or a loud clip changes
    little.

    Shapes: (B, C, H, W) → (B, k, (H − 6) // 2 + 1, (W − 6) // 2 + 1).

    Args:
        channels: C. directions: k, number of outputs.
        floor: ε, added to the variance of a patch in contrast normalization, in the units of the input.

    Example:
        >>> layer = Dictionary(channels=3, directions=8, floor=0.01)
        >>> layer.fit(lambda rows: torch.randn(len(rows), 3, 12, 12), items=40, seed=0)
        >>> layer(torch.randn(2, 3, 32, 32)).shape
        torch.Size([2, 8, 14, 14])
    """

    filters: Tensor
    offsets: Tensor

    def __init__(self, channels: int, directions: int, floor: float) -> None:
        super().__init__()
        self.floor = floor
        self.register_buffer("filters", torch.randn(directions, channels, SIDE, SIDE) / SIDE)
        self.register_buffer("offsets", torch.zeros(directions))

    @torch.no_grad()
    def fit(self, read: Reader, items: int, seed: int) -> None:
        """Compute the filters from training items; the same seed gives the same filters.

        Args:
            read: returns the features (n, C, H, W) of the items at the given rows.
            items: number of items.
        """
        directions = len(self.filters)
        patches = fit_patches(read, items, (SIDE, SIDE), self.floor, seed, directions)
        weights = F.normalize(patches.centroids, dim=1) @ patches.whitening.T
        self.offsets.copy_(weights @ patches.mean)
        # Filters without a mean see patches without theirs.
        self.filters.copy_((weights - weights.mean(1, keepdim=True)).view_as(self.filters))
        rows = torch.randperm(items, generator=torch.Generator().manual_seed(seed))[:_SAMPLED]
        gains = 1 / self(read(rows)).std((0, 2, 3)).clamp(min=1e-3)
        self.filters.mul_(gains[:, None, None, None])
        self.offsets.mul_(gains)

    def forward(self, x: Tensor) -> Tensor:
        """Compute the outputs of every patch."""
        with torch.autocast(x.device.type, enabled=False):  # small differences of squares
            plain = x.float()
            box = plain.new_full((1, 1, SIDE, SIDE), 1 / SIDE**2)  # much faster than a pooling layer
            mean = F.conv2d(plain.mean(1, keepdim=True), box, None, STRIDE)
            squares = F.conv2d(plain.square().mean(1, keepdim=True), box, None, STRIDE)
            scale = ((squares - mean.square()).clamp(min=0) + self.floor).rsqrt()
        projected = F.conv2d(x, self.filters, None, STRIDE)
        scale, offsets = scale.to(projected.dtype), self.offsets.to(projected.dtype)[:, None, None]
        return torch.addcmul(-offsets, projected, scale).relu_()
