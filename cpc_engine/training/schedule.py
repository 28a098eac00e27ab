"""Which items a step sees and how fast it learns: both follow from the step alone, so resuming needs no history."""

from __future__ import annotations

import math
from collections.abc import Sequence

import torch
from torch import Tensor

from ..config import OptimiserConfig


def learning_rate(config: OptimiserConfig, step: int) -> float:
    """Linear warm-up, then cosine decay to `final_rate` of the highest; `step` counts from 0."""
    if step < config.warmup_steps:
        return config.learning_rate * (step + 1) / config.warmup_steps
    done = (step - config.warmup_steps) / max(config.steps - config.warmup_steps, 1)
    cosine = 0.5 * (1 + math.cos(math.pi * min(done, 1.0)))
    return config.learning_rate * (config.final_rate + (1 - config.final_rate) * cosine)


class DataOrder:
    """A fresh order of all items for every epoch, from the seed and the epoch's number.

    A rest of an epoch too small for a batch is left out; the next epoch's order is another.
    """

    def __init__(self, items: int, batch_size: int, seed: int, groups: Sequence[str] | None = None) -> None:
        """
        Args:
            groups: a group for each item, to fill batches from one group as far as its items go; what is left of the
                groups fills mixed batches. None: any items make a batch.
        """
        self.items, self.seed = items, seed
        self.batch_size = min(batch_size, items)
        self._groups = None
        if groups is not None:
            numbers = {group: number for number, group in enumerate(dict.fromkeys(groups))}
            self._groups = torch.tensor([numbers[group] for group in groups])
        self._epoch = -1
        self._batches = torch.empty(0, dtype=torch.int64)

    def rows(self, step: int) -> Tensor:
        """(B,) int64 items of a step counted from 0."""
        epoch, batch = divmod(step, self.items // self.batch_size)
        if epoch != self._epoch:
            generator = torch.Generator().manual_seed((self.seed << 20) + epoch)
            order = torch.randperm(self.items, generator=generator)
            self._batches = self._cut(order) if self._groups is None else self._by_group(order, generator)
            self._epoch = epoch
        return self._batches[batch]

    def _cut(self, order: Tensor) -> Tensor:
        """(n,) items → (n // B, B)."""
        return order[: len(order) // self.batch_size * self.batch_size].view(-1, self.batch_size)

    def _by_group(self, order: Tensor, generator: torch.Generator) -> Tensor:
        assert self._groups is not None
        members = order[self._groups[order].argsort(stable=True)].split(self._groups.bincount().tolist())
        whole = [self._cut(rows) for rows in members]
        rests = torch.cat([rows[batches.numel() :] for rows, batches in zip(members, whole, strict=True)])
        rests = rests[torch.randperm(len(rests), generator=generator)]
        batches = torch.cat([*whole, self._cut(rests)])
        return batches[torch.randperm(len(batches), generator=generator)]
