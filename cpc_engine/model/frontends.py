"""Front ends: int16 clips and uint8 images to the features that the encoders read, with augmentation in training.

They work on whole batches, on the device that holds the data (see docs/method.md#front-ends).
"""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from ..config import AudioConfig, ImageConfig
from ..terms import FULL_SCALE

FLOOR = 1e-5  # added to the mel power before the logarithm, about −50 dB relative to full scale
FILTER_POINTS = 6  # frequencies at which the level of a random filter is drawn; it is interpolated in between


def waveform(clips: Tensor) -> Tensor:
    """Convert int16 clips (B, L), the format of `Split.audio`, to float32 within ±1.

    Example:
        >>> waveform(torch.tensor([[-32768, 16384]], dtype=torch.int16))
        tensor([[-1.0000,  0.5000]])
    """
    return clips.float() / FULL_SCALE


class AudioFeatures(nn.Module):
    """The audio front end: int16 clips (B, L) to standardized log-mel frames (B, bands, frames).

    `calibrate` computes mean and standard deviation per band once, on training clips. They are stored with the weights,
    so that a new clip is standardized in the same way as the training data.

    Args:
        config: audio settings.

    Example:
        >>> features = AudioFeatures(AudioConfig(sample_rate=16000, clip_seconds=1.0))
        >>> features(torch.zeros(2, features.length, dtype=torch.int16)).shape
        torch.Size([2, 64, 101])
    """

    mean: Tensor
    std: Tensor

    def __init__(self, config: AudioConfig) -> None:
        super().__init__()
        import torchaudio  # the whole of it: see media.resample

        self.config = config
        window = round(config.window_ms * config.sample_rate / 1000)
        hop = round(config.hop_ms * config.sample_rate / 1000)
        # at least twice the window (rounded up to a power of 2), so that no mel band falls between two frequency bins
        fft_size = 1 << (2 * window - 1).bit_length()
        self.mel = torchaudio.transforms.MelSpectrogram(
            sample_rate=config.sample_rate,
            n_fft=fft_size,
            win_length=window,
            hop_length=hop,
            f_min=40.0,
            n_mels=config.mel_bands,
            mel_scale="slaney",
            norm=None,
            power=None,
        )
        self.register_buffer("mean", torch.zeros(config.mel_bands, 1))
        self.register_buffer("std", torch.ones(config.mel_bands, 1))

    @property
    def length(self) -> int:
        """Samples per clip."""
        return self.config.clip_length

    def power(self, waves: Tensor) -> Tensor:
        """Compute the mel power of waves (B, L) within ±1, (B, bands, frames)."""
        real, imaginary = torch.view_as_real(self.mel.spectrogram(waves)).unbind(-1)
        # Several times faster than the square of a complex absolute value.
        power: Tensor = self.mel.mel_scale(real.square().addcmul_(imaginary, imaginary))
        return power

    def log_mel(self, waves: Tensor) -> Tensor:
        """Compute log-mel frames that are not standardized, ln(power + `FLOOR`).

        Args:
            waves: (B, L) float32 within ±1.

        Returns:
            (B, bands, frames).
        """
        return torch.log(self.power(waves) + FLOOR)

    def calibrate(self, clips: Tensor) -> None:
        """Set mean and standard deviation per band from int16 clips (N, L)."""
        bands = self.log_mel(waveform(clips)).transpose(0, 1).flatten(1)
        self.mean.copy_(bands.mean(1, keepdim=True))
        self.std.copy_(bands.std(1, keepdim=True).clamp(min=0.5))

    def forward(self, clips: Tensor, generator: torch.Generator | None = None) -> Tensor:
        """Compute features, with augmentation if a random generator is given.

        Args:
            clips: (B, L) int16.
            generator: source of all random draws.

        Returns:
            (B, bands, frames).
        """
        waves = waveform(clips)
        if generator is not None:
            waves = self._augment(waves, generator)
        return self._standardized(self.power(waves), generator)

    def augmented(self, power: Tensor, generator: torch.Generator) -> Tensor:
        """Compute features from mel power that is not augmented yet, as `audio.cached` says.

        Args:
            power: (B, bands, frames).
            generator: source of all random draws.

        Returns:
            (B, bands, frames).
        """
        batch, _, frames = power.shape
        config, device = self.config, power.device
        draw = torch.rand(3, batch, 1, 1, generator=generator, device=device)
        offset = ((2 * draw[0] - 1) * config.shift * frames).long()
        source = torch.arange(frames, device=device) - offset
        inside = (source >= 0) & (source < frames)
        power = power.gather(2, source.clamp(0, frames - 1).expand_as(power)) * inside
        power = power * 10 ** ((2 * draw[1] - 1) * config.gain_db / 10)
        level = config.noise * (draw[2] - (1 - config.noise_share)).clamp(min=0) / config.noise_share
        return self._standardized(power + level.square() * self._white(), generator)

    def _white(self) -> Tensor:
        """Expected mel power (bands, 1) of white noise with a standard deviation of 1."""
        energy = self.mel.spectrogram.window.square().sum()
        white: Tensor = self.mel.mel_scale.fb.sum(0)[:, None] * energy
        return white

    def _standardized(self, power: Tensor, generator: torch.Generator | None) -> Tensor:
        """Log-mel frames from mel power, standardized, with the augmentation of spectra if a generator is given."""
        if generator is not None and self.config.filter_db > 0:
            power = power * self._filter(len(power), generator)
        frames = (torch.log(power + FLOOR) - self.mean) / self.std
        if self.config.center:
            frames = frames - frames.mean(2, keepdim=True)
        if generator is not None and self.config.warp > 0:
            frames = _warp(frames, self.config.warp, generator)
        if generator is not None and self.config.band_drop > 0:
            frames = _drop_bands(frames, self.config.band_drop, generator)
        return frames

    def _augment(self, waves: Tensor, generator: torch.Generator) -> Tensor:
        """Apply a random shift (padded with zeros), gain, and noise to each of the clips (B, L)."""
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

    def _filter(self, batch: int, generator: torch.Generator) -> Tensor:
        """Power gains (B, bands, 1) of one random filter per clip, smooth over the bands."""
        points = torch.rand(batch, 1, FILTER_POINTS, generator=generator, device=generator.device)
        level = F.interpolate(2 * points - 1, self.config.mel_bands, mode="linear", align_corners=True)
        return 10 ** (self.config.filter_db / 10 * level.transpose(1, 2))


