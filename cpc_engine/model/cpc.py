"""The complete CPC network: one encoder per modality, one shared GRU, linear predictors, and heads for whole items."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from ..config import RunConfig
from ..terms import Modality
from .context import ContextNetwork
from .encoded import Encoded, summary, whole_summary
from .frontends import AudioFeatures, ImageFeatures
from .latent_encoder import LatentEncoder

HEAD_WIDTH = 512  # of the hidden layer between a summary and an item embedding


@dataclass
class Encoding:
    """The output of the network for one modality of a batch.

    Attributes:
        latents: (B, T, d).
        contexts: (B, T, h), by position (see `context.Reading.contexts`); read forward alone, contexts[:, t] depends on
            latents[:, : t + 1] only.
        orders: (O, T) int64, the positions in each order in which they were read.
        anchors: {horizon k: (n,) positions that were read last before a prediction}, order by order: in each all T − k,
            but for images without `image.wrap` those in whose row the cell k steps on lies k mod grid columns further.
            Horizons k ≥ T are left out.
        targets: {horizon k: (n,) the positions k steps on, which are predicted}.
        predictions: {horizon k: (B, n, d)}, one per anchor.
        summary: (B, s), mean, maximum and standard deviation over the positions of the encoder's maps, or of the
            contexts where the encoder has none.
        first: (B, f), the first layer's outputs over parts of the item; None unless it is taken from the data.
        item: (B, e), item embeddings, not scaled; None unless the loss compares items.
        view_latents: (B, T, d), latents of other random views of the same stretches; None unless they were given.
        view_item: (B, e), item embeddings of other views or windows; None unless they were given.
    """

    latents: Tensor
    contexts: Tensor
    orders: Tensor
    anchors: dict[int, Tensor]
    targets: dict[int, Tensor]
    predictions: dict[int, Tensor]
    summary: Tensor
    first: Tensor | None = None
    item: Tensor | None = None
    view_latents: Tensor | None = None
    view_item: Tensor | None = None

    def futures(self, k: int) -> Tensor:
        """Return the latents (B, n, d) that the predictions of horizon k are of."""
        return self.latents[:, self.targets[k]]

    def both_items(self) -> tuple[Tensor, Tensor]:
        """Return the item embeddings of both views, of a loss that compares items."""
        assert self.item is not None
        assert self.view_item is not None
        return self.item, self.view_item


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
        self.horizons = {m: config.horizons(m) for m in modalities}
        self.features = nn.ModuleDict(
            {m: AudioFeatures(config.audio) if m == "audio" else ImageFeatures(config.image) for m in modalities}
        )
        self.encoders = nn.ModuleDict({m: LatentEncoder(m, config) for m in modalities})
        self.first_targets = {m: config.first_target(m) for m in modalities}
        self.gru = ContextNetwork(config)
        ahead: dict[str, set[int]] = {}
        for m, horizons in self.horizons.items():
            ahead.setdefault(m if context.predictors_per_modality else "shared", set()).update(horizons)
        self.predictors = nn.ModuleDict(
            {
                owner: nn.ModuleDict({str(k): nn.Linear(context.hidden_dim, context.latent_dim) for k in sorted(ks)})
                for owner, ks in ahead.items()
            }
        )
        self.heads = nn.ModuleDict({m: self._head(m, config) for m in modalities if config.loss.compares_items})
        self.globals = nn.ModuleDict(
            {
                m: nn.Linear(self._summary_size(m, config), context.latent_dim)
                for m in modalities
                if config.loss.global_weight
            }
        )
        self._wrap = config.image.wrap
        for k in self.horizons.get("image", ()):  # made once: a list would be copied to a GPU in every step
            self.register_buffer(
                f"image_anchors_{k}", torch.tensor(config.image.anchors(k), dtype=torch.int64), persistent=False
            )
        loss = config.loss
        scale = torch.tensor(1.0 / loss.temperature)
        self.log_scale = nn.Parameter(scale.log(), requires_grad=loss.learnable_temperature)
        self._temperatures = (loss.temperature_min, loss.temperature_max) if loss.learnable_temperature else None

    @staticmethod
    def _summary_size(modality: Modality, config: RunConfig) -> int:
        section = config.audio if modality == "audio" else config.image
        return 3 * (section.width if section.encoder == "residual" else config.context.hidden_dim)

    @classmethod
    def _head(cls, modality: Modality, config: RunConfig) -> nn.Module:
        """A hidden layer between a summary and an item embedding, as in SimCLR (Chen et al. 2020, arXiv 2002.05709)."""
        return nn.Sequential(
            nn.Linear(cls._summary_size(modality, config), HEAD_WIDTH),
            nn.LayerNorm(HEAD_WIDTH),
            nn.ReLU(),
            nn.Linear(HEAD_WIDTH, config.context.item_dim),
        )

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
        encoded: Encoded = self.encoders[modality](features)
        return encoded.latents

    def forward(
        self,
        inputs: dict[Modality, Tensor],
        same: Mapping[Modality, Tensor] | None = None,
        other: Mapping[Modality, Tensor] | None = None,
    ) -> dict[Modality, Encoding]:
        """Compute latents, contexts, and predictions from the features of each modality.

        All features of a modality pass the encoder together.

        Args:
            inputs: features by modality.
            same: of other random views of the same stretches of each item, whose latents are wanted.
            other: of other views or windows of each item, whose item embeddings are wanted.
        """
        encodings = {}
        for modality, features in inputs.items():
            parts = [features, *(views[modality] for views in (same, other) if views is not None)]
            together: Encoded = self.encoders[modality](torch.cat(parts) if len(parts) > 1 else features)
            split = together.split([len(part) for part in parts])
            encoding = self._encoding(modality, split.pop(0))
            if same is not None:
                encoding.view_latents = split.pop(0).latents
            if other is not None:
                encoding.view_item = self.heads[modality](self._whole_summary(modality, split.pop(0)))
            encodings[modality] = encoding
        return encodings

    def _encoding(self, modality: Modality, encoded: Encoded) -> Encoding:
        latents = encoded.latents
        orders, states = reading = self.gru.read(modality, latents)
        contexts = reading.contexts()
        predictors: nn.Module = self.predictors[modality if modality in self.predictors else "shared"]
        length = latents.shape[1]
        anchors: dict[int, Tensor] = {}
        targets: dict[int, Tensor] = {}
        predictions: dict[int, Tensor] = {}
        for k in (k for k in self.horizons[modality] if k < length):
            read, chosen = torch.arange(length - k, device=latents.device), states[:, :, : length - k]
            if modality == "image" and not self._wrap:
                read = self.get_buffer(f"image_anchors_{k}")
                chosen = states[:, :, read]
            anchors[k], targets[k] = orders[:, read].flatten(), orders[:, read + k].flatten()
            predictions[k] = predictors.get_submodule(str(k))(chosen.transpose(0, 1).flatten(1, 2))
        whole = summary(contexts.transpose(1, 2).float()) if encoded.summary is None else encoded.summary
        item = self.heads[modality](whole) if modality in self.heads else None
        return Encoding(latents, contexts, orders, anchors, targets, predictions, whole, encoded.first, item)

    def _whole_summary(self, modality: Modality, encoded: Encoded) -> Tensor:
        return whole_summary(encoded, lambda latents: self.gru.read(modality, latents).contexts())

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
