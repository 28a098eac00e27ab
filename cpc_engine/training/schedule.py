"""Which items a step sees and how fast it learns: both follow from the step alone, so resuming needs no history."""

from __future__ import annotations

import math

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

    def __init__(self, items: int, batch_size: int, seed: int) -> None:
        self.items, self.seed = items, seed
        self.batch_size = min(batch_size, items)
        self._epoch = -1
        self._order = torch.empty(0, dtype=torch.int64)

    def rows(self, step: int) -> Tensor:
        """(B,) int64 items of a step counted from 0."""
        epoch, batch = divmod(step, self.items // self.batch_size)
        if epoch != self._epoch:
            generator = torch.Generator().manual_seed((self.seed << 20) + epoch)
            self._order = torch.randperm(self.items, generator=generator)
            self._epoch = epoch
        return self._order[batch * self.batch_size : (batch + 1) * self.batch_size]
