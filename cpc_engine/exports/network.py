"""A run's network of one modality, from raw samples or pixels to contexts, in operations that every runtime has.

The front end is part of it, so whoever uses the file computes no spectrogram: the short-time Fourier transform is
written as two convolutions, and resizing as two matrix products.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from ..model import MultiModalCPC
from ..model.frontends import FLOOR, AudioFeatures, ImageFeatures
from ..terms import Modality

OUTPUTS = ("latents", "contexts", "mean_context")


class ExportedNetwork(nn.Module):
    """Raw input of one modality to latents (B, T, d), contexts (B, T, h) and their mean over positions (B, h).

    Input: `samples` (B, L) float32 within ±1 at `AudioConfig.sample_rate`, L the length of a clip, or `pixels`
    (B, 3, H, H) uint8 RGB, H the side of the data set's pictures.

    Args:
        model: the network; it is switched to evaluation mode.
        modality: which of its modalities.
        side: height and width of the pictures; 0 for sounds.

    Example:
        >>> from cpc_engine.config import RunConfig
        >>> network = ExportedNetwork(MultiModalCPC(RunConfig(), ("audio",)), "audio", side=0)
        >>> [tuple(output.shape) for output in network(*network.example())]
        [(2, 16, 64), (2, 16, 256), (2, 256)]
    """

    def __init__(self, model: MultiModalCPC, modality: Modality, side: int) -> None:
        super().__init__()
        model.eval()
        features = model.features[modality]
        self.input_name = "samples" if modality == "audio" else "pixels"
        self.front_end: nn.Module
        if isinstance(features, AudioFeatures):
            self.front_end = _SpectralFrontEnd(features)
            self.input_shape: tuple[int, ...] = (features.length,)
        else:
            assert isinstance(features, ImageFeatures)
            self.front_end = _PixelFrontEnd(features, side)
            self.input_shape = (3, side, side)
        self.encoder = model.encoders[modality]
        self.modality, self.gru = modality, model.gru

    def forward(self, values: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        latents = self.encoder(self.front_end(values)).latents
        contexts = self.gru.read(self.modality, latents).contexts()
        return latents, contexts, contexts.mean(1)

    def example(self) -> tuple[Tensor]:
        """Two items of silence or black, to trace the network with."""
        kind = torch.float32 if self.input_name == "samples" else torch.uint8
        return (torch.zeros(2, *self.input_shape, dtype=kind),)


class _SpectralFrontEnd(nn.Module):
    """`AudioFeatures` without augmentation, its Fourier transform as convolutions with windowed cosines and sines."""

    real: Tensor
    imaginary: Tensor
    filters: Tensor
    mean: Tensor
    std: Tensor

    def __init__(self, features: AudioFeatures) -> None:
        super().__init__()
        spectrogram = features.mel.spectrogram
        size, width = spectrogram.n_fft, spectrogram.win_length
        self.hop = spectrogram.hop_length
        self.center = features.config.center
        # The window is centered in a frame of `size` samples and zero outside, so only its samples are multiplied.
        self.before = (size - width) // 2
        self.edge, self.after = size // 2, size - width - self.before
        place = torch.arange(self.before, self.before + width, dtype=torch.float64)
        angle = 2 * torch.pi * torch.arange(size // 2 + 1, dtype=torch.float64)[:, None] * place / size
        window = spectrogram.window.double()
        self.register_buffer("real", (angle.cos() * window)[:, None].float())
        self.register_buffer("imaginary", (-angle.sin() * window)[:, None].float())
        self.register_buffer("filters", features.mel.mel_scale.fb.T.contiguous())
        self.register_buffer("mean", features.mean)
        self.register_buffer("std", features.std)

    def forward(self, samples: Tensor) -> Tensor:
        padded = F.pad(samples[:, None], (self.edge, self.edge), mode="reflect")
        padded = padded[:, :, self.before : padded.shape[2] - self.after]
        real = F.conv1d(padded, self.real, stride=self.hop)
        imaginary = F.conv1d(padded, self.imaginary, stride=self.hop)
        power = self.filters @ (real * real + imaginary * imaginary)
        frames = (torch.log(power + FLOOR) - self.mean) / self.std
        return frames - frames.mean(2, keepdim=True) if self.center else frames


class _PixelFrontEnd(nn.Module):
    """`ImageFeatures` without augmentation, its resizing as a product with one matrix on each side."""

    resize: Tensor

    def __init__(self, features: ImageFeatures, side: int) -> None:
        super().__init__()
        target = features.config.size
        self.resizes = side != target
        # What one row of pixels becomes; resizing is linear, and alike along rows and columns.
        unit = torch.eye(side)[None, None]
        rows = F.interpolate(unit, (target, side), mode="bilinear", antialias=side > target)
        self.register_buffer("resize", rows[0, 0])

    def forward(self, pixels: Tensor) -> Tensor:
        values = pixels.float() / 255
        if self.resizes:
            values = self.resize @ values @ self.resize.T
        return (values - 0.5) / 0.25
