"""Audio encoders: log-mel frames to a sequence of latents (see docs/method.md#encoders)."""

from __future__ import annotations

from torch import Tensor, nn

from ..config import AudioConfig
from .layers import conv_block, overlapping_block


class AudioPatchEncoder(nn.Module):
    """Encode non-overlapping stretches of frames independently, so that no two latents share input.

    Shapes: (B, bands, frames) → (B, T, d) with T = frames // frames_per_latent. Frames beyond the last full stretch are
    not used.

    Args:
        config: audio settings.
        dim: size d of a latent.
        batch_norm: normalize over the batch instead of each item by itself.

    Example:
        >>> import torch
        >>> encoder = AudioPatchEncoder(AudioConfig(frames_per_latent=6, width=8), dim=16)
        >>> encoder(torch.zeros(2, 64, 101)).shape
        torch.Size([2, 16, 16])
    """

    def __init__(self, config: AudioConfig, dim: int, batch_norm: bool = False) -> None:
        super().__init__()
        self.frames = config.frames_per_latent
        width = config.width
        self.convs = nn.Sequential(
            conv_block(1, width, (5, 3), (2, 1), batch_norm),
            conv_block(width, width, (3, 3), (2, 2), batch_norm),
            conv_block(width, width, (3, 3), (2, 2), batch_norm),
        )
        bands, frames = config.mel_bands, self.frames
        for band_stride, frame_stride in ((2, 1), (2, 2), (2, 2)):
            bands, frames = -(-bands // band_stride), -(-frames // frame_stride)
        self.project = nn.Linear(width * bands * frames, dim)

    def forward(self, mel: Tensor) -> Tensor:
        batch, bands, frames = mel.shape
        length = frames // self.frames
        patches = mel[:, :, : length * self.frames].reshape(batch, bands, length, self.frames)
        patches = patches.transpose(1, 2).reshape(batch * length, 1, bands, self.frames)
        result: Tensor = self.project(self.convs(patches).flatten(1)).view(batch, length, -1)
        return result


class AudioConvEncoder(nn.Module):
    """Encode the whole spectrogram with one 2-D ConvNet, as in the reference recipe.

    Receptive fields overlap, so neighboring latents share input. Shapes: (B, bands, frames) → (B, T, d) with
    T = ⌈frames / 4⌉.

    Args:
        config: audio settings.
        dim: size d of a latent.
        batch_norm: normalize over the batch instead of each item by itself.
    """

    def __init__(self, config: AudioConfig, dim: int, batch_norm: bool = False) -> None:
        super().__init__()
        width = config.width
        self.convs = nn.Sequential(
            overlapping_block(1, width, (2, 2), batch_norm),
            overlapping_block(width, width, (2, 2), batch_norm),
            overlapping_block(width, width, (2, 1), batch_norm),
        )
        bands = config.mel_bands
        for _ in range(3):
            bands = -(-bands // 2)
        self.project = nn.Linear(width * bands, dim)

    def forward(self, mel: Tensor) -> Tensor:
        maps = self.convs(mel[:, None])  # (B, width, bands', T)
        result: Tensor = self.project(maps.permute(0, 3, 1, 2).flatten(2))
        return result
