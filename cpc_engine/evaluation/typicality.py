"""How typical an item is of what a run learned from: a percentile against held-out items.

Two views of an item are compared with training items: simple statistics of the input, which know noise, silence and
flat colours, and the latents pooled over stretches of time or quarters of a picture, which know what is where. Either
view's strangeness is the mean squared distance to the five nearest training items, along principal components that
are divided by the root of their deviation (half-way to whitening: as it is, two components would decide; whitened,
noise would), plus the squared distance from those components, relative to that of training items. Its logarithm is
counted in spreads of validation items above their median. The sum of both is ranked among that of validation items, so
that a held-out item's percentile is uniform from 0 to 100 (a conformal p-value). No labels are used.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, fields, replace
from typing import Literal

import torch
from torch import Tensor
from torch.nn import functional as F

from ..data.items import Modality, Split
from ..errors import DataError
from ..features import AudioFeatures
from ..model import MultiModalCPC
from .embed import embed
from .report import balanced_rows

Verdict = Literal["typical", "borderline", "unlike anything trained on: position not meaningful"]
# Held-out items themselves fall below these by definition: 1 in 20 is called borderline or worse, 1 in 100 unlike.
BORDERLINE, UNLIKE = 5.0, 1.0  # percentiles
TRAINING_ITEMS, VALIDATION_ITEMS = 1000, 600
_COMPONENTS = 32
_NEIGHBOURS = 5
_FLOOR = -1.0  # spreads
_CONTRAST_FLOOR = 0.003  # of pixels from 0 to 1: about one grey level


@dataclass(frozen=True, eq=False)
class _View:
    """One view of items: what training items are like, and how strange validation items are.

    Attributes:
        mean, scale: (F,) of training items. axes: (k, F), principal axes of standardised items over the roots of their
            deviations. items: (n, k) training items along them. rest: variance outside of them, summed.
        median, spread: of the logarithms of validation items' strangeness; the spread is from the median to the 84th
            percentile, one deviation of a Gaussian.
    """

    mean: Tensor
    scale: Tensor
    axes: Tensor
    items: Tensor
    rest: Tensor
    median: Tensor
    spread: Tensor

    @classmethod
    def fit(cls, train: Tensor, validation: Tensor) -> _View:
        mean, deviation = train.mean(0), train.std(0, correction=0)
        scale = torch.where(deviation > 1e-4 * (1 + mean.abs()), deviation, 1.0)
        standard = (train - mean) / scale
        kept = max(1, min(_COMPONENTS, len(train) // 4, train.shape[1]))
        _, singular, rows = torch.linalg.svd(standard, full_matrices=False)
        deviations = (singular / len(train) ** 0.5).clamp(min=1e-3)
        axes = _rounded((rows / deviations[:, None].sqrt())[:kept])
        rest = (singular[kept:].square().sum() / len(train)).clamp(min=1e-3)
        zero, one = torch.tensor(0.0), torch.tensor(1.0)
        view = cls(mean, scale, axes, _rounded(standard @ axes.T), rest, zero, one)
        logs = view.excess(validation)
        median = logs.median()
        return replace(view, median=median, spread=(logs.quantile(0.84) - median).clamp(min=1e-3))

    def strangeness(self, x: Tensor) -> Tensor:
        """(N,) of views (N, F); rises with the distance from training items."""
        standard = (x - self.mean) / self.scale
        away = torch.cdist(standard @ self.axes.T, self.items).square()
        near = away.topk(min(_NEIGHBOURS, len(self.items)), largest=False).values.mean(1)
        unit = F.normalize(self.axes)
        outside = standard - (standard @ unit.T) @ unit
        return near + outside.square().sum(1) / self.rest

    def excess(self, x: Tensor) -> Tensor:
        """(N,) log strangeness of views (N, F) in spreads above the median of validation items."""
        return (self.strangeness(x).clamp(min=1e-9).log() - self.median) / self.spread


@dataclass(frozen=True, eq=False)
class Typicality:
    """What one modality's items are compared with. `known`: (n,) strangeness of validation items, rising."""

    inputs: _View
    latents: _View
    known: Tensor

    @classmethod
    def fit(cls, train: tuple[Tensor, Tensor], validation: tuple[Tensor, Tensor]) -> Typicality:
        """From (input statistics (N, F), pooled latents (N, p·d)) of training and of validation items.

        Raises:
            DataError: no validation items, or features that are not finite.
        """
        if not len(validation[0]):
            raise DataError("typicality needs validation items to compare with")
        if not all(bool(torch.isfinite(x).all()) for x in (*train, *validation)):
            raise DataError("some features are not finite; the network has diverged")
        views = [_View.fit(*columns) for columns in zip(train, validation, strict=True)]
        found = cls(views[0], views[1], torch.zeros(0))
        return replace(found, known=found.strangeness(*validation).sort().values)

    def strangeness(self, inputs: Tensor, latents: Tensor) -> Tensor:
        """(N,) over both views; rises with the distance from training items."""
        # Very usual in one view must not excuse what the other has never seen.
        return self.inputs.excess(inputs).clamp(min=_FLOOR) + self.latents.excess(latents).clamp(min=_FLOOR)

    def percentile(self, inputs: Tensor, latents: Tensor) -> Tensor:
        """(N,) from 0 to 100: the share of validation items that are at least as strange as each of these."""
        return 100 * (1 - torch.searchsorted(self.known, self.strangeness(inputs, latents)) / len(self.known))

    def to_tensors(self) -> dict[str, Tensor]:
        """Everything as tensors, for safetensors."""
        parts = {f"{view}.{name}": t for view in ("inputs", "latents") for name, t in vars(getattr(self, view)).items()}
        stored = {name: t.half() if name.endswith(("axes", "items")) else t for name, t in parts.items()}
        return {**stored, "known": self.known}

    @classmethod
    def from_tensors(cls, tensors: Mapping[str, Tensor]) -> Typicality:
        """What gave `to_tensors()`; a KeyError where a part is missing."""
        names = [field.name for field in fields(_View)]
        views = [_View(*(tensors[f"{view}.{name}"].float() for name in names)) for view in ("inputs", "latents")]
        return cls(views[0], views[1], tensors["known"])


