"""From stored int16 sound and uint8 pictures to what the encoders read, in batches, on the device that holds them."""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from .config import AudioConfig, ImageConfig

FLOOR = 1e-5  # added to mel power before the logarithm: about −50 dB below full scale
FILTER_POINTS = 6  # frequencies at which a random filter's level is drawn; between them it is interpolated


class AudioFeatures(nn.Module):
    """int16 (B, L) → normalised log-mel (B, bands, frames).

    `mean` and `std` per band are measured once, on training clips (`calibrate`), and travel with the weights, so a
    stranger's clip meets the same scale as the training data did.
    """

    mean: Tensor
    std: Tensor

    def __init__(self, config: AudioConfig) -> None:
        super().__init__()
        from torchaudio.transforms import MelSpectrogram

        self.config = config
        window = round(config.window_ms * config.sample_rate / 1000)
        hop = round(config.hop_ms * config.sample_rate / 1000)
        length = 1 << (2 * window - 1).bit_length()  # twice the window: no mel band falls between two bins
        self.mel = MelSpectrogram(
            sample_rate=config.sample_rate,
            n_fft=length,
            win_length=window,
            hop_length=hop,
            f_min=40.0,
            n_mels=config.mel_bands,
            mel_scale="slaney",
            norm=None,
        )
        self.register_buffer("mean", torch.zeros(config.mel_bands, 1))
        self.register_buffer("std", torch.ones(config.mel_bands, 1))

    @property
    def length(self) -> int:
        """Samples of one clip."""
        return round(self.config.clip_seconds * self.config.sample_rate)

    def log_mel(self, waves: Tensor, gains: Tensor | float = 1.0) -> Tensor:
        """float32 (B, L) in −1…1 → (B, bands, frames), not normalised; gains (B, bands, 1) multiply the power."""
        return torch.log(self.mel(waves) * gains + FLOOR)

    def calibrate(self, clips: Tensor) -> None:
        """Measure mean and spread per band on int16 clips (N, L)."""
        bands = self.log_mel(_wave(clips)).transpose(0, 1).flatten(1)
        self.mean.copy_(bands.mean(1, keepdim=True))
        self.std.copy_(bands.std(1, keepdim=True).clamp(min=0.5))

    def forward(self, clips: Tensor, generator: torch.Generator | None = None) -> Tensor:
        """Augmented when a generator is given."""
        waves = _wave(clips)
        gains: Tensor | float = 1.0
        if generator is not None:
            waves = self._augment(waves, generator)
            gains = self._filter(len(waves), generator)
        frames = (self.log_mel(waves, gains) - self.mean) / self.std
        if self.config.centre:
            frames = frames - frames.mean(2, keepdim=True)
        if generator is not None and self.config.warp > 0:
            frames = _warp(frames, self.config.warp, generator)
        if generator is not None and self.config.band_drop > 0:
            frames = _drop_bands(frames, self.config.band_drop, generator)
        return frames

    def _augment(self, waves: Tensor, generator: torch.Generator) -> Tensor:
        """Random shift (zeros come in), gain and noise, each clip its own."""
        batch, length = waves.shape
        config, device = self.config, waves.device
        draw = torch.rand(3, batch, 1, generator=generator, device=device)
        offset = ((2 * draw[0] - 1) * config.shift * length).long()
        source = torch.arange(length, device=device)[None] - offset
        inside = (source >= 0) & (source < length)
        waves = waves.gather(1, source.clamp(0, length - 1)) * inside
        waves = waves * 10 ** ((2 * draw[1] - 1) * config.gain_db / 20)
        if config.noise > 0:
            noise = torch.randn(batch, length, generator=generator, device=device)
            level = (draw[2] - (1 - config.noise_share)).clamp(min=0) / config.noise_share
            waves = waves + config.noise * level * noise
        return waves

    def _filter(self, batch: int, generator: torch.Generator) -> Tensor | float:
        """(B, bands, 1) power gains of random filters, each clip its own, smooth over the bands."""
        if self.config.filter_db == 0:
            return 1.0
        points = torch.rand(batch, 1, FILTER_POINTS, generator=generator, device=generator.device)
        level = F.interpolate(2 * points - 1, self.config.mel_bands, mode="linear", align_corners=True)
        return 10 ** (self.config.filter_db / 10 * level.transpose(1, 2))


