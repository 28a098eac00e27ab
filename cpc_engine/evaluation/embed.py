"""Frozen features of items: the one path by which data sets, maps, probes and strangers' files are embedded."""

from __future__ import annotations

from dataclasses import dataclass, fields

import torch
from torch import Tensor
from torch.nn import functional as F

from ..data.items import Modality, Split
from ..model import MultiModalCPC

SEGMENTS = 8  # stretches of time that `pooled_*` average sound over
CELLS = 2  # cells per side that they average pictures over


@dataclass(frozen=True)
class Features:
    """Frozen features of one modality of N items, float32 on the CPU.

    Attributes:
        mean_context, last_context: (N, h). mean_latent: (N, d).
        pooled_latent, pooled_context: (N, 8·d or h) over time for sound, (N, 4·d or h) over quarters for pictures.
        mean_std_latent, mean_std_context: (N, 2·d or h), mean and standard deviation over positions.
    """

    mean_context: Tensor
    last_context: Tensor
    mean_latent: Tensor
    pooled_latent: Tensor
    pooled_context: Tensor
    mean_std_latent: Tensor
    mean_std_context: Tensor


@torch.no_grad()
def embed(model: MultiModalCPC, split: Split, batch_size: int = 256) -> dict[Modality, Features]:
    """Features of every item, without augmentation, with the network in evaluation mode."""
    was_training = model.training
    model.eval()
    device = next(model.parameters()).device
    parts: dict[Modality, list[Features]] = {m: [] for m in model.modalities if split.values(m) is not None}
    for modality, collected in parts.items():
        values = split.values(modality)
        assert values is not None
        for begin in range(0, len(values), batch_size):
            inputs = model.features[modality](values[begin : begin + batch_size].to(device))
            encoding = model({modality: inputs})[modality]
            collected.append(_features(modality, encoding.latents, encoding.contexts))
    model.train(was_training)
    return {
        m: Features(*(torch.cat(columns) for columns in zip(*map(_tensors, p), strict=True))) for m, p in parts.items()
    }


def _features(modality: Modality, latents: Tensor, contexts: Tensor) -> Features:
    tensors = (
        contexts.mean(1),
        contexts[:, -1],
        latents.mean(1),
        _pooled(modality, latents),
        _pooled(modality, contexts),
        _mean_std(latents),
        _mean_std(contexts),
    )
    return Features(*(t.float().cpu() for t in tensors))


def _pooled(modality: Modality, sequence: Tensor) -> Tensor:
    """(B, T, f) → (B, parts · f): means over stretches of time, or over quarters of the grid."""
    columns = sequence.transpose(1, 2)
    if modality == "audio":
        return F.adaptive_avg_pool1d(columns, min(SEGMENTS, columns.shape[2])).flatten(1)
    side = round(columns.shape[2] ** 0.5)
    return F.adaptive_avg_pool2d(columns.unflatten(2, (side, side)), CELLS).flatten(1)


def _mean_std(sequence: Tensor) -> Tensor:
    """(B, T, f) → (B, 2 · f)."""
    return torch.cat([sequence.mean(1), sequence.std(1, correction=0)], 1)


def _tensors(features: Features) -> tuple[Tensor, ...]:
    return tuple(getattr(features, field.name) for field in fields(features))
