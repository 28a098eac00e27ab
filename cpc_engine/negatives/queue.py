"""A first-in-first-out memory of past positives."""

from __future__ import annotations

from typing import NamedTuple

import torch
from torch import Tensor


class Entries(NamedTuple):
    """Latents in the queue, in no particular order (a softmax does not mind).

    Attributes:
        vectors: (n, d) float32. ids: (n,) int64 identities. steps: (n,) int64, when each came in. labels: (n,) int64.
    """

    vectors: Tensor
    ids: Tensor
    steps: Tensor
    labels: Tensor


class LatentQueue:
    """The newest `size` latents, exactly, for any sequence of batch sizes.

    It starts empty and counts what is valid, so nothing that was never a latent is ever a negative.
    """

    def __init__(self, size: int, dim: int, device: torch.device | str = "cpu") -> None:
        self.size = size
        self.head = 0  # where the next latent goes
        self.count = 0
        self._store = Entries(
            torch.zeros(size, dim, device=device),
            torch.zeros(size, dtype=torch.int64, device=device),
            torch.zeros(size, dtype=torch.int64, device=device),
            torch.zeros(size, dtype=torch.int64, device=device),
        )
        self._batches: list[tuple[int, int]] = []  # (step, latents), oldest first: ages without asking the device

    def __len__(self) -> int:
        return self.count

    def push(self, vectors: Tensor, ids: Tensor, labels: Tensor, step: int) -> None:
        """Let a batch in and the oldest out; of a batch larger than the queue its last rows stay."""
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
        """What counts at `step`: everything, or (max_age > 0) what came in at most that many steps ago."""
        count = self.count
        if max_age > 0:
            count = min(count, sum(n for came, n in self._batches if step - came <= max_age))
        if count == self.size:
            return self._store
        rows = (self.head - count + torch.arange(count, device=self._store.ids.device)) % max(self.size, 1)
        return Entries(*(field[rows] for field in self._store))

    def state(self) -> dict[str, Tensor]:
        """Content and identities, oldest first, and the place of the oldest, for a checkpoint."""
        begin = (self.head - self.count) % max(self.size, 1)
        rows = (begin + torch.arange(self.count, device=self._store.ids.device)) % max(self.size, 1)
        return {name: field[rows].clone() for name, field in self._store._asdict().items()} | {
            "begin": torch.tensor([begin])
        }

    def load(self, state: dict[str, Tensor]) -> None:
        """The inverse of `state`, into a queue of the same size; every latent takes its old place, so that sums over
        the queue run in the same order and a resumed run is the same to the last bit."""
        self.head, self.count = int(state["begin"]), 0
        self._batches = []
        steps, counts = torch.unique_consecutive(state["steps"].cpu(), return_counts=True)
        device, begin = self._store.ids.device, 0
        for step, n in zip(steps.tolist(), counts.tolist(), strict=True):
            part = slice(begin, begin + n)
            vectors, ids, labels = (state[name][part].to(device) for name in ("vectors", "ids", "labels"))
            self.push(vectors, ids, labels, step)
            begin += n
