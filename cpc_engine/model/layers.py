"""Pieces that both encoders use."""

from __future__ import annotations

from torch import Tensor, nn


class ChannelNorm(nn.Module):
    """Layer norm over the channels of each position alone, (B, C, H, W): nothing leaks from one position to another."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.norm = nn.LayerNorm(channels)

    def forward(self, x: Tensor) -> Tensor:
        return self.norm(x.movedim(1, -1)).movedim(-1, 1)


def conv_block(inputs: int, outputs: int, kernel: tuple[int, int], stride: tuple[int, int]) -> nn.Sequential:
    """Convolution, group norm, GELU for patches that are encoded apart: group norm then sees one patch only."""
    padding = (kernel[0] // 2, kernel[1] // 2)
    return nn.Sequential(
        nn.Conv2d(inputs, outputs, kernel, stride, padding),
        nn.GroupNorm(_groups(outputs), outputs),
        nn.GELU(),
    )


def overlapping_block(inputs: int, outputs: int, stride: tuple[int, int]) -> nn.Sequential:
    """3 × 3 convolution over the whole input, normalised per position, ReLU: the seed's kind of encoder."""
    return nn.Sequential(nn.Conv2d(inputs, outputs, 3, stride, 1), ChannelNorm(outputs), nn.ReLU())


def _groups(channels: int) -> int:
    return next(groups for groups in (8, 4, 2, 1) if channels % groups == 0)
