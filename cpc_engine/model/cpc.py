"""The whole network: an encoder per modality, one GRU for both, one linear map per horizon."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor, nn

from ..config import RunConfig
from ..data.items import Modality
from ..features import AudioFeatures, ImageFeatures
from .audio import AudioConvEncoder, AudioPatchEncoder
from .image import ImageConvEncoder, ImagePatchEncoder


@dataclass
class Encoding:
    """What the network makes of one modality of a batch.

    Attributes:
        latents: (B, T, d). contexts: (B, T, h); contexts[:, t] has seen latents[:, :t + 1].
        predictions: {k: (B, T − k, d)}; row t predicts latents[:, t + k].
    """

    latents: Tensor
    contexts: Tensor
    predictions: dict[int, Tensor]


class LatentEncoder(nn.Module):
    """A modality's encoder and the norm on its latents; nothing non-linear after it, so cosines can be negative."""

    def __init__(self, modality: Modality, config: RunConfig) -> None:
        super().__init__()
        dim = config.context.latent_dim
        patches = (config.audio if modality == "audio" else config.image).encoder == "patches"
        if modality == "audio":
            self.encoder: nn.Module = (AudioPatchEncoder if patches else AudioConvEncoder)(config.audio, dim)
        else:
            self.encoder = (ImagePatchEncoder if patches else ImageConvEncoder)(config.image, dim)
        self.norm = nn.LayerNorm(dim) if config.context.latent_norm else nn.Identity()

    def forward(self, features: Tensor) -> Tensor:
        """Features of a batch → (B, T, d)."""
        return self.norm(self.encoder(features))


class MultiModalCPC(nn.Module):
    """CPC over sound, pictures, or both, with a context network that they share (seed.md, Algorithm 1)."""

    def __init__(self, config: RunConfig, modalities: tuple[Modality, ...]) -> None:
        super().__init__()
        context = config.context
        self.modalities = modalities
        self.horizons = tuple(sorted(context.horizons))
        self.features = nn.ModuleDict(
            {m: AudioFeatures(config.audio) if m == "audio" else ImageFeatures(config.image) for m in modalities}
        )
        self.encoders = nn.ModuleDict({m: LatentEncoder(m, config) for m in modalities})
        self.gru = nn.GRU(context.latent_dim, context.hidden_dim, context.layers, batch_first=True)
        owners = modalities if context.predictors_per_modality else ("shared",)
        self.predictors = nn.ModuleDict(
            {
                owner: nn.ModuleDict({str(k): nn.Linear(context.hidden_dim, context.latent_dim) for k in self.horizons})
                for owner in owners
            }
        )
        scale = torch.tensor(1.0 / config.loss.temperature)
        self.log_scale = nn.Parameter(scale.log(), requires_grad=config.loss.learnable_temperature)

    @property
    def audio_features(self) -> AudioFeatures:
        """The audio front end; KeyError where the run has no sound."""
        features = self.features["audio"]
        assert isinstance(features, AudioFeatures)
        return features

    def encode(self, modality: Modality, features: Tensor) -> Tensor:
        """Features → latents (B, T, d)."""
        return self.encoders[modality](features)

    def forward(self, inputs: dict[Modality, Tensor]) -> dict[Modality, Encoding]:
        """Features per modality → latents, contexts and predictions per modality."""
        return {modality: self._modality(modality, features) for modality, features in inputs.items()}

    def _modality(self, modality: Modality, features: Tensor) -> Encoding:
        latents = self.encode(modality, features)
        contexts, _ = self.gru(latents)
        maps: nn.Module = self.predictors[modality if modality in self.predictors else "shared"]
        length = latents.shape[1]
        usable = [k for k in self.horizons if k < length]
        predictions = {k: maps.get_submodule(str(k))(contexts[:, : length - k]) for k in usable}
        return Encoding(latents, contexts, predictions)

    def weights(self) -> dict[str, Tensor]:
        """What a run keeps: parameters and measured buffers, not the mel filters that follow from the configuration."""
        return {name: tensor for name, tensor in self.state_dict().items() if ".mel." not in name}

    def load_weights(self, weights: dict[str, Tensor]) -> None:
        """The inverse of `weights`; sizes and names must match exactly."""
        filters = {name: tensor for name, tensor in self.state_dict().items() if ".mel." in name}
        self.load_state_dict({**filters, **weights})

    @property
    def parameter_count(self) -> int:
        return sum(p.numel() for p in self.parameters())
