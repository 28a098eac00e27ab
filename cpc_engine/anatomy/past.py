"""The keys of a run's earlier batches, to fill a queue with that the run did not store or did not have."""

from __future__ import annotations

from typing import Literal

import torch

from ..sources import Keys
from ..terms import Modality
from ..training.objectives.item_term import one_view
from ..training.trainer import Trainer

Term = Literal["prediction", "item"]
Past = list[tuple[int, dict[tuple[Term, Modality], Keys]]]  # (step, keys that enter the queues), oldest first
MOST_BATCHES = 8


def steps_before(trainer: Trainer, step: int, wanted: int = 4096) -> range:
    """Steps before `step` whose batches hold about `wanted` latents that enter a queue; at most 8.

    Example:
        >>> from types import SimpleNamespace as Some
        >>> sampler = Some(queue_size=0, queue_per_item=1)
        >>> trainer = Some(config=Some(sampler=sampler), order=Some(batch_size=1024))
        >>> steps_before(trainer, step=100), steps_before(trainer, step=2)
        (range(96, 100), range(0, 2))
    """
    sampler = trainer.config.sampler
    a_batch = trainer.order.batch_size * max(sampler.queue_per_item, 1)
    batches = min(-(-max(sampler.queue_size, wanted) // a_batch), MOST_BATCHES)
    return range(max(step - batches, 0), step)


@torch.no_grad()
def earlier(trainer: Trainer, steps: range) -> Past:
    """Encode the batches of earlier steps again, with the trainer's network as it is."""
    past: Past = []
    for step in steps:
        forward = trainer.forward(trainer.order.rows(step))
        keys: dict[tuple[Term, Modality], Keys] = {
            ("prediction", m): some.futures(min(trainer.model.horizons[m])) for m, some in forward.keys.items()
        }
        if trainer.item_term is not None and forward.other is not None:
            views = {m: (forward.inputs[m], forward.other[m]) for m in forward.inputs}
            both = trainer.item_term.keys(forward.encodings, views, forward.origin)
            keys |= {("item", m): one_view(some) for m, some in both.items()}
        past.append((step, keys))
    return past
