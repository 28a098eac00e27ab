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
WANTED = 4096


@torch.no_grad()
def earlier(trainer: Trainer, step: int, wanted: int = WANTED) -> Past:
    """Encode the batches before a step again, with the trainer's network as it is.

    Args:
        trainer: at the step.
        step: from 0; at most 8 batches before it are encoded.
        wanted: latents that enter each queue after which no further batch is encoded.
    """
    past: Past = []
    found: dict[tuple[Term, Modality], int] = {}
    while step > 0 and len(past) < MOST_BATCHES and min(found.values(), default=0) < wanted:
        step -= 1
        forward = trainer.forward(trainer.order.rows(step))
        keys: dict[tuple[Term, Modality], Keys] = {
            ("prediction", m): some.futures(trainer.model.first_targets[m]) for m, some in forward.keys.items()
        }
        if trainer.item_term is not None and forward.other is not None:
            views = {m: (forward.inputs[m], forward.other[m]) for m in forward.inputs}
            both = trainer.item_term.keys(forward.encodings, views, forward.origin)
            keys |= {("item", m): one_view(some) for m, some in both.items()}
        for which, some in keys.items():
            per_item = min(trainer.config.sampler.queue_per_item or some.length, some.length)
            found[which] = found.get(which, 0) + len(some.ids) // some.length * per_item
        past.insert(0, (step, keys))
    return past
