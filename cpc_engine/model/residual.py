"""The residual encoder: one ConvNet over the whole input, whose first layer is taken from the data.

See `docs/method.md#residual-encoder`. Residual blocks: He et al. 2016, "Identity mappings in deep residual networks"
(arXiv 1603.05027).
"""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from ..config.network import map_side
from .dictionary import Dictionary
from .encoded import Encoded, summary
from .layers import groups_of

CELLS = 2  # per side, that the outputs of the first layer are averaged over for pictures
STRETCHES = 4  # of time, likewise for sounds


class ResidualEncoder(nn.Module):
    """Encode pictures or spectrograms of any size: `Dictionary`, a mean over 2 × 2, and two residual blocks.

    Receptive fields overlap. Shapes: (B, C, H, W) → maps (B, width, about H / 4, W / 4), and from these B · T latents:
    for pictures means over a grid, for spectrograms all bands of each pair of columns.

    Args:
        channels: C, 3 for pictures and 1 for spectrograms.
        width: channels of the blocks.
        directions: outputs of the first layer.
        floor: see `Dictionary`.
        dim: size d of a latent.
        grid: cells per side of a picture; None for spectrograms.
        bands: H of a spectrogram.

    Example:
        >>> encoder = ResidualEncoder(3, width=16, directions=8, floor=0.01, dim=4, grid=4)
        >>> encoded = encoder.eval()(torch.zeros(2, 3, 32, 32))
        >>> encoded.latents.shape, encoded.summary.shape, encoded.first.shape
        (torch.Size([2, 16, 4]), torch.Size([2, 48]), torch.Size([2, 32]))
    """

    def __init__(
        self,
        channels: int,
        width: int,
        directions: int,
        floor: float,
        dim: int,
        grid: int | None,
        bands: int = 0,
    ) -> None:
        super().__init__()
        self.first = Dictionary(channels, directions, floor)
        self.grid = grid
        self.blocks = nn.Sequential(
            nn.Conv2d(directions, width, 1),
            nn.AvgPool2d(2),  # after the convolution, which makes it narrower: the two commute
            _Block(width),
            _Block(width),
            nn.GroupNorm(groups_of(width), width),
            nn.ReLU(),
        )
        self.project = nn.Linear(width if grid else width * map_side(bands), dim)

    def forward(self, x: Tensor) -> Encoded:
        """Encode a batch; `Encoded.first` is computed in evaluation mode only, since no loss reads it."""
        first = self.first(x.contiguous(memory_format=torch.channels_last))  # the faster layout for convolutions
        maps = self.blocks(first).float()
        parts = None
        if not self.training:
            parts = F.adaptive_avg_pool2d(first.float(), (CELLS, CELLS) if self.grid else (1, STRETCHES)).flatten(1)
        return Encoded(self._latents(maps), summary(maps.flatten(2)), parts)

    def _latents(self, maps: Tensor) -> Tensor:
        """(B, width, rows, columns) → (B, T, d)."""
        if self.grid:
            sequence = F.adaptive_avg_pool2d(maps, self.grid).flatten(2)
        else:
            sequence = F.avg_pool2d(maps, (1, 2)).flatten(1, 2)  # (B, width · rows, columns / 2)
        latents: Tensor = self.project(sequence.transpose(1, 2))
        return latents


class _Block(nn.Module):
    """Two 3 × 3 convolutions beside a shortcut, each after normalization and a rectifier."""

    def __init__(self, width: int) -> None:
        super().__init__()
        layers: list[nn.Module] = []
        for _ in range(2):
            layers += [
                nn.GroupNorm(groups_of(width), width),
                nn.ReLU(),
                nn.Conv2d(width, width, 3, padding=1, bias=False),
            ]
        self.convs = nn.Sequential(*layers)

    def forward(self, x: Tensor) -> Tensor:
        result: Tensor = x + self.convs(x)
        return result
