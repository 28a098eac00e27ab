"""Selection of the items of each batch. It depends on the step only, so resuming a run needs no history."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence

import torch
from torch import Tensor

from ..config import RunConfig
from ..data.dataset import Split


class BatchSampler:
    """Draws batches from a new random order of all items in every epoch.

    The order depends on the seed and the number of the epoch. Items that do not fill a last batch are left out of that
    epoch.

    Args:
        items: number of items.
        batch_size: items per batch; at most `items` are used.
        seed: random seed.
        groups: a group for each item. If given, batches are filled from one group as far as its items suffice, and the
            remaining items of all groups fill mixed batches.

    Example:
        >>> sampler = BatchSampler(items=6, batch_size=3, seed=0)
        >>> torch.cat([sampler.rows(0), sampler.rows(1)]).sort().values
        tensor([0, 1, 2, 3, 4, 5])
    """

    def __init__(self, items: int, batch_size: int, seed: int, groups: Sequence[str] | None = None) -> None:
        self.items, self.seed = items, seed
        self.batch_size = min(batch_size, items)
        self._groups = None
        if groups is not None:
            numbers = {group: number for number, group in enumerate(dict.fromkeys(groups))}
            self._groups = torch.tensor([numbers[group] for group in groups])
        self._epoch = -1
        self._batches = torch.empty(0, dtype=torch.int64)

    def rows(self, step: int) -> Tensor:
        """Return the item indices (B,) int64 of a step, counted from 0."""
        epoch, batch = divmod(step, self.items // self.batch_size)
        if epoch != self._epoch:
            generator = torch.Generator().manual_seed(_seed(self.seed, epoch))
            order = torch.randperm(self.items, generator=generator)
            self._batches = self._batched(order) if self._groups is None else self._by_group(order, generator)
            self._epoch = epoch
        return self._batches[batch]

    def _batched(self, order: Tensor) -> Tensor:
        """Divide items (n,) into batches (n // B, B)."""
        return order[: len(order) // self.batch_size * self.batch_size].view(-1, self.batch_size)

    def _by_group(self, order: Tensor, generator: torch.Generator) -> Tensor:
        """Divide items (n,) into batches, from one group each as far as its items suffice."""
        assert self._groups is not None
        members = order[self._groups[order].argsort(stable=True)].split(self._groups.bincount().tolist())
        full = [self._batched(rows) for rows in members]
        remainder = torch.cat([rows[batches.numel() :] for rows, batches in zip(members, full, strict=True)])
        remainder = remainder[torch.randperm(len(remainder), generator=generator)]
        batches = torch.cat([*full, self._batched(remainder)])
        return batches[torch.randperm(len(batches), generator=generator)]


def _seed(seed: int, epoch: int) -> int:
    """A seed of its own for every seed of a run and epoch; PyTorch's generator on a CPU keeps 32 bits of it."""
    if seed < 1 << 12:
        return (seed << 20) + epoch
    return int.from_bytes(hashlib.sha256(f"{seed} {epoch}".encode()).digest()[:4], "big")


def batch_order(config: RunConfig, train: Split) -> BatchSampler:
    """Return the order in which a run draws its training items."""
    groups = train.groups if config.sampler.one_group else None
    return BatchSampler(len(train), config.optimizer.batch_size, config.run.seed, groups)
