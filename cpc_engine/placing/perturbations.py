"""Slightly perturbed copies of one item: a person would call them the same."""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn import functional as F

PERTURBED_COPIES = 8
_SHIFT = 0.02  # of a clip's length, either way
_GAIN_DB = 3.0  # either way
_NOISE_DB = -40.0  # relative to the clip
_CROP = 0.08  # of a picture's side, at most, is cut away
_LIGHT = 0.05  # change of brightness, either way
_GRAIN = 2.0  # standard deviation of pixels from 0 to 255


def perturbed_clips(clip: Tensor) -> Tensor:
    """(8, L) int16 of one clip (L,) int16: shifted (zeros come in), louder or softer, with a little noise; always the
    same copies of the same clip.

    The zeros that fill a short clip up stay zeros: noise there would be a change that no microphone makes.
    """
    generator = torch.Generator().manual_seed(0)
    wave = clip.float()
    sounding = (clip != 0).short()
    inside = sounding.cummax(0).values & sounding.flip(0).cummax(0).values.flip(0)
    noise = inside * wave.square().mean().sqrt() * 10 ** (_NOISE_DB / 20)
    copies = []
    for _ in range(PERTURBED_COPIES):
        shift, gain = (2 * torch.rand(2, generator=generator) - 1).tolist()
        offset = round(shift * _SHIFT * len(wave))
        grainy = wave + noise * torch.randn(len(wave), generator=generator)
        loud = F.pad(grainy, (offset, -offset)) * 10 ** (gain * _GAIN_DB / 20)
        copies.append(loud.round().clamp(-32768, 32767).short())
    return torch.stack(copies)


def perturbed_pictures(picture: Tensor) -> Tensor:
    """(8, 3, S, S) uint8 of one picture (3, S, S) uint8: cropped a little, lighter or darker, grainy; always the same
    copies of the same picture."""
    generator = torch.Generator().manual_seed(0)
    side = picture.shape[-1]
    copies = []
    for _ in range(PERTURBED_COPIES):
        draw = torch.rand(4, generator=generator).tolist()
        kept = side - round(draw[0] * _CROP * side)
        top, left = (round(d * (side - kept)) for d in draw[1:3])
        window = picture[None, :, top : top + kept, left : left + kept].float()
        pixels = F.interpolate(window, (side, side), mode="bilinear")[0]
        pixels = pixels * (1 + (2 * draw[3] - 1) * _LIGHT)
        grain = _GRAIN * torch.randn(pixels.shape, generator=generator)
        copies.append((pixels + grain).round().clamp(0, 255).byte())
    return torch.stack(copies)
