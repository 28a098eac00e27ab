"""Log-mel frames to a sequence of latents."""

from __future__ import annotations

from torch import Tensor, nn

from ..config import AudioConfig
from .layers import conv_block, overlapping_block


class AudioPatchEncoder(nn.Module):
    """Each stretch of frames is encoded apart: (B, bands, frames) → (B, T, d), T = frames // frames_per_latent."""

    def __init__(self, config: AudioConfig, dim: int) -> None:
        super().__init__()
        self.frames = config.frames_per_latent
        width = config.width
        self.convs = nn.Sequential(
            conv_block(1, width, (5, 3), (2, 1)),
            conv_block(width, width, (3, 3), (2, 2)),
            conv_block(width, width, (3, 3), (2, 2)),
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
        return self.project(self.convs(patches).flatten(1)).view(batch, length, -1)


class AudioConvEncoder(nn.Module):
    """The seed's kind: one 2-D ConvNet over the whole spectrogram; neighbouring latents share input.

    (B, bands, frames) → (B, T, d), T = ⌈frames / 4⌉.
    """

    def __init__(self, config: AudioConfig, dim: int) -> None:
        super().__init__()
        width = config.width
        self.convs = nn.Sequential(
            overlapping_block(1, width, (2, 2)),
            overlapping_block(width, width, (2, 2)),
            overlapping_block(width, width, (2, 1)),
        )
        bands = config.mel_bands
        for _ in range(3):
            bands = -(-bands // 2)
        self.project = nn.Linear(width * bands, dim)

    def forward(self, mel: Tensor) -> Tensor:
        maps = self.convs(mel[:, None])  # (B, width, bands', T)
        return self.project(maps.permute(0, 3, 1, 2).flatten(2))
