"""The geometry of a network on held-out items, as numbers for one moment of a run (design.md §4)."""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn import functional as F

from ..config import RunConfig
from ..data.items import Modality, Split
from ..model import Encoding, MultiModalCPC
from . import geometry


@torch.no_grad()
def encode(model: MultiModalCPC, split: Split) -> dict[Modality, Encoding]:
    """What the network makes of every item at once, without augmentation, in evaluation mode."""
    was_training = model.training
    model.eval()
    device = next(model.parameters()).device
    encodings: dict[Modality, Encoding] = {}
    for modality in model.modalities:
        values = split.values(modality)
        assert values is not None
        encodings |= model({modality: model.features[modality](values.to(device))})
    model.train(was_training)
    return encodings


@torch.no_grad()
def measure(
    model: MultiModalCPC, split: Split, config: RunConfig, encodings: dict[Modality, Encoding] | None = None
) -> dict[str, float]:
    """Measures named "measure" or, where there are two modalities, "modality.measure".

    Per modality: `alignment` (mean over horizons) and `alignment_k`; `uniformity`, `effective_rank` and
    `effective_rank_uncentred` of mean contexts; `spread` of latents (1: uniform, 0: collapsed);
    `information_bound` in nats from i.i.d. in-batch negatives, one position per item.
    Across modalities: `alignment` (mean), `uniformity` and `effective_rank` of both together, `modality_gap`,
    `modality_accuracy` (0.5: they cannot be told apart), `pair_alignment`, `retrieval_class`, `retrieval_pair`.

    Args:
        encodings: of `split`, where they are known already.
    """
    if encodings is None:
        encodings = encode(model, split)
    found: dict[str, float] = {}
    pooled = {m: encoding.contexts.float().mean(1) for m, encoding in encodings.items()}
    for modality, encoding in encodings.items():
        prefix = f"{modality}." if len(encodings) > 1 else ""
        numbers = _one(encoding, pooled[modality], config.loss.similarity == "cosine", model.log_scale.exp())
        found |= {prefix + name: value for name, value in numbers.items()}
    if len(encodings) > 1:
        sound, picture = pooled["audio"], pooled["image"]
        rows = torch.arange(len(sound), device=sound.device)
        together = torch.cat([sound, picture])
        found["alignment"] = sum(found[f"{m}.alignment"] for m in encodings) / len(encodings)
        found["uniformity"] = geometry.uniformity(together)
        found["effective_rank"] = geometry.effective_rank(together)
        found["modality_gap"] = geometry.modality_gap(sound, picture)
        found["modality_accuracy"] = geometry.modality_accuracy(sound, picture, config.run.seed)
        found["pair_alignment"] = geometry.alignment(sound, picture)
        found["retrieval_class"] = geometry.retrieval_at_1(sound, picture, split.labels, split.labels)
        found["retrieval_pair"] = geometry.retrieval_at_1(sound, picture, rows, rows)
    return found


def _one(encoding: Encoding, pooled: Tensor, cosine: bool, scale: Tensor) -> dict[str, float]:
    numbers: dict[str, float] = {}
    latents = encoding.latents.float()
    for k, predictions in encoding.predictions.items():
        numbers[f"alignment_{k}"] = geometry.alignment(predictions.float().flatten(0, 1), latents[:, k:].flatten(0, 1))
    return {
        "alignment": sum(numbers.values()) / len(numbers),
        **numbers,
        "uniformity": geometry.uniformity(pooled),
        "effective_rank": geometry.effective_rank(pooled),
        "effective_rank_uncentred": geometry.effective_rank(pooled, centred=False),
        "spread": geometry.spread(latents.flatten(0, 1)),
        "information_bound": _information_bound(encoding, cosine, scale),
    }


def _information_bound(encoding: Encoding, cosine: bool, scale: Tensor) -> float:
    """log K − L for the smallest horizon, every item's middle position against the same position of all items."""
    k = min(encoding.predictions)
    row = encoding.predictions[k].shape[1] // 2
    anchors, futures = encoding.predictions[k][:, row].float(), encoding.latents[:, row + k].float()
    if cosine:
        anchors, futures = F.normalize(anchors, dim=1), F.normalize(futures, dim=1)
    logits = anchors @ futures.T * scale
    loss = F.cross_entropy(logits, torch.arange(len(logits), device=logits.device))
    return geometry.information_bound(loss.item(), len(logits))