class ImageFeatures(nn.Module):
    """uint8 (B, 3, h, w) → normalised float (B, 3, S, S), resized to the encoder's side."""

    def __init__(self, config: ImageConfig) -> None:
        super().__init__()
        self.config = config

    def forward(self, pictures: Tensor, generator: torch.Generator | None = None) -> Tensor:
        """Augmented when a generator is given."""
        pixels = pictures.float() / 255
        side = self.config.size
        if generator is None:
            if pixels.shape[-1] != side:
                pixels = F.interpolate(pixels, (side, side), mode="bilinear", antialias=pixels.shape[-1] > side)
        else:
            pixels = self._crop_and_flip(pixels, generator)
            pixels = self._recolour(pixels, generator)
        return (pixels - 0.5) / 0.25

    def _crop_and_flip(self, pixels: Tensor, generator: torch.Generator) -> Tensor:
        """A random square window, mirrored for half of the pictures, resampled to the encoder's side in one go."""
        batch, side = len(pixels), self.config.size
        draw = torch.rand(4, batch, generator=generator, device=pixels.device)
        zoom = 1 - self.config.crop * draw[0]
        room = 1 - zoom
        mirror = torch.where(draw[3] < 0.5, -1.0, 1.0) if self.config.flip else torch.ones_like(zoom)
        zero = torch.zeros_like(zoom)
        rows = [zoom * mirror, zero, room * (2 * draw[1] - 1), zero, zoom, room * (2 * draw[2] - 1)]
        grid = F.affine_grid(torch.stack(rows, 1).view(batch, 2, 3), [batch, 3, side, side], align_corners=False)
        return F.grid_sample(pixels, grid, mode="bilinear", padding_mode="reflection", align_corners=False)

    def _recolour(self, pixels: Tensor, generator: torch.Generator) -> Tensor:
        """Brightness, contrast, colour cast and loss of colour: of each patch where patches are encoded apart, so that
        colour alone predicts no neighbour; of the whole picture where fields overlap and seams would show."""
        batch, config = len(pixels), self.config
        tiles = config.grid if config.encoder == "patches" else 1
        patch = config.size // tiles
        draw = torch.rand(6, batch, 1, tiles, 1, tiles, 1, generator=generator, device=pixels.device)
        patches = pixels.view(batch, 3, tiles, patch, tiles, patch)
        strength = config.jitter
        if strength > 0:
            contrast = 1 + strength * (2 * draw[0] - 1)
            brightness = 0.5 * strength * (2 * draw[1] - 1)
            cast = 0.25 * strength * (2 * torch.cat([draw[2], draw[3], draw[4]], 1) - 1)
            patches = (patches - 0.5) * contrast + 0.5 + brightness + cast
        if config.color_drop > 0:
            gray = patches.mean(1, keepdim=True)
            patches = torch.where(draw[5] < config.color_drop, gray, patches)
        return patches.reshape(pixels.shape)


def shuffle_frames(frames: Tensor, generator: torch.Generator) -> Tensor:
    """Spectrogram frames (B, bands, F) in an order of their own for each clip: real order information is destroyed."""
    order = torch.rand(len(frames), 1, frames.shape[2], generator=generator, device=frames.device).argsort(2)
    return frames.gather(2, order.expand_as(frames))


def shuffle_tiles(pictures: Tensor, tile: int, generator: torch.Generator) -> Tensor:
    """Pictures (B, 3, S, S) cut into tile × tile pixels and put together in random order, each its own."""
    batch, channels, side, _ = pictures.shape
    n = side // tile
    tiles = pictures.view(batch, channels, n, tile, n, tile).permute(0, 2, 4, 1, 3, 5).reshape(batch, n * n, -1)
    order = torch.rand(batch, n * n, 1, generator=generator, device=pictures.device).argsort(1)
    tiles = tiles.gather(1, order.expand_as(tiles)).view(batch, n, n, channels, tile, tile)
    return tiles.permute(0, 3, 1, 4, 2, 5).reshape(pictures.shape)


def _wave(clips: Tensor) -> Tensor:
    return clips.float() / 32768


def _warp(frames: Tensor, largest: float, generator: torch.Generator) -> Tensor:
    """Stretch bands (another vocal tract) and time (another tempo), each clip its own; edges are repeated.

    Bands stretch about the lowest, as formants do; time about the middle.
    """
    batch = len(frames)
    draw = 1 + largest * (2 * torch.rand(2, batch, generator=generator, device=frames.device) - 1)
    zero = torch.zeros_like(draw[0])
    rows = [draw[1], zero, zero, zero, draw[0], draw[0] - 1]
    shape = [batch, 1, *frames.shape[1:]]
    grid = F.affine_grid(torch.stack(rows, 1).view(batch, 2, 3), shape, align_corners=True)
    return F.grid_sample(frames[:, None], grid, mode="bilinear", padding_mode="border", align_corners=True)[:, 0]


def _drop_bands(frames: Tensor, chance: float, generator: torch.Generator) -> Tensor:
    """Blank (set to the mean, 0) a stretch of at most a quarter of the bands, in some clips."""
    batch, bands, _ = frames.shape
    draw = torch.rand(3, batch, 1, 1, generator=generator, device=frames.device)
    band = torch.arange(bands, device=frames.device)[None, :, None] / bands
    start, width = draw[0], draw[1] * 0.25
    hit = (band >= start) & (band < start + width) & (draw[2] < chance)
    return frames.masked_fill(hit, 0.0)
