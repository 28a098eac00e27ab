"""The complete CPC network: one encoder per modality, one shared GRU, and one linear predictor per horizon."""

from __future__ import annotations

import math
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from ..config import RunConfig
from ..terms import Modality
from .audio import AudioConvEncoder, AudioPatchEncoder
from .frontends import AudioFeatures, ImageFeatures
from .image import ImageConvEncoder, ImagePatchEncoder


@dataclass
class Encoding:
    """The output of the network for one modality of a batch.

    Attributes:
        latents: (B, T, d).
        contexts: (B, T, h); contexts[:, t] depends on latents[:, : t + 1] only.
        anchors: {horizon k: (n,) positions t whose latents[:, t + k] is predicted}: all T − k, but for images without
            `image.wrap` those in whose row t + k lies k mod grid columns further. Horizons k ≥ T are left out.
        predictions: {horizon k: (B, n, d)}, one per anchor position.
    """

    latents: Tensor
    contexts: Tensor
    anchors: dict[int, Tensor]
    predictions: dict[int, Tensor]

    def futures(self, k: int) -> Tensor:
        """Return the latents (B, n, d) that the predictions of horizon k are of."""
        return self.latents[:, self.anchors[k] + k]


class LatentEncoder(nn.Module):
    """The encoder of one modality, followed by LayerNorm if `context.latent_norm` is set.

    No non-linearity follows the last layer, so cosines between latents can be negative.
    """

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
        """Encode the features of a batch to latents (B, T, d)."""
        result: Tensor = self.norm(self.encoder(features))
        return result


class MultiModalCPC(nn.Module):
    """Contrastive predictive coding for audio, images, or both, with one shared context network.

    See docs/method.md#networks for the architecture and docs/method.md#algorithm-1 for the training step. The method is
    that of van den Oord et al. 2018 (arXiv 1807.03748).

    Args:
        config: configuration of the run.
        modalities: modalities of the data set.

    Example:
        >>> network = MultiModalCPC(RunConfig(), ("audio",))
        >>> encoding = network({"audio": torch.zeros(2, 64, 101)})["audio"]
        >>> encoding.latents.shape, encoding.contexts.shape, encoding.predictions[4].shape
        (torch.Size([2, 16, 64]), torch.Size([2, 16, 256]), torch.Size([2, 12, 64]))
    """

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
        self._wrap = config.image.wrap
        for k in self.horizons:  # made once: a list would be copied to a GPU in every step
            self.register_buffer(
                f"image_anchors_{k}", torch.tensor(config.image.anchors(k), dtype=torch.int64), persistent=False
            )
        loss = config.loss
        scale = torch.tensor(1.0 / loss.temperature)
        self.log_scale = nn.Parameter(scale.log(), requires_grad=loss.learnable_temperature)
        self._temperatures = (loss.temperature_min, loss.temperature_max) if loss.learnable_temperature else None

    @property
    def audio_features(self) -> AudioFeatures:
        """The audio front end.

        Raises:
            KeyError: the run has no audio.
        """
        features = self.features["audio"]
        assert isinstance(features, AudioFeatures)
        return features

    def scale(self) -> Tensor:
        """The scalar 1/τ, with a gradient where τ is learned."""
        return self.log_scale.exp()

    @torch.no_grad()
    def clamp_temperature(self) -> None:
        """Move a learned τ that has left its bounds back to the nearest one.

        The parameter is clamped, not its value in the loss: there the gradient beyond a bound would be 0, and τ could
        never come back.
        """
        if self._temperatures is not None:
            low, high = self._temperatures
            self.log_scale.clamp_(-math.log(high), -math.log(low))

    def encode(self, modality: Modality, features: Tensor) -> Tensor:
        """Encode features of one modality to latents (B, T, d)."""
        result: Tensor = self.encoders[modality](features)
        return result

    def forward(self, inputs: dict[Modality, Tensor]) -> dict[Modality, Encoding]:
        """Compute latents, contexts, and predictions from the features of each modality."""
        return {modality: self._forward_modality(modality, features) for modality, features in inputs.items()}

    def _forward_modality(self, modality: Modality, features: Tensor) -> Encoding:
        latents = self.encode(modality, features)
        contexts, _ = self.gru(latents)
        predictors: nn.Module = self.predictors[modality if modality in self.predictors else "shared"]
        length = latents.shape[1]
        anchors: dict[int, Tensor] = {}
        predictions: dict[int, Tensor] = {}
        for k in (k for k in self.horizons if k < length):
            chosen = contexts[:, : length - k]
            anchors[k] = torch.arange(length - k, device=latents.device)
            if modality == "image" and not self._wrap:
                anchors[k] = self.get_buffer(f"image_anchors_{k}")
                chosen = contexts[:, anchors[k]]
            predictions[k] = predictors.get_submodule(str(k))(chosen)
        return Encoding(latents, contexts, anchors, predictions)

    def weights(self) -> dict[str, Tensor]:
        """The tensors to store: parameters and buffers, without the mel filters, which follow from the settings."""
        return {name: tensor for name, tensor in self.state_dict().items() if ".mel." not in name}

    def load_weights(self, weights: dict[str, Tensor]) -> None:
        """Load tensors returned by `weights`.

        Raises:
            RuntimeError: a name or a shape does not match.
        """
        filters = {name: tensor for name, tensor in self.state_dict().items() if ".mel." in name}
        self.load_state_dict({**filters, **weights})
        self.clamp_temperature()  # weights of earlier versions may hold a τ beyond its bounds

    @property
    def parameter_count(self) -> int:
        """Number of parameters, including those that are not trained."""
        return sum(p.numel() for p in self.parameters())
