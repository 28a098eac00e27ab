"""Random views of pictures as SimCLR makes them, for a whole batch of tensors at once.

The draws are those of lightly's `SimCLRTransform(input_size=32, cj_strength=0.5, gaussian_blur=0)`, which its CIFAR-10
benchmark uses: a resized crop of 8 to 100 % of the area, a mirror image in half of the cases, color jitter in 80 % and
gray in 20 %. lightly itself makes one picture at a time with PIL in processes beside the training; on two cores that
would slow its training down several times, so that these views favor the peers. One thing is drawn per batch instead
of per picture: the order of the four changes of color.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

import torch
from torch import Tensor
from torch.nn import functional as F

SIDE = 32  # px
AREA, RATIO = (0.08, 1.0), (3 / 4, 4 / 3)  # of a crop
TRIALS = 10  # draws of a crop before the whole picture is taken
MIRRORED, JITTERED, GRAY = 0.5, 0.8, 0.2  # chances
STRENGTH, HUE = 0.4, 0.1  # largest change of brightness, contrast and saturation as a factor, and of hue in turns
MEAN, STD = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)  # ImageNet's, as in lightly
_LUMA = (0.2989, 0.587, 0.114)


def resized(images: Tensor) -> Tensor:
    """uint8 (N, 3, H, W) → float32 (N, 3, 32, 32) within 0 and 1."""
    pixels = images.float() / 255
    if pixels.shape[-1] != SIDE:
        pixels = F.interpolate(pixels, (SIDE, SIDE), mode="bilinear", antialias=True)
    return pixels


def normalized(pixels: Tensor) -> Tensor:
    """Pixels (N, 3, H, W) within 0 and 1 to mean 0 and standard deviation 1, with ImageNet's values."""
    return (pixels - _channels(MEAN)) / _channels(STD)


def view(pixels: Tensor, generator: torch.Generator) -> Tensor:
    """Make one random view of each picture: pixels (B, 3, 32, 32) within 0 and 1, to normalized ones."""
    cropped = _sampled(pixels, crops(len(pixels), generator), _chance(len(pixels), MIRRORED, generator))
    jittered = _jittered(cropped, generator)
    drained = _chance(len(pixels), GRAY, generator).view(-1, 1, 1, 1)
    return normalized(torch.where(drained, luma(jittered), jittered))


def crops(count: int, generator: torch.Generator) -> Tensor:
    """Draw (count, 4) crops: left, top, width and height as shares of the side."""
    draw = torch.rand(4, TRIALS, count, generator=generator)
    area = AREA[0] + (AREA[1] - AREA[0]) * draw[0]
    low, high = map(math.log, RATIO)
    ratio = (low + (high - low) * draw[1]).exp()
    sizes = torch.stack([(area * ratio).sqrt(), (area / ratio).sqrt()])  # (2, trials, count)
    fits = (sizes <= 1).all(0)
    first = fits & (fits.cumsum(0) == 1)
    size = torch.where(first.any(0), (sizes * first).sum(1), 1.0)
    corner = draw[2:, 0] * (1 - size)
    return torch.cat([corner, size]).T


def _sampled(pixels: Tensor, boxes: Tensor, mirrored: Tensor) -> Tensor:
    """Cut boxes (B, 4) out of pictures, bilinearly, each resized to the side of the pictures."""
    left, top, width, height = boxes.T
    theta = pixels.new_zeros(len(pixels), 2, 3)
    theta[:, 0, 0] = torch.where(mirrored, -width, width)
    theta[:, 1, 1] = height
    theta[:, 0, 2] = 2 * left + width - 1
    theta[:, 1, 2] = 2 * top + height - 1
    grid = F.affine_grid(theta, list(pixels.shape), align_corners=False)
    return F.grid_sample(pixels, grid, mode="bilinear", padding_mode="border", align_corners=False)


def _jittered(pixels: Tensor, generator: torch.Generator) -> Tensor:
    """Change the colors by random amounts; pictures that are left out stay the same."""
    chosen = _chance(len(pixels), JITTERED, generator)
    amounts = (2 * torch.rand(4, len(pixels), generator=generator) - 1) * chosen
    return recolored(pixels, amounts, torch.randperm(4, generator=generator).tolist())


def recolored(pixels: Tensor, amounts: Tensor, order: Sequence[int]) -> Tensor:
    """Change brightness (0), contrast (1), saturation (2) and hue (3) of pictures (B, 3, H, W) within 0 and 1.

    Args:
        amounts: (4, B) from −1 to 1, shares of the largest change. order: of the changes.
    """
    factors = (1 + STRENGTH * amounts[:3]).view(3, -1, 1, 1, 1)
    for change in order:
        if change == 0:
            pixels = (pixels * factors[0]).clamp(0, 1)
        elif change == 1:
            pixels = _blended(pixels, luma(pixels).mean((1, 2, 3), keepdim=True), factors[1])
        elif change == 2:
            pixels = _blended(pixels, luma(pixels), factors[2])
        else:
            pixels = shifted_hue(pixels, HUE * amounts[3])
    return pixels


def luma(pixels: Tensor) -> Tensor:
    """(B, 3, H, W) → (B, 1, H, W): brightness as the eye weighs the colors."""
    return (pixels * _channels(_LUMA)).sum(1, keepdim=True)


def shifted_hue(pixels: Tensor, turns: Tensor) -> Tensor:
    """Turn the hue of pictures (B, 3, H, W) within 0 and 1 by (B,) turns, with saturation and value as they are."""
    red, green, blue = pixels.unbind(1)
    value = pixels.amax(1)
    chroma = value - pixels.amin(1)
    safe = torch.where(chroma == 0, 1.0, chroma)
    sector = torch.where(
        value == red,
        (green - blue) / safe,
        torch.where(value == green, 2 + (blue - red) / safe, 4 + (red - green) / safe),
    )
    sector = sector + 6 * turns.view(-1, 1, 1)
    places = [(sector + offset) % 6 for offset in (5, 3, 1)]
    return torch.stack([value - chroma * torch.minimum(k, 4 - k).clamp(0, 1) for k in places], 1)


def _blended(pixels: Tensor, other: Tensor, factor: Tensor) -> Tensor:
    return (factor * pixels + (1 - factor) * other).clamp(0, 1)


def _chance(count: int, chance: float, generator: torch.Generator) -> Tensor:
    return torch.rand(count, generator=generator) < chance


def _channels(values: tuple[float, ...]) -> Tensor:
    return torch.tensor(values).view(1, -1, 1, 1)
