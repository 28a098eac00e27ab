"""What a probe must beat: features of an item that no network was trained for."""

from __future__ import annotations

from collections.abc import Callable, Iterator

import torch
from torch import Tensor
from torch.nn import functional as F

from ..config import RunConfig
from ..data.items import Dataset, Modality, Split
from ..features import AudioFeatures
from .embed import CELLS, SEGMENTS
from .patches import Reader, encode_items, fit_patches
from .probe import fit_probe

RAW_SIDE = 32  # px; pictures are compared as raw pixels at this side, which is CIFAR-10's own
BASELINES: dict[str, str] = {
    "pixels": "raw pixels",
    "log_mel": "log-mel, mean and spread of each band",
    "log_mel_segments": f"log-mel, mean of each band in {SEGMENTS} segments",
    "kmeans_global": "k-means patches, pooled globally",
    "kmeans_quarters": f"k-means patches, pooled {CELLS} × {CELLS}",
    "kmeans_segments": f"k-means patches, pooled in {SEGMENTS} segments",
}
_IMAGE_PATCH, _IMAGE_FLOOR = 6, 10.0  # px; Coates & Ng's, for pixels from 0 to 255
_AUDIO_PATCH, _AUDIO_FLOOR = 6, 0.1  # frames of all bands, so that pitch is kept; log-mel power in nats


@torch.no_grad()
def raw_features(modality: Modality, split: Split, audio: AudioFeatures | None) -> Tensor:
    """(N, F) float32 on the CPU: pixels at 32 × 32, or mean and spread of each log-mel band over time.

    Args:
        audio: the run's audio front end, needed for sound.
    """
    values = split.values(modality)
    assert values is not None
    if modality == "image":
        return (_pixels(values) / 255).flatten(1).cpu()
    assert audio is not None
    parts = []
    for clips in values.split(256):
        bands = audio.log_mel(clips.float() / 32768)
        parts.append(torch.cat([bands.mean(2), bands.std(2)], 1).cpu())
    return torch.cat(parts)


@torch.no_grad()
def baseline_accuracies(
    data: Dataset,
    config: RunConfig,
    rows: Tensor,
    progress: Callable[[str, float], None] = lambda text, share: None,
) -> dict[str, float]:
    """Held-out accuracy (0…1) of logistic regression on every baseline of `BASELINES` that the data allow.

    Named "pixels", or "audio.log_mel" where there are two modalities. Dictionaries are fitted on all training items,
    by the run's seed; the regression sees the training items at `rows`, and validation chooses its strength.
    """
    train = data.train.take(rows)
    labels = [split.labels.cpu().numpy() for split in (train, data.validation, data.test)]
    accuracies: dict[str, float] = {}
    for modality in data.modalities:
        prefix = f"{modality}." if len(data.modalities) > 1 else ""
        progress(f"baselines of {modality}", 0.0)
        for name, columns in _features(data, train, modality, config):
            x = [column.numpy() for column in columns]
            evaluation = config.evaluation
            probe = fit_probe(x[0], labels[0], x[1], labels[1], evaluation.strengths, len(data.classes))
            accuracies[prefix + name] = probe.accuracy(x[2], labels[2])
    return accuracies


def _features(data: Dataset, train: Split, modality: Modality, config: RunConfig) -> Iterator[tuple[str, list[Tensor]]]:
    """(baseline, features of (train, validation, test)), one baseline after the other."""
    splits = (train, data.validation, data.test)
    if modality == "image":
        yield "pixels", [raw_features(modality, split, None) for split in splits]
        size, floor, cells = (_IMAGE_PATCH, _IMAGE_PATCH), _IMAGE_FLOOR, {"global": (1, 1), "quarters": (CELLS, CELLS)}
        front = None
    else:
        front = AudioFeatures(config.audio)
        yield "log_mel", [raw_features(modality, split, front) for split in splits]
        yield "log_mel_segments", [_segments(_reader(split, front), len(split)) for split in splits]
        size, floor, cells = (config.audio.mel_bands, _AUDIO_PATCH), _AUDIO_FLOOR, {"global": (1, 1)}
        cells["segments"] = (1, SEGMENTS)
    patches = fit_patches(_reader(data.train, front), len(data.train), size, floor, config.run.seed)
    grids = tuple(cells.values())
    pooled = [encode_items(patches, _reader(split, front), len(split), grids) for split in splits]
    for index, name in enumerate(cells):
        yield f"kmeans_{name}", [columns[index] for columns in pooled]


def _reader(split: Split, front: AudioFeatures | None) -> Reader:
    """Maps of a split's items: pixels 0…255 (n, 3, 32, 32), or with a front end log-mel (n, 1, bands, frames)."""

    def read(rows: Tensor) -> Tensor:
        values = split.image if front is None else split.audio
        assert values is not None
        chosen = values[rows.to(values.device)].cpu()
        return _pixels(chosen) if front is None else front.log_mel(chosen.float() / 32768)[:, None]

    return read


def _segments(read: Reader, items: int) -> Tensor:
    parts = [
        F.adaptive_avg_pool2d(maps := read(rows), (maps.shape[2], SEGMENTS)) for rows in torch.arange(items).split(256)
    ]
    return torch.cat(parts).flatten(1)


def _pixels(pictures: Tensor) -> Tensor:
    """uint8 (n, 3, H, W) → float32 (n, 3, 32, 32), 0…255."""
    pixels = pictures.float()
    if pixels.shape[-1] != RAW_SIDE:
        pixels = F.interpolate(pixels, (RAW_SIDE, RAW_SIDE), mode="bilinear", antialias=True)
    return pixels
