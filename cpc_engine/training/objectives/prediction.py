"""The loss of contrastive predictive coding of one modality (see docs/method.md#algorithm-2)."""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from ...config import LossConfig, RunConfig
from ...model import Encoding, MultiModalCPC
from ...model.encoded import Encoded
from ...negatives.infonce import InfoNCE
from ...negatives.sampler import HybridSampler, keys_of
from ...sources import Keys
from ...terms import Modality
from ..ranks import ALONE, Ranks
from .loss_inputs import LossInputs
from .origin import Origin


class PredictionTerm:
    """Predictions of later positions against the candidates of the hybrid sampler, of every modality.

    Args:
        config: configuration of the run.
        model: the network.
        ema: momentum encoders by modality, which then make the keys; None without momentum.
        generator: source of all random draws.
        ranks: the processes that share every batch.

    Attributes:
        samplers: the sampler of negatives, with its queue, per modality.
    """

    def __init__(
        self,
        config: RunConfig,
        model: MultiModalCPC,
        ema: nn.ModuleDict | None,
        generator: torch.Generator,
        ranks: Ranks = ALONE,
    ) -> None:
        self.loss_config: LossConfig = config.loss
        self.model, self.ema, self.ranks = model, ema, ranks
        self.samplers: dict[Modality, HybridSampler] = {
            m: HybridSampler(config.sampler, config.context.latent_dim, self._cosine, generator)
            for m in model.modalities
        }

    def change(self, config: RunConfig) -> None:
        """Continue with changed live settings."""
        self.loss_config = config.loss
        for sampler in self.samplers.values():
            sampler.config = config.sampler

    def keys(self, modality: Modality, features: Tensor, encoding: Encoding, origin: Origin) -> Keys:
        """Return the keys of a batch: latents of the momentum encoder, of a second view, or of the batch itself.

        Args:
            features: that the momentum encoder reads.
        """
        latents = encoding.latents if encoding.view_latents is None else encoding.view_latents
        if self.ema is not None:
            with torch.no_grad():
                latents = self.ranks.apply(self.ema[modality], features).latents
        return self.keys_of(modality, latents, origin)

    def loss(
        self,
        modality: Modality,
        encoding: Encoding,
        keys: dict[Modality, Keys],
        shuffled: Encoded | None,
        origin: Origin,
        scale: Tensor,
        step: int,
        record: bool,
    ) -> InfoNCE:
        """Compute the loss of one modality.

        Args:
            keys, shuffled, scale: as of `inputs`.
            step: of the run, from 0.
            record: compute source statistics.
        """
        inputs = self.inputs(modality, encoding, keys, shuffled, origin, scale)
        return inputs.loss(inputs.candidates(step), record)

    def inputs(
        self,
        modality: Modality,
        encoding: Encoding,
        keys: dict[Modality, Keys],
        shuffled: Encoded | None,
        origin: Origin,
        scale: Tensor,
    ) -> LossInputs:
        """Gather what the loss of one modality is computed from.

        All horizons and reading orders share one set of in-batch candidates, the keys that some anchor predicts.

        Args:
            keys: of the batch by modality.
            shuffled: what the encoder made of shuffled input, where the sampler asks for it.
            scale: scalar 1/τ.
        """
        first = self.model.first_targets[modality]
        futures = keys[modality].futures(first)
        batch, length, device = len(origin.labels), futures.length, futures.ids.device
        anchors, positives, weights, names = [], [], [], []
        for name, vectors, columns, weight in self._predictions(modality, encoding):
            rows = torch.arange(batch, device=device)[:, None] * length + columns - first
            anchors.append(vectors.reshape(rows.numel(), -1).float())
            positives.append(rows.reshape(-1))
            weights.append(torch.full((rows.numel(),), weight / rows.numel(), device=device))
            names.append(name)
        vectors = torch.cat(anchors)
        return LossInputs(
            anchors=F.normalize(vectors, dim=1) if self._cosine else vectors,
            positives=torch.cat(positives),
            weights=torch.cat(weights),
            futures=futures,
            other=next((keys[m] for m in keys if m != modality), None),
            shuffled_input=None if shuffled is None else self.keys_of(modality, shuffled.latents, origin),
            parts=tuple((name, len(part)) for name, part in zip(names, anchors, strict=True)),
            sampler=self.samplers[modality],
            scale=scale,
            bound=self._bound(),
        )

    def enqueue(self, keys: dict[Modality, Keys], step: int) -> None:
        """Add the positives of a step to the queues."""
        for modality, sampler in self.samplers.items():
            sampler.enqueue(keys[modality].futures(self.model.first_targets[modality]), step)

    @property
    def _cosine(self) -> bool:
        return self.loss_config.similarity == "cosine"

    def keys_of(self, modality: Modality, latents: Tensor, origin: Origin) -> Keys:
        """Return the keys of latents (B, T, d) of a batch."""
        places = origin.places if modality == "audio" else None
        items = origin.items[modality]
        return keys_of(modality, latents, items, origin.labels, self._cosine, origin.pairs, places)

    def _predictions(self, modality: Modality, encoding: Encoding) -> list[tuple[str, Tensor, Tensor, float]]:
        """Return what is compared with the latents: per horizon, and at last for the global–local term, its name,
        vectors (B, n, d), the positions (n,) of their targets, and the weight of their mean loss.
        """
        found: list[tuple[str, Tensor, Tensor, float]] = []
        loss, horizons = self.loss_config, len(encoding.predictions)
        for k, vectors in encoding.predictions.items():
            found.append((str(k), vectors, encoding.targets[k], loss.prediction_weight / horizons))
        if loss.global_weight > 0:
            length, device = encoding.latents.shape[1], encoding.latents.device
            positions = torch.arange(self.model.first_targets[modality], length, device=device)
            summaries: Tensor = self.model.globals[modality](encoding.summary)
            found.append(("global", summaries[:, None].expand(-1, len(positions), -1), positions, loss.global_weight))
        return found

    def _bound(self) -> float | None:
        """An upper bound of the logits that needs no synchronization; None unless vectors have unit length."""
        loss = self.loss_config
        if not self._cosine:
            return None
        return 1 / (loss.temperature_min if loss.learnable_temperature else loss.temperature)
