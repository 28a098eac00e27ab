"""A first-in-first-out queue of past positives, in the manner of MoCo (He et al. 2020, arXiv 1911.05722)."""

from __future__ import annotations

from typing import NamedTuple

import torch
from torch import Tensor


class Entries(NamedTuple):
    """Latents in the queue, in no particular order.

    Attributes:
        vectors: (n, d) float32.
        ids: (n,) int64 identities.
        steps: (n,) int64, the step at which each latent was enqueued.
        labels: (n,) int64 classes.
    """

    vectors: Tensor
    ids: Tensor
    steps: Tensor
    labels: Tensor


def mixed_order(count: int, step: int) -> Tensor:
    """Return a random order (count,) int64 in which a step's latents enter a queue that keeps a part of them.

    They come sorted by class, so without it that part would be of the last classes, and labels would decide what is
    learned. The order follows from the step alone, so that a resumed run and every rank have the same.
    """
    return torch.randperm(count, generator=torch.Generator().manual_seed(step))


class LatentQueue:
    """A ring buffer with the newest `size` latents, exact for any sequence of batch sizes.

    It starts empty and tracks how many rows are valid, so that only real latents become negatives.

    Args:
        size: capacity in latents; 0 switches the queue off.
        dim: size d of a latent.
        device: device of the stored tensors.

    Example:
        >>> queue = LatentQueue(size=3, dim=1)
        >>> for step in range(2):
        ...     ids = torch.tensor([2 * step, 2 * step + 1])
        ...     queue.push(ids[:, None].float(), ids, labels=ids, step=step)
        >>> len(queue), queue.state()["ids"].tolist()
        (3, [1, 2, 3])
    """

    def __init__(self, size: int, dim: int, device: torch.device | str = "cpu") -> None:
        self.size = size
        self.head = 0  # row of the next latent
        self.count = 0
        self._store = Entries(
            torch.zeros(size, dim, device=device),
            torch.zeros(size, dtype=torch.int64, device=device),
            torch.zeros(size, dtype=torch.int64, device=device),
            torch.zeros(size, dtype=torch.int64, device=device),
        )
        # (step, number of latents) of the stored batches, oldest first: gives ages without synchronizing the device
        self._batches: list[tuple[int, int]] = []

    def __len__(self) -> int:
        return self.count

    def push(self, vectors: Tensor, ids: Tensor, labels: Tensor, step: int) -> None:
        """Add a batch of latents and drop the oldest ones. Of a batch larger than the queue, the last rows are kept.

        Args:
            vectors: (n, d); stored as float32 without gradient.
            ids: (n,) int64 identities.
            labels: (n,) int64 classes.
            step: of the run, from 0.
        """
        if self.size == 0 or len(vectors) == 0:
            return
        kept = min(len(vectors), self.size)
        rows = (self.head + torch.arange(kept, device=ids.device)) % self.size
        self._store.vectors[rows] = vectors[-kept:].detach().float()
        self._store.ids[rows] = ids[-kept:]
        self._store.labels[rows] = labels[-kept:]
        self._store.steps[rows] = step
        self.head = (self.head + kept) % self.size
        self.count = min(self.size, self.count + kept)
        self._batches.append((step, kept))
        while sum(n for _, n in self._batches[1:]) >= self.count:
            self._batches.pop(0)

    def entries(self, step: int, max_age: int = 0) -> Entries:
        """Return the latents that are valid negatives at `step`.

        Args:
            step: of the run, from 0.
            max_age: largest age in steps; 0 returns all latents.
        """
        count = self.count
        if max_age > 0:
            count = min(count, sum(n for enqueued, n in self._batches if step - enqueued <= max_age))
        if count == self.size:
            return self._store
        rows = (self.head - count + torch.arange(count, device=self._store.ids.device)) % max(self.size, 1)
        return Entries(*(field[rows] for field in self._store))

    def state(self) -> dict[str, Tensor]:
        """Return the stored latents, oldest first, and the row of the oldest one ("begin"), for a checkpoint."""
        begin = (self.head - self.count) % max(self.size, 1)
        rows = (begin + torch.arange(self.count, device=self._store.ids.device)) % max(self.size, 1)
        return {name: field[rows].clone() for name, field in self._store._asdict().items()} | {
            "begin": torch.tensor([begin])
        }

    def load(self, state: dict[str, Tensor]) -> None:
        """Restore the content from `state()` of a queue of the same size.

        Every latent returns to its old row. Sums over the queue then have the same order, so that a resumed run is
        bit-identical.
        """
        self.head, self.count = int(state["begin"]), 0
        self._batches = []
        steps, counts = torch.unique_consecutive(state["steps"].cpu(), return_counts=True)
        device, begin = self._store.ids.device, 0
        for step, n in zip(steps.tolist(), counts.tolist(), strict=True):
            part = slice(begin, begin + n)
            vectors, ids, labels = (state[name][part].to(device) for name in ("vectors", "ids", "labels"))
            self.push(vectors, ids, labels, step)
            begin += n
