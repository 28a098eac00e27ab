"""Pictures to a grid of latents, in raster order."""

from __future__ import annotations

from itertools import pairwise

from torch import Tensor, nn

from ..config import ImageConfig
from .layers import conv_block, overlapping_block

STEM = 4  # pixels per side that the first convolution of a patch joins


class ImagePatchEncoder(nn.Module):
    """Each patch is encoded apart, so no two latents share a pixel: (B, 3, S, S) → (B, grid², d)."""

    def __init__(self, config: ImageConfig, dim: int) -> None:
        super().__init__()
        self.grid, width = config.grid, config.width
        blocks: list[nn.Module] = [_stem(width)]
        side = config.size // config.grid // STEM
        for index in range(1, config.depth):
            stride = 2 if index == config.depth // 2 and side >= 4 else 1
            wider = width * 2 if index >= config.depth // 2 and side >= 4 else width
            blocks.append(conv_block(_channels(blocks[-1]), wider, (3, 3), (stride, stride)))
        self.convs = nn.Sequential(*blocks)
        self.project = nn.Linear(_channels(blocks[-1]), dim)

    def forward(self, pictures: Tensor) -> Tensor:
        batch, channels, side, _ = pictures.shape
        patch = side // self.grid
        patches = pictures.view(batch, channels, self.grid, patch, self.grid, patch).permute(0, 2, 4, 1, 3, 5)
        maps = self.convs(patches.reshape(-1, channels, patch, patch))
        return self.project(maps.mean((2, 3))).view(batch, self.grid**2, -1)


class ImageConvEncoder(nn.Module):
    """The seed's kind: a small ConvNet over the whole picture whose last map is the grid; receptive fields overlap."""

    def __init__(self, config: ImageConfig, dim: int) -> None:
        super().__init__()
        halvings = (config.size // config.grid).bit_length() - 1
        channels = [3, *(min(config.width << index, 4 * config.width) for index in range(halvings))]
        self.convs = nn.Sequential(*(overlapping_block(a, b, (2, 2)) for a, b in pairwise(channels)))
        self.project = nn.Conv2d(channels[-1], dim, 1)

    def forward(self, pictures: Tensor) -> Tensor:
        return self.project(self.convs(pictures)).flatten(2).transpose(1, 2)


def _stem(width: int) -> nn.Sequential:
    """Patchify: one product per 4 × 4 pixels, which costs next to nothing on upsampled pictures."""
    return nn.Sequential(nn.Conv2d(3, width, STEM, STEM), nn.GroupNorm(1, width), nn.GELU())


def _channels(block: nn.Module) -> int:
    convolution = next(layer for layer in block.modules() if isinstance(layer, nn.Conv2d))
    return convolution.out_channels
