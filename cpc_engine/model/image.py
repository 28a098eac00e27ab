"""Image encoders: images to a grid of latents in raster order (see docs/method.md#encoders)."""

from __future__ import annotations

from itertools import pairwise

from torch import Tensor, nn

from ..config import ImageConfig
from .layers import conv_block, overlapping_block

STEM = 4  # kernel size and stride of a patch's first convolution, in px


class ImagePatchEncoder(nn.Module):
    """Encode the patches of a grid independently, so that no two latents share a pixel.

    Shapes: (B, 3, S, S) → (B, grid², d).

    Args:
        config: image settings.
        dim: size d of a latent.
        batch_norm: normalize over the batch instead of each item by itself.

    Example:
        >>> import torch
        >>> encoder = ImagePatchEncoder(ImageConfig(size=64, grid=4, width=8), dim=16)
        >>> encoder(torch.zeros(2, 3, 64, 64)).shape
        torch.Size([2, 16, 16])
    """

    def __init__(self, config: ImageConfig, dim: int, batch_norm: bool = False) -> None:
        super().__init__()
        self.grid, width = config.grid, config.width
        blocks: list[nn.Module] = [_stem(width, batch_norm)]
        side = config.size // config.grid // STEM
        for index in range(1, config.depth):
            stride = 2 if index == config.depth // 2 and side >= 4 else 1
            wider = width * 2 if index >= config.depth // 2 and side >= 4 else width
            blocks.append(conv_block(_channels(blocks[-1]), wider, (3, 3), (stride, stride), batch_norm))
        self.convs = nn.Sequential(*blocks)
        self.project = nn.Linear(_channels(blocks[-1]), dim)

    def forward(self, images: Tensor) -> Tensor:
        batch, channels, side, _ = images.shape
        patch = side // self.grid
        patches = images.view(batch, channels, self.grid, patch, self.grid, patch).permute(0, 2, 4, 1, 3, 5)
        maps = self.convs(patches.reshape(-1, channels, patch, patch))
        result: Tensor = self.project(maps.mean((2, 3))).view(batch, self.grid**2, -1)
        return result


class ImageConvEncoder(nn.Module):
    """Encode the whole image with one ConvNet whose last feature map is the grid, as in the reference recipe.

    Receptive fields overlap, so neighboring latents share input. Shapes: (B, 3, S, S) → (B, grid², d).

    Args:
        config: image settings.
        dim: size d of a latent.
        batch_norm: normalize over the batch instead of each item by itself.
    """

    def __init__(self, config: ImageConfig, dim: int, batch_norm: bool = False) -> None:
        super().__init__()
        halvings = (config.size // config.grid).bit_length() - 1
        channels = [3, *(min(config.width << index, 4 * config.width) for index in range(halvings))]
        self.convs = nn.Sequential(*(overlapping_block(a, b, (2, 2), batch_norm) for a, b in pairwise(channels)))
        self.project = nn.Conv2d(channels[-1], dim, 1)

    def forward(self, images: Tensor) -> Tensor:
        result: Tensor = self.project(self.convs(images)).flatten(2).transpose(1, 2)
        return result


def _stem(width: int, batch_norm: bool) -> nn.Sequential:
    """First layers of the patch encoder. Its stride of 4 px keeps the cost low for upsampled images."""
    norm = nn.BatchNorm2d(width) if batch_norm else nn.GroupNorm(1, width)
    return nn.Sequential(nn.Conv2d(3, width, STEM, STEM), norm, nn.GELU())


def _channels(block: nn.Module) -> int:
    """Output channels of a block's convolution."""
    convolution = next(layer for layer in block.modules() if isinstance(layer, nn.Conv2d))
    return convolution.out_channels
