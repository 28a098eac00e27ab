"""Layers that the audio and image encoders share."""

from __future__ import annotations

from torch import Tensor, nn


class ChannelNorm(nn.Module):
    """Layer normalization over the channels of each position of (B, C, H, W).

    Unlike batch or group normalization, it lets no information leak between positions or items.
    """

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.norm = nn.LayerNorm(channels)

    def forward(self, x: Tensor) -> Tensor:
        result: Tensor = self.norm(x.movedim(1, -1)).movedim(-1, 1)
        return result


def conv_block(
    inputs: int, outputs: int, kernel: tuple[int, int], stride: tuple[int, int], batch_norm: bool
) -> nn.Sequential:
    """Convolution, normalization, and GELU, for patch encoders: the statistics come from a single patch.

    Args:
        batch_norm: take them from all patches of the batch, so that each latent tells of the others.
    """
    padding = (kernel[0] // 2, kernel[1] // 2)
    return nn.Sequential(
        nn.Conv2d(inputs, outputs, kernel, stride, padding),
        nn.BatchNorm2d(outputs) if batch_norm else nn.GroupNorm(groups_of(outputs), outputs),
        nn.GELU(),
    )


def overlapping_block(inputs: int, outputs: int, stride: tuple[int, int], batch_norm: bool) -> nn.Sequential:
    """3 × 3 convolution, normalization per position (or over the batch), and ReLU: ConvNets of the reference recipe."""
    norm = nn.BatchNorm2d(outputs) if batch_norm else ChannelNorm(outputs)
    return nn.Sequential(nn.Conv2d(inputs, outputs, 3, stride, 1), norm, nn.ReLU())


def groups_of(channels: int) -> int:
    """The largest number of groups up to 8 that divides the channels."""
    return next(groups for groups in (8, 4, 2, 1) if channels % groups == 0)