class ImageFeatures(nn.Module):
    """The image front end: uint8 images (B, 3, H, W) to normalized float images (B, 3, S, S), S = `image.size`.

    Args:
        config: image settings.

    Example:
        >>> ImageFeatures(ImageConfig(size=64))(torch.zeros(2, 3, 32, 32, dtype=torch.uint8)).shape
        torch.Size([2, 3, 64, 64])
    """

    def __init__(self, config: ImageConfig) -> None:
        super().__init__()
        self.config = config

    def forward(
        self, images: Tensor, generator: torch.Generator | None = None, mirrored: Tensor | None = None
    ) -> Tensor:
        """Compute features, with augmentation if a random generator is given.

        Args:
            images: (B, 3, H, W) uint8.
            generator: source of all random draws.
            mirrored: (B,) bool, which images an augmentation mirrors; drawn too if not given.

        Returns:
            (B, 3, S, S).
        """
        if generator is None:
            pixels = self.resized(images)
        else:
            pixels = self._recolor(self._crop_and_flip(images.float() / 255, generator, mirrored), generator)
        return (pixels - 0.5) / 0.25

    def resized(self, images: Tensor) -> Tensor:
        """Resize images (B, 3, H, W) uint8 to float pixels (B, 3, S, S) within 0 and 1, before normalization."""
        return self._to_side(images.float() / 255)

    def _to_side(self, pixels: Tensor) -> Tensor:
        """Resize pixels (B, 3, H, W) to (B, 3, S, S), with antialiasing where they shrink."""
        side = self.config.size
        if pixels.shape[-1] != side:
            pixels = F.interpolate(pixels, (side, side), mode="bilinear", antialias=pixels.shape[-1] > side)
        return pixels

    def _crop_and_flip(self, pixels: Tensor, generator: torch.Generator, mirrored: Tensor | None) -> Tensor:
        """Crop a random square window, flip half of the images horizontally (or those that are `mirrored`), and resize.

        An image that has to shrink keeps its own side here, and then shrinks as it does in evaluation.
        """
        whole = self.config.view_share == 1
        if not whole:
            pixels = self._to_side(pixels)
        batch, side = len(pixels), max(pixels.shape[-1], self.config.size)
        draw = torch.rand(4, batch, generator=generator, device=pixels.device)
        out = side if whole else self.config.view_side
        shown = (1 - self.config.crop * draw[0]) * (out / side)  # share of the side
        room = 1 - shown
        place = draw[1:3]
        if not whole:  # at whole pixels, so that a view that is not enlarged keeps its pixels as they are
            cells = room * side
            place = (place * (cells.floor() + 1)).floor() / cells.clamp(min=1)
        flipped = draw[3] < 0.5 if mirrored is None else mirrored
        flip = torch.where(flipped, -1.0, 1.0) if self.config.flip else torch.ones_like(shown)
        zero = torch.zeros_like(shown)
        rows = [shown * flip, zero, room * (2 * place[0] - 1), zero, shown, room * (2 * place[1] - 1)]
        grid = F.affine_grid(torch.stack(rows, 1).view(batch, 2, 3), [batch, 3, out, out], align_corners=False)
        cropped = F.grid_sample(pixels, grid, mode="bilinear", padding_mode="reflection", align_corners=False)
        return self._to_side(cropped) if whole else cropped

    def _recolor(self, pixels: Tensor, generator: torch.Generator) -> Tensor:
        """Change brightness, contrast, and color cast at random, and remove the color at random.

        With the patch encoder each patch is changed independently, so that color alone does not predict its neighbors.
        With the ConvNet the whole image is changed at once, because its receptive fields would see the seams.
        """
        batch, config = len(pixels), self.config
        tiles = config.grid if config.encoder == "patches" else 1
        patch = pixels.shape[-1] // tiles
        draw = torch.rand(6, batch, 1, tiles, 1, tiles, 1, generator=generator, device=pixels.device)
        patches = pixels.view(batch, 3, tiles, patch, tiles, patch)
        amount = config.jitter
        if amount > 0:
            contrast = 1 + amount * (2 * draw[0] - 1)
            brightness = 0.5 * amount * (2 * draw[1] - 1)
            cast = 0.25 * amount * (2 * torch.cat([draw[2], draw[3], draw[4]], 1) - 1)
            patches = (patches - 0.5) * contrast + 0.5 + brightness + cast
        if config.color_drop > 0:
            gray = patches.mean(1, keepdim=True)
            patches = torch.where(draw[5] < config.color_drop, gray, patches)
        return patches.reshape(pixels.shape)


