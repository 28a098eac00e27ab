"""What the network gets of one item, for people to hear and see: the very clip or square that its encoder takes."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from ..model import MultiModalCPC
from ..model.frontends import ImageFeatures, waveform


@dataclass(frozen=True, eq=False)
class HeardSound:
    """A clip as the encoder gets it.

    Attributes:
        samples: (L,) float32 within ±1. rate: in Hz.
        log_mel: (bands, frames) float32, not normalized.
    """

    samples: np.ndarray
    rate: int
    log_mel: np.ndarray

    @property
    def seconds(self) -> float:
        return len(self.samples) / self.rate

    @property
    def peak_db(self) -> float:
        """Level of the loudest sample, in dB of full scale; −inf for silence."""
        return decibels(float(np.abs(self.samples).max()))

    @property
    def rms_db(self) -> float:
        """Root-mean-square level, in dB of full scale; −inf for silence."""
        return decibels(float(np.sqrt(np.square(self.samples).mean())))


@dataclass(frozen=True, eq=False)
class SeenPicture:
    """A picture as the encoder gets it, before normalization: `pixels` (S, S, 3) uint8 at the encoder's side."""

    pixels: np.ndarray


def preview_clip(model: MultiModalCPC, clip: Tensor) -> HeardSound:
    """What the network hears of a clip (L,) int16 at its own rate and length."""
    features = model.audio_features
    waves = waveform(clip[None].cpu())
    with torch.no_grad():
        log_mel = features.log_mel(waves)[0]
    return HeardSound(waves[0].numpy(), features.config.sample_rate, log_mel.numpy())


def preview_square(model: MultiModalCPC, square: Tensor) -> SeenPicture:
    """What the network sees of a square picture (3, s, s) uint8 of any side."""
    features = model.features["image"]
    assert isinstance(features, ImageFeatures)
    pixels = (features.resized(square[None].cpu())[0].clamp(0, 1) * 255).round().byte()
    return SeenPicture(pixels.permute(1, 2, 0).contiguous().numpy())


def decibels(level: float) -> float:
    """A level (1: full scale) in dB; −inf for silence."""
    return 20 * math.log10(level) if level > 0 else -math.inf
