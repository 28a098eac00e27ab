"""What a probe must beat: the raw input of an item, as plain features."""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn import functional as F

from ..data.items import Modality, Split
from ..features import AudioFeatures

RAW_SIDE = 32  # px; pictures are compared as raw pixels at this side, which is CIFAR-10's own


@torch.no_grad()
def raw_features(modality: Modality, split: Split, audio: AudioFeatures | None) -> Tensor:
    """(N, F) float32 on the CPU: pixels at 32 × 32, or mean and spread of each log-mel band over time.

    Args:
        audio: the run's audio front end, needed for sound.
    """
    values = split.values(modality)
    assert values is not None
    if modality == "image":
        pixels = values.float() / 255
        if pixels.shape[-1] != RAW_SIDE:
            pixels = F.interpolate(pixels, (RAW_SIDE, RAW_SIDE), mode="bilinear", antialias=True)
        return pixels.flatten(1).cpu()
    assert audio is not None
    parts = []
    for clips in values.split(256):
        bands = audio.log_mel(clips.float() / 32768)
        parts.append(torch.cat([bands.mean(2), bands.std(2)], 1).cpu())
    return torch.cat(parts)