def shuffle_frames(frames: Tensor, generator: torch.Generator) -> Tensor:
    """Shuffle the spectrogram frames (B, bands, F) of each clip independently, which destroys their order in time.

    Example:
        >>> frames = torch.arange(4.0).view(1, 1, 4)
        >>> shuffle_frames(frames, torch.Generator().manual_seed(0)).sort(2).values.equal(frames)
        True
    """
    order = torch.rand(len(frames), 1, frames.shape[2], generator=generator, device=frames.device).argsort(2)
    return frames.gather(2, order.expand_as(frames))


def shuffle_tiles(images: Tensor, tile: int, generator: torch.Generator) -> Tensor:
    """Cut images (B, 3, S, S) into tiles of `tile` × `tile` px and shuffle those of each image independently.

    What lies at the right and lower edge beyond the last whole tile stays where it is.

    Example:
        >>> images = torch.arange(25.0).view(1, 1, 5, 5)
        >>> shuffled = shuffle_tiles(images, 2, torch.Generator().manual_seed(0))
        >>> shuffled[0, 0, 4].tolist(), shuffled.sum().item() == images.sum().item()
        ([20.0, 21.0, 22.0, 23.0, 24.0], True)
    """
    batch, channels, side, _ = images.shape
    n = side // tile
    whole = images[:, :, : n * tile, : n * tile]
    tiles = whole.reshape(batch, channels, n, tile, n, tile).permute(0, 2, 4, 1, 3, 5).reshape(batch, n * n, -1)
    order = torch.rand(batch, n * n, 1, generator=generator, device=images.device).argsort(1)
    tiles = tiles.gather(1, order.expand_as(tiles)).view(batch, n, n, channels, tile, tile)
    shuffled = images.clone()
    shuffled[:, :, : n * tile, : n * tile] = tiles.permute(0, 3, 1, 4, 2, 5).reshape(whole.shape)
    return shuffled


def _warp(frames: Tensor, limit: float, generator: torch.Generator) -> Tensor:
    """Stretch frequency and time of each clip by a random factor, to imitate other vocal tracts and tempos.

    Frequency is stretched from the lowest band upward, as formants are, and time about the middle of the clip. Edges
    are repeated.

    Args:
        frames: (B, bands, F).
        limit: largest relative change.
    """
    batch = len(frames)
    draw = 1 + limit * (2 * torch.rand(2, batch, generator=generator, device=frames.device) - 1)
    zero = torch.zeros_like(draw[0])
    rows = [draw[1], zero, zero, zero, draw[0], draw[0] - 1]
    shape = [batch, 1, *frames.shape[1:]]
    grid = F.affine_grid(torch.stack(rows, 1).view(batch, 2, 3), shape, align_corners=True)
    return F.grid_sample(frames[:, None], grid, mode="bilinear", padding_mode="border", align_corners=True)[:, 0]


def _drop_bands(frames: Tensor, probability: float, generator: torch.Generator) -> Tensor:
    """Set a range of at most a quarter of the bands to the mean (0), in each clip with the given probability."""
    batch, bands, _ = frames.shape
    draw = torch.rand(3, batch, 1, 1, generator=generator, device=frames.device)
    band = torch.arange(bands, device=frames.device)[None, :, None] / bands
    start, width = draw[0], draw[1] * 0.25
    dropped = (band >= start) & (band < start + width) & (draw[2] < probability)
    return frames.masked_fill(dropped, 0.0)
