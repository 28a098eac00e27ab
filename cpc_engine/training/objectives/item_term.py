"""The item-level term: InfoNCE between item embeddings of two views, with the negatives of the hybrid sampler.

Two views of an item attract and those of other items repel, as in SimCLR (Chen et al. 2020, arXiv 2002.05709) for
pictures and COLA (Saeed et al. 2021, arXiv 2010.10915) for sounds. See `docs/method.md#item-level-term`.
"""

from __future__ import annotations

import copy
from collections.abc import Mapping

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from ...config import RunConfig, SamplerConfig
from ...model import Encoding, MultiModalCPC
from ...model.context import ContextNetwork
from ...model.encoded import Encoded, whole_summary
from ...negatives.infonce import InfoNCE
from ...negatives.sampler import HybridSampler, keys_of
from ...sources import Keys
from ...terms import Modality
from ..ranks import ALONE, Ranks
from ..states import with_prefix
from .loss_inputs import LossInputs
from .origin import Origin


class ItemTerm:
    """The item-level term of every modality, with a sampler and a queue of item embeddings each.

    Every source of negatives that is switched on serves here too, with item embeddings for latents; a queued embedding
    counts as one latent. Copies of the anchor's item are always masked, because its own first view is among the
    candidates.

    Args:
        config: configuration of the run.
        model: the network, with heads.
        ema: momentum encoders by modality, which then make the keys; None without momentum.
        generator: source of all random draws.
        ranks: the processes that share every batch.
    """

    def __init__(
        self,
        config: RunConfig,
        model: MultiModalCPC,
        ema: nn.ModuleDict | None,
        generator: torch.Generator,
        ranks: Ranks = ALONE,
    ) -> None:
        self.config, self.model, self.ema, self.ranks = config, model, ema, ranks
        dim, sampler = config.context.item_dim, with_masks(config)
        self.samplers = {m: HybridSampler(sampler, dim, True, generator) for m in model.modalities}
        self.slow = None if ema is None else copy.deepcopy(self._layers()).requires_grad_(False)

    def change(self, config: RunConfig) -> None:
        """Continue with changed live settings."""
        self.config = config
        for sampler in self.samplers.values():
            sampler.config = with_masks(config)

    def keys(
        self,
        encodings: dict[Modality, Encoding],
        views: Mapping[Modality, tuple[Tensor, Tensor]],
        origin: Origin,
    ) -> dict[Modality, Keys]:
        """Return the keys of a batch by modality, 2B each: for each view of an item the other one.

        Args:
            encodings: of the batch, with item embeddings of both views.
            views: features of both views by modality, which momentum encoders read.
            origin: of the B items of the batch.
        """
        return {m: self.keys_of(m, self._targets(m, encodings[m], views[m]), origin) for m in encodings}

    def losses(
        self,
        encodings: dict[Modality, Encoding],
        keys: dict[Modality, Keys],
        shuffled: Mapping[Modality, Encoded],
        origin: Origin,
        step: int,
        record: bool,
    ) -> dict[Modality, InfoNCE]:
        """Compute the loss of each modality.

        Args:
            encodings: of the batch, with item embeddings of both views.
            keys: of the batch.
            shuffled: what the encoders made of shuffled input, where the sampler asks for it.
            origin: of the B items of the batch.
            step: of the run, from 0.
            record: compute source statistics.
        """
        found = {m: self.inputs(m, encodings[m], keys, shuffled.get(m), origin) for m in encodings}
        return {m: inputs.loss(inputs.candidates(step), record) for m, inputs in found.items()}

    def inputs(
        self,
        modality: Modality,
        encoding: Encoding,
        keys: dict[Modality, Keys],
        shuffled: Encoded | None,
        origin: Origin,
    ) -> LossInputs:
        """Gather what the loss of one modality is computed from; the arguments are those of `losses`."""
        destroyed = None
        if shuffled is not None:
            destroyed = self.keys_of(modality, self.embedded(modality, shuffled), origin)
        anchors = F.normalize(torch.cat(encoding.both_items()).float(), dim=1)
        scale = 1 / self.config.loss.item_temperature
        return LossInputs(
            anchors=anchors,
            positives=torch.arange(len(anchors), device=anchors.device),
            weights=None,
            futures=keys[modality],
            other=next((keys[m] for m in keys if m != modality), None),
            shuffled_input=destroyed,
            parts=(("item", len(anchors)),),
            sampler=self.samplers[modality],
            scale=torch.tensor(scale, device=anchors.device),
            bound=scale,
        )

    def enqueue(self, keys: dict[Modality, Keys], step: int) -> None:
        """Add the keys of a step to the queues, one view of each item."""
        for modality, both in keys.items():
            self.samplers[modality].enqueue(one_view(both), step)

    @torch.no_grad()
    def update_momentum(self) -> None:
        """Move the layers that make the keys toward the trained ones."""
        if self.slow is not None:
            averages: list[Tensor] = list(self.slow.parameters())
            parameters: list[Tensor] = list(self._layers().parameters())
            torch._foreach_lerp_(averages, parameters, 1 - self.config.sampler.key_momentum)

    def reset_momentum(self) -> None:
        """Make the layers that make the keys equal to the trained ones."""
        if self.slow is not None:
            self.slow.load_state_dict(self._layers().state_dict())

    def queued(self) -> dict[Modality, int]:
        """Number of embeddings in the queue of each modality."""
        return {m: len(sampler.queue) for m, sampler in self.samplers.items()}

    def state(self) -> dict[str, Tensor]:
        """Return the queues and the slow layers, to resume a run."""
        state = {} if self.slow is None else {f"slow.{name}": t for name, t in self.slow.state_dict().items()}
        for modality, sampler in self.samplers.items():
            state |= {f"queue.{modality}.{name}": tensor for name, tensor in sampler.queue.state().items()}
        return state

    def load(self, state: Mapping[str, Tensor]) -> None:
        """Restore a `state()`."""
        if self.slow is not None:
            self.slow.load_state_dict(with_prefix(state, "slow."))
        for modality, sampler in self.samplers.items():
            sampler.queue.load(with_prefix(state, f"queue.{modality}."))

    def _layers(self) -> nn.ModuleDict:
        """What makes item embeddings of what the encoders make."""
        return nn.ModuleDict({"gru": self.model.gru, "heads": self.model.heads})

    def _targets(self, modality: Modality, encoding: Encoding, views: tuple[Tensor, Tensor]) -> Tensor:
        """Embeddings (2B, e) that the anchors are compared with: those of the other view of each."""
        if self.ema is None:
            return torch.cat(encoding.both_items()[::-1])
        encoder = self.ema[modality]
        with torch.no_grad():
            both = torch.cat([views[1], views[0]])
            return self.ranks.apply(lambda features: self.embedded(modality, encoder(features)), both)

    def embedded(self, modality: Modality, encoded: Encoded) -> Tensor:
        """Item embeddings from the layers that make the keys."""
        layers = self._layers() if self.slow is None else self.slow
        head = layers["heads"].get_submodule(modality)
        context_network = layers["gru"]
        assert isinstance(context_network, ContextNetwork)
        result: Tensor = head(
            whole_summary(encoded, lambda latents: context_network.read(modality, latents).contexts())
        )
        return result

    def keys_of(self, modality: Modality, embeddings: Tensor, origin: Origin) -> Keys:
        """Keys of n · B embeddings, of the items of the batch n times."""
        times = len(embeddings) // len(origin.labels)
        items, labels, pairs = (
            numbers.repeat(times) for numbers in (origin.items[modality], origin.labels, origin.pairs)
        )
        return keys_of(modality, embeddings[:, None], items, labels, True, pairs)


def with_masks(config: RunConfig) -> SamplerConfig:
    """Return the sampler's settings for the item-level term, whose own keys are always masked."""
    return config.sampler.model_copy(update={"mode": "exclude_positives"})


def one_view(both: Keys) -> Keys:
    """Return the keys of one view of each item, those that enter the queue."""
    half = len(both.ids) // 2
    pairs = None if both.pairs is None else both.pairs[:half]
    return Keys(both.vectors[:half], both.ids[:half], both.labels[:half], 1, pairs)
