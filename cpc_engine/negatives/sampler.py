"""The hybrid sampler, which gathers the candidates of one modality in one step (see docs/method.md#algorithm-2)."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import torch
from torch import Tensor
from torch.nn import functional as F

from ..config import SamplerConfig
from ..sources import SOURCES, Anchors, Keys, SourceInputs
from ..terms import Modality
from .candidates import Candidates
from .identity import NO_POSITION, item_of, pack
from .queue import LatentQueue, mixed_order
from .weighting import Weighting


def keys_of(
    modality: Modality,
    latents: Tensor,
    items: Tensor,
    labels: Tensor,
    cosine: bool,
    pairs: Tensor | None = None,
    places: Tensor | None = None,
) -> Keys:
    """Make keys from the latents of a batch, with identities and labels per position.

    Args:
        latents: (B, T, d).
        items: (B,) int64 item numbers, equal for items with the same content (`data.dataset.Split.contents`).
        labels: (B,) int64 classes.
        cosine: scale the vectors to unit length.
        pairs: (B,) int64 pair numbers (`data.dataset.Split.pairs`); None where an item's number is its pair's.
        places: (B,) int64 position of the first latent of each row in its item; 0 if None.

    Returns:
        Keys with B·T rows in item-major order.

    Example:
        >>> keys = keys_of("audio", torch.ones(2, 3, 4), torch.tensor([0, 7]), torch.tensor([0, 1]), cosine=True)
        >>> keys.vectors.shape, keys.labels.tolist(), keys.futures(1).labels.tolist()
        (torch.Size([6, 4]), [0, 0, 0, 1, 1, 1], [0, 0, 1, 1])
    """
    _, length, dim = latents.shape
    positions = torch.arange(length, device=latents.device)[None] + (0 if places is None else places[:, None])
    vectors = latents.reshape(-1, dim).float()
    return Keys(
        vectors=F.normalize(vectors, dim=1) if cosine else vectors,
        ids=pack(modality, items[:, None], positions).reshape(-1),
        labels=labels.repeat_interleave(length),
        length=length,
        pairs=None if pairs is None else pairs.repeat_interleave(length),
    )


class HybridSampler:
    """The sources of negatives and the queue of one modality (see docs/method.md#sources-of-negatives).

    Args:
        config: settings of the sampler. The attribute may be replaced between steps to change live settings.
        dim: size d of a latent.
        cosine: whether similarities are cosines; perturbed latents are then rescaled to unit length.
        generator: source of all random draws, so that a resumed run draws the same values.

    Example:
        >>> sampler = HybridSampler(SamplerConfig(perturbed=True), dim=4, cosine=True, generator=torch.Generator())
        >>> keys = keys_of("audio", torch.randn(2, 3, 4), torch.arange(2), torch.zeros(2).long(), cosine=True)
        >>> sampler.candidates(keys.futures(1), step=0).counts()
        {'in_batch': 4, 'perturbed': 4}
    """

    def __init__(self, config: SamplerConfig, dim: int, cosine: bool, generator: torch.Generator) -> None:
        self.config = config
        self.cosine = cosine
        self.generator = generator
        self.queue = LatentQueue(config.queue_size, dim, generator.device)

    def candidates(
        self,
        futures: Keys,
        step: int,
        other: Keys | None = None,
        shuffled_input: Keys | None = None,
        anchors: Anchors | None = None,
    ) -> Candidates:
        """Gather the candidates of one step from all sources that are switched on.

        Args:
            futures: keys of all positions that are the positive of some anchor.
            step: of the run, from 0; decides which queued latents are too old.
            other: keys of the other modality of the same batch; needed for `cross_modal`.
            shuffled_input: keys of the shuffled input; needed for `shuffled` = "input".
            anchors: the predictions; needed for `mixed`.
        """
        config = self.config
        if shuffled_input is not None:  # its latents belong to an item but to no position in it
            shuffled_input = replace(shuffled_input, ids=shuffled_input.ids | NO_POSITION)
        inputs = SourceInputs(
            config,
            futures,
            step,
            self.queue,
            self.generator,
            self.cosine,
            mask_key=_mask_key(config),
            other=other,
            shuffled_input=shuffled_input,
            anchors=anchors,
        )
        drawn = (source.draw(inputs) for source in SOURCES.values())
        permuted = config.shuffled in ("batch", "time")
        weighted = config.hardness > 0 or config.class_prior > 0
        return Candidates(
            [candidates for candidates in drawn if candidates is not None],
            permuted="absent" if not permuted else "detached" if config.detach_synthetic else "attached",
            mode=config.mode,
            same_item=config.same_item,
            in_batch=config.in_batch,
            same_class=config.same_class,
            weighting=Weighting(config.hardness, config.class_prior, self.cosine) if weighted else None,
        )

    def enqueue(self, futures: Keys, step: int) -> None:
        """Add this step's positives to the queue: all of them, or `queue_per_item` of each item, drawn at random.

        Args:
            futures: keys of all positions that are the positive of some anchor, item by item.
            step: of the run, from 0.
        """
        if self.queue.size == 0:
            return
        items, limit, device = len(futures.ids) // futures.length, self.config.queue_per_item, futures.ids.device
        columns = torch.arange(futures.length, device=device).expand(items, -1)
        if 0 < limit < futures.length:
            draw = torch.rand(items, futures.length, generator=self.generator, device=self.generator.device)
            columns = draw.argsort(1)[:, :limit]
        rows = torch.arange(items, device=device)[:, None] * futures.length + columns
        if self.queue.size % rows.numel():  # of one batch only a part is kept: some of its items
            rows = rows[mixed_order(items, step).to(device)]
        rows = rows.reshape(-1)
        self.queue.push(futures.vectors[rows], futures.ids[rows], futures.labels[rows], step)


def _mask_key(config: SamplerConfig) -> Callable[[Tensor, Tensor], Tensor]:
    """What latents of an anchor's positive's position, item, or class have in common (see `SourceInputs.mask_key`)."""
    if not config.same_class:
        return lambda ids, labels: labels
    return (lambda ids, labels: ids) if config.same_item else (lambda ids, labels: item_of(ids))