def _rounded(x: Tensor) -> Tensor:
    """As it is stored: 16 bits are enough, and a run is small."""
    return x.half().float()


def verdict(percentile: float) -> Verdict:
    """What a percentile means, in words."""
    if percentile < UNLIKE:
        return "unlike anything trained on: position not meaningful"
    return "borderline" if percentile < BORDERLINE else "typical"


def fit_typicality(model: MultiModalCPC, train: Split, validation: Split) -> dict[Modality, Typicality]:
    """One reference per modality, from at most 1000 training and 600 validation items, balanced over classes.

    Raises:
        DataError: see `Typicality.fit`.
    """
    splits = [
        split.take(balanced_rows(split.labels, limit))
        for split, limit in ((train, TRAINING_ITEMS), (validation, VALIDATION_ITEMS))
    ]
    features = [embed(model, split) for split in splits]
    references: dict[Modality, Typicality] = {}
    for modality in model.modalities:
        columns = [
            (input_statistics(modality, split, model), found[modality].pooled_latent)
            for split, found in zip(splits, features, strict=True)
        ]
        references[modality] = Typicality.fit(columns[0], columns[1])
    return references


@torch.no_grad()
def input_statistics(modality: Modality, split: Split, model: MultiModalCPC) -> Tensor:
    """(N, F) float32 on the CPU: what sound or light there is, without any order in it beyond neighbours."""
    values = split.values(modality)
    assert values is not None
    front = model.features[modality]
    parts = [
        _sound_statistics(front(block)) if isinstance(front, AudioFeatures) else _picture_statistics(block)
        for block in values.split(256)
    ]
    return torch.cat(parts).float().cpu()


def _sound_statistics(bands: Tensor) -> Tensor:
    """(N, 4·bands − 1) of normalised log-mel (N, bands, frames): per band its mean and spread over time, and the spread
    of its changes from frame to frame and from band to band."""
    spreads = (bands, bands.diff(dim=2), bands.diff(dim=1))
    return torch.cat([bands.mean(2), *(x.std(2, correction=0) for x in spreads)], 1)


def _picture_statistics(pictures: Tensor) -> Tensor:
    """(N, 6 + 8·levels) of uint8 pictures (N, 3, S, S): mean and spread of each colour and, at every scale from S down
    to 4 px by halves, how strong, how sparse, how colourful, how slanted and how abrupt the changes between
    neighbouring pixels are."""
    pixels = pictures.float() / 255
    columns = [pixels.mean((2, 3)), pixels.std((2, 3), correction=0)]
    while pixels.shape[-1] >= 4:
        across, down, grey = pixels.diff(dim=3), pixels.diff(dim=2), pixels.mean(1)
        numbers = []
        for change in (across, down):
            mean = change.abs().mean((1, 2, 3)) + _CONTRAST_FLOOR
            root = change.square().mean((1, 2, 3)).sqrt() + _CONTRAST_FLOOR
            numbers += [mean.log(), (root / mean).log()]
        colour = (across - across.mean(1, keepdim=True)).abs().mean((1, 2, 3))
        slant = grey.diff(dim=1)[:, :, :-1] * grey.diff(dim=2)[:, :-1]
        bend = [grey.diff(n=2, dim=dim).abs().mean((1, 2)) for dim in (1, 2)]
        numbers += [(colour + _CONTRAST_FLOOR).log(), slant.mean((1, 2)) / (slant.abs().mean((1, 2)) + 1e-4)]
        numbers += [(x + _CONTRAST_FLOOR).log() for x in bend]
        columns.append(torch.stack(numbers, 1))
        pixels = F.avg_pool2d(pixels, 2)
    return torch.cat(columns, 1)
