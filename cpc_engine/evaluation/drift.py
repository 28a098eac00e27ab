"""How old the queue's latents really are: what is stored against what the encoder would say today."""

from __future__ import annotations

import torch

from ..data.items import Modality
from ..negatives.identity import SCRAMBLED, item_index
from ..training.trainer import Trainer
from .geometry import drift

SAMPLE = 64  # queued latents looked at, evenly spread from oldest to newest


@torch.no_grad()
def queue_drift(trainer: Trainer, modality: Modality) -> float | None:
    """Mean cosine between queued latents and the same positions encoded again, without augmentation.

    1 means that nothing moved. Augmentation alone costs some of it, so read its fall rather than its level.
    None for an empty queue.
    """
    entries = trainer.samplers[modality].queue.state()
    count = len(entries["ids"])
    if count == 0:
        return None
    chosen = torch.linspace(0, count - 1, min(SAMPLE, count)).long().to(entries["ids"].device)
    ids = entries["ids"][chosen]
    items, positions = item_index(ids), ids & SCRAMBLED
    values = trainer.data.train.values(modality)
    assert values is not None
    encoders = trainer.ema if trainer.ema is not None else trainer.model.encoders
    latents = encoders[modality](trainer.model.features[modality](values[items]))
    renewed = latents[torch.arange(len(items)), positions].float()
    return drift(entries["vectors"][chosen], renewed)
