"""Geometry metrics of a network on held-out items at one point of a run, see `docs/method.md#metrics`."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from statistics import fmean

import torch
from torch import Tensor
from torch.nn import functional as F

from ..config import RunConfig
from ..data.dataset import Split
from ..data.windows import cut, latent_stride, mean_over_windows
from ..model import Encoding, MultiModalCPC
from ..negatives.identity import NO_POSITION, item_index
from ..terms import Modality
from ..training.trainer import Trainer
from . import geometry
from .embed import clips_of

QUEUE_SAMPLE = 64  # queued latents compared, evenly spaced from the oldest to the newest


@dataclass(frozen=True)
class Encoded:
    """What the network makes of N items of one modality.

    Attributes:
        encoding: of R ≥ N rows: an item that is longer than a clip has several (see `data.windows`).
        items: (R,) int64 item of each row.
        contexts: (N, h) float32 mean context of each item.
    """

    encoding: Encoding
    items: Tensor
    contexts: Tensor


@torch.no_grad()
def encode(model: MultiModalCPC, split: Split, modalities: Sequence[Modality] | None = None) -> dict[Modality, Encoded]:
    """Encode all items of a split in one batch, without augmentation and in evaluation mode.

    Args:
        split: N items that have these modalities. modalities: of the network; all of them by default.
    """
    was_training = model.training
    model.eval()
    device = next(model.parameters()).device
    encodings: dict[Modality, Encoded] = {}
    for modality in model.modalities if modalities is None else modalities:
        values, items = clips_of(model, modality, split)
        encoding = model({modality: model.features[modality](values.to(device))})[modality]
        contexts = mean_over_windows(encoding.contexts.float().mean(1), items)
        encodings[modality] = Encoded(encoding, items, contexts)
    model.train(was_training)
    return encodings


@torch.no_grad()
def geometry_metrics(
    model: MultiModalCPC, split: Split, config: RunConfig, encodings: dict[Modality, Encoded] | None = None
) -> dict[str, float]:
    """Compute the geometry metrics of a network on a split.

    Per modality: `alignment` (mean over horizons) and `alignment_k`; `uniformity`, `effective_rank`, and
    `effective_rank_uncentered` of mean contexts; `spread` of latents; `information_bound` from independent in-batch
    negatives, one position per item. The ranks and the bound are means over subsets of `rank_items` = 128 items, or all
    where there are fewer, see `geometry.item_subsets`. Across modalities: `alignment` (mean), `uniformity`,
    `effective_rank`, and `rank_items` of both together, `modality_gap`, `modality_accuracy`, `pair_alignment`,
    `retrieval_class`, `retrieval_class_reverse`, `retrieval_pair`, and `retrieval_items`, how many sounds and pictures
    they are taken on. A sound or picture that stands in several pairs
    counts once, except in the alignments and `spread`.

    Args:
        split: held-out items with every modality of the network.
        config: of the run; gives the similarity of the loss and the random seed.
        encodings: of `split`, if already computed; see `encode`.

    Returns:
        Value by "metric", or by "modality.metric" for metrics of one modality where there are two.
    """
    if encodings is None:
        encodings = encode(model, split)
    metrics: dict[str, float] = {}
    pooled = {m: encoded.contexts for m, encoded in encodings.items()}
    once = {m: _distinct(split, m) for m in encodings}
    for modality, encoded in encodings.items():
        prefix = f"{modality}." if len(encodings) > 1 else ""
        numbers = _modality_metrics(encoded, once[modality], config.loss.similarity == "cosine", model.scale())
        metrics |= {prefix + name: value for name, value in numbers.items()}
    if len(encodings) > 1:
        sounds, pictures = once["audio"], once["image"]
        audio, image = pooled["audio"][sounds], pooled["image"][pictures]
        labels, partners = ((numbers[sounds], numbers[pictures]) for numbers in (split.labels, split.pairs))
        together = torch.cat([audio, image])
        metrics["alignment"] = sum(metrics[f"{m}.alignment"] for m in encodings) / len(encodings)
        metrics["uniformity"] = geometry.uniformity(together)
        metrics["effective_rank"] = _rank(together)
        metrics["rank_items"] = min(len(together), geometry.RANK_ITEMS)
        metrics["modality_gap"] = geometry.modality_gap(audio, image)
        metrics["modality_accuracy"] = geometry.modality_accuracy(audio, image, config.run.seed)
        metrics["pair_alignment"] = geometry.alignment(pooled["audio"], pooled["image"])
        metrics["retrieval_class"] = geometry.retrieval_at_1(audio, image, *labels)
        metrics["retrieval_class_reverse"] = geometry.retrieval_at_1(image, audio, labels[1], labels[0])
        metrics["retrieval_items"] = len(together)
        metrics["retrieval_pair"] = geometry.retrieval_at_1(audio, image, *partners)
    return metrics


def _distinct(split: Split, modality: Modality) -> Tensor:
    """The first row of each content; all rows where there is one content only, since metrics compare two rows."""
    rows = split.distinct(modality)
    return rows if len(rows) > 1 else torch.arange(len(split), device=rows.device)


def _modality_metrics(encoded: Encoded, once: Tensor, cosine: bool, scale: Tensor) -> dict[str, float]:
    """Metrics of one modality; `once`: rows of distinct items, `scale`: 1/τ."""
    encoding, pooled = encoded.encoding, encoded.contexts[once]
    numbers: dict[str, float] = {}
    latents = encoding.latents.float()
    for k, predictions in encoding.predictions.items():
        futures = encoding.futures(k).float()
        numbers[f"alignment_{k}"] = geometry.alignment(predictions.float().flatten(0, 1), futures.flatten(0, 1))
    return {
        "alignment": sum(numbers.values()) / len(numbers),
        **numbers,
        "uniformity": geometry.uniformity(pooled),
        "effective_rank": _rank(pooled),
        "effective_rank_uncentered": _rank(pooled, centered=False),
        "rank_items": min(len(pooled), geometry.RANK_ITEMS),
        "spread": geometry.spread(latents.flatten(0, 1)),
        "information_bound": _information_bound(encoded, once, cosine, scale),
    }


def _rank(pooled: Tensor, centered: bool = True) -> float:
    return fmean(geometry.effective_rank(pooled[rows], centered) for rows in geometry.item_subsets(len(pooled)))


def _information_bound(encoded: Encoded, once: Tensor, cosine: bool, scale: Tensor) -> float:
    """InfoNCE bound for the smallest horizon: the middle position of every distinct item against that of the others."""
    encoding = encoded.encoding
    first = torch.searchsorted(encoded.items, once)  # of the windows of each item
    k = min(encoding.predictions)
    position = encoding.predictions[k].shape[1] // len(encoding.orders) // 2  # of the first order
    anchors, futures = encoding.predictions[k][first, position].float(), encoding.futures(k)[first, position].float()
    if cosine:
        anchors, futures = F.normalize(anchors, dim=1), F.normalize(futures, dim=1)
    bounds = []
    for rows in geometry.item_subsets(len(anchors)):
        logits = anchors[rows] @ futures[rows].T * scale
        loss = F.cross_entropy(logits, torch.arange(len(logits), device=logits.device))
        bounds.append(geometry.information_bound(loss.item(), len(logits)))
    return fmean(bounds)


@torch.no_grad()
def queue_drift(trainer: Trainer, modality: Modality) -> float | None:
    """Return the mean cosine between queued latents and the same positions encoded again, without augmentation.

    1 means that the queue is up to date. Augmentation alone lowers the value, so its fall over training says more than
    its level. The network that makes the keys (the momentum encoder, if there is one) encodes again. See
    `docs/method.md#queue-staleness`.

    Returns:
        A cosine from −1 to 1; None for an empty queue.
    """
    entries = trainer.prediction.samplers[modality].queue.state()
    count = len(entries["ids"])
    if count == 0:
        return None
    sampled = torch.linspace(0, count - 1, min(QUEUE_SAMPLE, count)).long().to(entries["ids"].device)
    return geometry.drift(entries["vectors"][sampled], renewed(trainer, modality, entries["ids"][sampled]))


@torch.no_grad()
def renewed(trainer: Trainer, modality: Modality, ids: Tensor) -> Tensor:
    """Encode queued positions again, with the network that makes the keys and without augmentation.

    Args:
        ids: (n,) identities of latents in the queue.

    Returns:
        (n, d) float32 latents.
    """
    items, positions = item_index(ids), ids & NO_POSITION
    windows = modality == "audio" and trainer.data.train.lengths is not None
    rows = torch.arange(len(items))
    if not windows:  # latents of one item lie in a row in a queue: it is encoded once for all of them
        items, rows = items.unique(return_inverse=True)
    split = trainer.data.train.take(items.cpu())
    if windows and split.lengths is not None:  # the window of each recording around the latent
        stride, length = latent_stride(trainer.config.audio), trainer.model.audio_features.length
        first = torch.minimum((positions - length // stride // 2).clamp(min=0), (split.lengths - length) // stride)
        split = cut(split, torch.arange(len(items), device=first.device), first * stride, length)
        positions = positions - first
    values = split.values(modality)
    assert values is not None
    encoders = trainer.ema if trainer.ema is not None else trainer.model.encoders
    was_training = encoders.training
    encoders.eval()  # with batch normalization it would learn from these items, and mix them
    latents = encoders[modality](trainer.model.features[modality](values)).latents
    encoders.train(was_training)
    found: Tensor = latents[rows, positions].float()
    return found
