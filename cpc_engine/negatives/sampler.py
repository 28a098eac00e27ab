"""The hybrid sampler: from one modality's keys to a step's candidates, and into the queue (seed.md, Algorithm 2)."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor
from torch.nn import functional as F

from ..config import SamplerConfig
from ..data.items import Modality
from .candidates import Candidates, Source
from .identity import SCRAMBLED, pack
from .queue import LatentQueue


@dataclass
class Keys:
    """Latents that predictions are scored against, one row per (item, position).

    Attributes:
        vectors: (B·T, d), in item-major order, unit length where cosine similarity is used.
        ids: (B·T,) int64. labels: (B·T,) int64. length: T.
    """

    vectors: Tensor
    ids: Tensor
    labels: Tensor
    length: int

    @classmethod
    def of(cls, modality: Modality, latents: Tensor, items: Tensor, labels: Tensor, cosine: bool) -> Keys:
        """From (B, T, d) latents of `items` (B,) with `labels` (B,)."""
        batch, length, dim = latents.shape
        positions = torch.arange(length, device=latents.device)
        vectors = latents.reshape(-1, dim).float()
        return cls(
            vectors=F.normalize(vectors, dim=1) if cosine else vectors,
            ids=pack(modality, items[:, None], positions[None]).reshape(-1),
            labels=labels[:, None].expand(batch, length).reshape(-1),
            length=length,
        )

    def futures(self, first: int) -> Keys:
        """Only positions from `first` on: those that are some anchor's future."""
        parts = (self.vectors, self.ids, self.labels)
        vectors, ids, labels = (part.unflatten(0, (-1, self.length))[:, first:].flatten(0, 1) for part in parts)
        return Keys(vectors, ids, labels, self.length - first)


class HybridSampler:
    """All five sources for one modality, and its queue.

    Args:
        config: the sampler's knobs; live ones may be replaced between steps.
        cosine: whether latents live on the unit sphere (perturbed ones are then put back on it).
        generator: noise and choices come from it alone, so a resumed run draws the same.
    """

    def __init__(self, config: SamplerConfig, dim: int, cosine: bool, generator: torch.Generator) -> None:
        self.config = config
        self.cosine = cosine
        self.generator = generator
        self.queue = LatentQueue(config.queue_size, dim, generator.device)

    def candidates(
        self, futures: Keys, step: int, other: Keys | None = None, scrambled: Keys | None = None
    ) -> Candidates:
        """Candidates of one step.

        Args:
            futures: keys of all positions that are some anchor's positive.
            step: of the run, from 0; decides which queued latents are too old.
            other: the other modality's keys of the same batch; used when cross_modal is on.
            scrambled: keys of the shuffled input; used when shuffled is "input".
        """
        config = self.config
        sources = [Source("in_batch", futures.vectors, futures.ids, futures.labels)]
        if len(self.queue) and step >= config.queue_delay:
            past = self.queue.entries(step, config.queue_max_age)
            if len(past.ids):
                sources.append(Source("queue", past.vectors, past.ids, past.labels))
        if config.perturbed:
            sources.append(Source("perturbed", self._perturb(futures.vectors), futures.ids, futures.labels))
        if config.shuffled == "input" and scrambled is not None:
            vectors = scrambled.vectors.detach() if config.detach_synthetic else scrambled.vectors
            sources.append(Source("shuffled", vectors, scrambled.ids | SCRAMBLED, scrambled.labels))
        if config.cross_modal and other is not None:
            vectors = other.vectors.detach() if config.detach_cross_modal else other.vectors
            sources.append(Source("cross_modal", vectors, other.ids, other.labels))
        permuted = config.shuffled in ("batch", "time")
        return Candidates(
            sources,
            mirror="absent" if not permuted else "detached" if config.detach_synthetic else "attached",
            mode=config.mode,
            same_item=config.same_item,
        )

    def enqueue(self, futures: Keys, step: int) -> None:
        """Let this step's positives in: all, or `queue_per_item` of each item, drawn at random."""
        limit = self.config.queue_per_item
        if self.queue.size == 0:
            return
        if limit == 0 or limit >= futures.length:
            self.queue.push(futures.vectors, futures.ids, futures.labels, step)
            return
        items = len(futures.ids) // futures.length
        draw = torch.rand(items, futures.length, generator=self.generator, device=self.generator.device)
        columns = draw.argsort(1)[:, :limit]
        rows = (torch.arange(items, device=columns.device)[:, None] * futures.length + columns).reshape(-1)
        self.queue.push(futures.vectors[rows], futures.ids[rows], futures.labels[rows], step)

    def _perturb(self, vectors: Tensor) -> Tensor:
        """z + σ·N(0, I), back on the sphere where cosine is used (design.md §2)."""
        clean = vectors.detach() if self.config.detach_synthetic else vectors
        noise = torch.randn(clean.shape, generator=self.generator, device=clean.device)
        noisy = clean + self.config.sigma * noise
        return F.normalize(noisy, dim=1) if self.cosine else noisy
