"""The encoder of one modality as the settings say, with the normalization of its latents."""

from __future__ import annotations

from torch import Tensor, nn

from ..config import RunConfig
from ..terms import Modality
from .audio import AudioConvEncoder, AudioPatchEncoder
from .encoded import Encoded
from .image import ImageConvEncoder, ImagePatchEncoder
from .residual import ResidualEncoder

_IMAGE_FLOOR, _AUDIO_FLOOR = 0.0025, 0.1  # pixels and log-mel power are divided by their typical spread


class LatentEncoder(nn.Module):
    """The encoder of one modality, followed by LayerNorm if `context.latent_norm` is set.

    No non-linearity follows the last layer, so cosines between latents can be negative.
    """

    def __init__(self, modality: Modality, config: RunConfig) -> None:
        super().__init__()
        dim, audio, image = config.context.latent_dim, config.audio, config.image
        self.encoder: nn.Module
        if modality == "audio" and audio.encoder == "residual":
            self.encoder = ResidualEncoder(
                1, audio.width, audio.directions, _AUDIO_FLOOR, dim, grid=None, bands=audio.mel_bands
            )
        elif modality == "audio":
            self.encoder = (AudioPatchEncoder if audio.encoder == "patches" else AudioConvEncoder)(
                audio, dim, config.context.batch_norm
            )
        elif image.encoder == "residual":
            self.encoder = ResidualEncoder(3, image.width, image.directions, _IMAGE_FLOOR, dim, grid=image.grid)
        else:
            self.encoder = (ImagePatchEncoder if image.encoder == "patches" else ImageConvEncoder)(
                image, dim, config.context.batch_norm
            )
        self.norm = nn.LayerNorm(dim) if config.context.latent_norm else nn.Identity()

    def forward(self, features: Tensor) -> Encoded:
        """Encode the features of a batch."""
        if isinstance(self.encoder, ResidualEncoder):
            encoded = self.encoder(features if features.ndim == 4 else features[:, None])
            return Encoded(self.norm(encoded.latents), encoded.summary, encoded.first)
        return Encoded(self.norm(self.encoder(features)))
