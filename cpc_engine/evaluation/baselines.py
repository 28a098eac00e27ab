"""Baselines for the linear probe: features of an item that involve no trained network.

See `docs/method.md#baselines`.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass

import torch
from torch import Tensor
from torch.nn import functional as F

from ..config import RunConfig
from ..data.dataset import Dataset, Split
from ..data.windows import all_windows, mean_over_windows
from ..model.frontends import AudioFeatures, waveform
from ..model.patches import Reader, encode_items, fit_patches
from ..terms import Modality
from .embed import CELLS, SEGMENTS
from .probes.probe import fit_probe

CENTROIDS = 512  # of the k-means baselines
RAW_SIDE = 32  # px; images are resized to this side for the pixel baseline (the native size of CIFAR-10)
BASELINES: dict[str, str] = {
    "pixels": "raw pixels",
    "log_mel": "log-mel, mean and spread of each band",
    "log_mel_segments": f"log-mel, mean of each band in {SEGMENTS} segments",
    "kmeans_global": "k-means patches, pooled globally",
    "kmeans_quarters": f"k-means patches, pooled {CELLS} × {CELLS}",
    "kmeans_segments": f"k-means patches, pooled in {SEGMENTS} segments",
}
_IMAGE_PATCH, _IMAGE_FLOOR = 6, 10.0  # px; ε of Coates et al. 2011 for pixels from 0 to 255
_AUDIO_PATCH, _AUDIO_FLOOR = 6, 0.1  # frames, each with all bands, so that pitch is kept; log-mel power in nats


@dataclass(frozen=True)
class BaselineRow:
    """What the features of a baseline allow a linear probe.

    Attributes:
        accuracy, validation: on test items and on validation items, 0 to 1.
        correct: "1" for every test item that is classified correctly, "0" for every other one, in their order.
    """

    accuracy: float
    validation: float
    correct: str


@torch.no_grad()
def raw_features(modality: Modality, split: Split, audio: AudioFeatures | None) -> Tensor:
    """Compute the raw-input features of every item of a split.

    Args:
        audio: the run's audio front end; needed for audio only.

    Returns:
        (N, F) float32 on the CPU. Image: pixels at 32 × 32 from 0 to 1, F = 3072. Audio: mean and standard deviation of
        each log-mel band over the whole recording, F = 2 · bands.
    """
    if modality == "image":
        assert split.image is not None
        return (_pixels(split.image) / 255).flatten(1).cpu()
    assert audio is not None
    return torch.cat([torch.cat([bands.mean(2), bands.std(2)], 1).cpu() for bands in _log_mel(split, audio)])


@torch.no_grad()
def baseline_rows(
    data: Dataset,
    config: RunConfig,
    rows: Tensor,
    progress: Callable[[str, float], None] = lambda text, share: None,
) -> dict[str, BaselineRow]:
    """Fit logistic regression on every baseline that the modalities of the data allow.

    The k-means dictionaries are fitted on all training items with the run's seed. The regression is fitted on the
    training items at `rows`, and the validation items choose its regularization strength C.

    Args:
        rows: (n,) int64, rows of the training split.
        progress: called with a description of the current work and the share done, 0 to 1.

    Returns:
        A row by a key of `BASELINES`, for example "pixels"; with two modalities the modality comes
        first, as in "audio.log_mel".
    """
    train = data.train.take(rows)
    splits = (train, data.validation, data.test)
    found: dict[str, BaselineRow] = {}
    for modality in data.modalities:
        prefix = f"{modality}." if len(data.modalities) > 1 else ""
        progress(f"baselines of {modality}", 0.0)
        distinct = [split.distinct(modality).cpu() for split in splits]  # an item in several pairs is one item
        labels = [split.labels.cpu()[own].numpy() for split, own in zip(splits, distinct, strict=True)]
        for name, columns in _features(data, train, modality, config):
            x = [column[own].numpy() for column, own in zip(columns, distinct, strict=True)]
            evaluation = config.evaluation
            device = data.train.labels.device
            probe = fit_probe(x[0], labels[0], x[1], labels[1], evaluation.strengths, len(data.classes), device)
            right = probe.predict(x[2]) == labels[2]
            correct = "".join(map(str, right.astype(int)))
            found[prefix + name] = BaselineRow(float(right.mean()), probe.validation_accuracy, correct)
    return found


def _features(data: Dataset, train: Split, modality: Modality, config: RunConfig) -> Iterator[tuple[str, list[Tensor]]]:
    """Yield (baseline, features of (train, validation, test)), one baseline after the other."""
    splits = (train, data.validation, data.test)
    if modality == "image":
        yield "pixels", [raw_features(modality, split, None) for split in splits]
        size, floor, cells = (_IMAGE_PATCH, _IMAGE_PATCH), _IMAGE_FLOOR, {"global": (1, 1), "quarters": (CELLS, CELLS)}
        front = None
    else:
        front = AudioFeatures(config.audio).to(data.train.labels.device)
        yield "log_mel", [raw_features(modality, split, front) for split in splits]
        yield "log_mel_segments", [_segments(split, front) for split in splits]
        size, floor, cells = (config.audio.mel_bands, _AUDIO_PATCH), _AUDIO_FLOOR, {"global": (1, 1)}
        cells["segments"] = (1, SEGMENTS)
    clips = all_windows(data.train, config.audio)[0]
    patches = fit_patches(_reader(clips, front), len(clips), size, floor, config.run.seed, CENTROIDS)
    grids = tuple(cells.values())
    pooled = []
    for split in splits:
        clips, items = all_windows(split, config.audio)
        encoded = encode_items(patches, _reader(clips, front), len(clips), grids)
        pooled.append([mean_over_windows(columns, items) for columns in encoded])
    for index, name in enumerate(cells):
        yield f"kmeans_{name}", [columns[index] for columns in pooled]


def _reader(split: Split, front: AudioFeatures | None) -> Reader:
    """Return a reader of a split's items.

    It gives pixels (n, 3, 32, 32) from 0 to 255, or with a front end log-mel power (n, 1, bands, frames).
    """

    def read(rows: Tensor) -> Tensor:
        values = split.image if front is None else split.audio
        assert values is not None
        selected = values[rows.to(values.device)]
        return _pixels(selected) if front is None else front.log_mel(waveform(selected))[:, None]

    return read


def _log_mel(split: Split, audio: AudioFeatures) -> Iterator[Tensor]:
    """Yield the log-mel power of whole recordings in blocks (n, bands, frames), all of one length."""
    assert split.audio is not None
    if split.lengths is None:
        blocks = list(split.audio.split(256))
    else:
        blocks = [split.recording(row)[None] for row in range(len(split))]
    for block in blocks:
        yield audio.log_mel(waveform(block))


def _segments(split: Split, audio: AudioFeatures) -> Tensor:
    """(N, bands · SEGMENTS): mean of each band in equal stretches of the whole recording."""
    parts = [F.adaptive_avg_pool2d(bands, (bands.shape[1], SEGMENTS)) for bands in _log_mel(split, audio)]
    return torch.cat(parts).flatten(1).cpu()


def _pixels(images: Tensor) -> Tensor:
    """uint8 (n, 3, H, W) → float32 (n, 3, 32, 32), 0…255."""
    pixels = images.float()
    if pixels.shape[-1] != RAW_SIDE:
        pixels = F.interpolate(pixels, (RAW_SIDE, RAW_SIDE), mode="bilinear", antialias=True)
    return pixels
