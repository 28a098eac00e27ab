"""Features of items from a network without gradient: used for data sets, maps, probes, and new items alike."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, fields

import torch
from torch import Tensor
from torch.nn import functional as F

from ..data.dataset import Split
from ..data.windows import all_windows, mean_over_windows
from ..model import Encoding, MultiModalCPC
from ..terms import Modality

SEGMENTS = 8  # equal stretches of time that the `pooled_*` features of audio average over
CELLS = 2  # cells per side that the `pooled_*` features of images average over


@dataclass(frozen=True)
class Features:
    """Features of N items of one modality, float32 on the CPU; d is the size of a latent, h that of a context.

    Attributes:
        mean_context: (N, h), mean over positions. last_context: (N, h), context of the last position.
        mean_latent: (N, d), mean over positions.
        pooled_latent: (N, 8·d) for audio, means over 8 segments of time; (N, 4·d) for images, means over quarters.
        pooled_context: the same for contexts, (N, 8·h) or (N, 4·h).
        mean_std_latent: (N, 2·d), mean and standard deviation over positions. mean_std_context: (N, 2·h), likewise.
        summary: (N, s), mean, maximum and standard deviation of the maps of a residual encoder; None for others.
        joined: (N, s + f + …), `summary`, `pooled_context`, and the outputs of a residual encoder's first layer over
            parts of the item; None for others.
    """

    mean_context: Tensor
    last_context: Tensor
    mean_latent: Tensor
    pooled_latent: Tensor
    pooled_context: Tensor
    mean_std_latent: Tensor
    mean_std_context: Tensor
    summary: Tensor | None = None
    joined: Tensor | None = None

    def names(self) -> list[str]:
        """Return the names of the features that the network has."""
        return [field.name for field in fields(self) if getattr(self, field.name) is not None]


def clips_of(model: MultiModalCPC, modality: Modality, split: Split) -> tuple[Tensor, Tensor]:
    """Return the images or the windows of the recordings of N items: values (R, …) and the item (R,) of each, R ≥ N."""
    windows, items = all_windows(split, model.audio_features.config) if modality == "audio" else (split, None)
    values = windows.values(modality)
    assert values is not None
    return values, torch.arange(len(split), device=values.device) if items is None else items


@torch.no_grad()
def embed(
    model: MultiModalCPC,
    split: Split,
    batch_size: int | None = None,
    progress: Callable[[float], None] = lambda share: None,
) -> dict[Modality, Features]:
    """Compute the features of every item, without augmentation and with the network in evaluation mode.

    A recording longer than a clip gets the mean over its windows (see `data.windows.all_windows`).

    Args:
        split: N items; a modality that the split lacks is left out.
        batch_size: items per forward pass; by default 32 on a CPU, whose caches larger ones leave, and 256 elsewhere.
        progress: called with the share of the work that is done, 0 to 1, after every batch.
    """
    was_training = model.training
    model.eval()
    device = next(model.parameters()).device
    if batch_size is None:
        batch_size = 32 if device.type == "cpu" else 256
    parts: dict[Modality, list[list[Tensor]]] = {m: [] for m in model.modalities if split.values(m) is not None}
    for number, (modality, collected) in enumerate(parts.items()):
        for begin in range(0, len(split), batch_size):
            batch = split.take(torch.arange(begin, min(begin + batch_size, len(split))))
            values, items = clips_of(model, modality, batch)
            encoding = model({modality: model.features[modality](values.to(device))})[modality]
            windows = _features(modality, encoding)
            collected.append([mean_over_windows(column, items) for column in windows])
            progress((number + min(1.0, (begin + batch_size) / len(split))) / len(parts))
    model.train(was_training)
    return {m: Features(*(torch.cat(columns) for columns in zip(*p, strict=True))) for m, p in parts.items()}


def _features(modality: Modality, encoding: Encoding) -> list[Tensor]:
    """The values of `Features`, in its order."""
    latents, contexts = encoding.latents, encoding.contexts
    tensors = [
        contexts.mean(1),
        contexts[:, -1],
        latents.mean(1),
        _pooled(modality, latents),
        _pooled(modality, contexts),
        _mean_std(latents),
        _mean_std(contexts),
    ]
    if encoding.first is not None:
        pooled = _pooled(modality, contexts)
        tensors += [encoding.summary, torch.cat([encoding.summary, pooled, encoding.first], 1)]
    return [t.float().cpu() for t in tensors]


def _pooled(modality: Modality, sequence: Tensor) -> Tensor:
    """(B, T, f) → (B, f · parts): means over segments of time (audio), or over quarters of the grid (image)."""
    columns = sequence.transpose(1, 2)
    if modality == "audio":
        return F.adaptive_avg_pool1d(columns, min(SEGMENTS, columns.shape[2])).flatten(1)
    side = round(columns.shape[2] ** 0.5)
    return F.adaptive_avg_pool2d(columns.unflatten(2, (side, side)), CELLS).flatten(1)


def _mean_std(sequence: Tensor) -> Tensor:
    """(B, T, f) → (B, 2 · f): mean and standard deviation over positions."""
    return torch.cat([sequence.mean(1), sequence.std(1, correction=0)], 1)
