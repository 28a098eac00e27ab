"""Mel power of all training recordings, computed once, from which steps cut their windows."""

from __future__ import annotations

import torch
from torch import Tensor

from ..config import AudioConfig
from ..data.dataset import Split
from ..errors import ConfigError
from ..model.frontends import AudioFeatures, waveform

MOST_BYTES = 2 << 30
_AT_ONCE = 64  # recordings


class Spectra:
    """Mel power (N, bands, frames) of N recordings.

    Windows begin at whole frames, as `data.windows.random_windows` draws them.

    Args:
        split: recordings. features: the calibrated front end.

    Raises:
        ConfigError: they would need more than 2 GiB.
    """

    @torch.no_grad()
    def __init__(self, split: Split, features: AudioFeatures) -> None:
        assert split.audio is not None
        config = features.config
        self._frames = 1 + config.clip_length // _hop(config)
        self._stride = config.frames_between_latents
        frames = 1 + split.audio.shape[1] // _hop(config)
        if 4 * len(split) * config.mel_bands * frames > MOST_BYTES:
            raise ConfigError("audio.cached: the spectrograms need more than 2 GiB; switch it off")
        self.power = torch.cat([features.power(waveform(part)) for part in split.audio.split(_AT_ONCE)])

    def windows(self, rows: Tensor, places: Tensor) -> Tensor:
        """Return the windows (B, bands, frames) of the recordings at `rows` (B,).

        Args:
            places: (B,) int64 position of the first latent of each window in its recording.
        """
        columns = places[:, None] * self._stride + torch.arange(self._frames, device=places.device)
        return self.power[rows[:, None], :, columns].transpose(1, 2)


def _hop(config: AudioConfig) -> int:
    return round(config.hop_ms * config.sample_rate / 1000)
