"""How typical an item is of what a run learned from: a percentile against held-out items.

Two views of an item are compared with training items: simple statistics of the input, which know noise, silence and
flat colours, and the mean context, which knows what the network makes of it. Either view's strangeness is the squared
Mahalanobis distance in the principal subspace plus the squared distance from it, relative to that of training
items. An item is as typical as its stranger view: the smaller of the two shares of validation items that are at least
as strange, ranked among validation items once more, so that a held-out item's percentile is uniform from 0 to 100 (a
conformal p-value).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
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
_COMPONENTS = 48
_CONTRAST_FLOOR = 0.003  # of pixels from 0 to 1: about one grey level


@dataclass(frozen=True, eq=False)
class _View:
    """One view of items: its Gaussian, and validation items' strangeness.

    Attributes:
        mean, scale: (F,) of training items. axes: (k, F), principal axes of standardised items over their deviations.
        rest: variance outside of them, summed. known: (n,) strangeness of validation items, rising.
    """

    mean: Tensor
    scale: Tensor
    axes: Tensor
    rest: Tensor
    known: Tensor

    @classmethod
    def fit(cls, train: Tensor, validation: Tensor) -> _View:
        mean, spread = train.mean(0), train.std(0, correction=0)
        scale = torch.where(spread > 1e-4 * (1 + mean.abs()), spread, 1.0)
        standard = (train - mean) / scale
        kept = max(1, min(_COMPONENTS, len(train) // 4, train.shape[1]))
        _, singular, rows = torch.linalg.svd(standard, full_matrices=False)
        # 16 bits are enough, and a run is small.
        axes = (rows / (singular[:, None] / len(train) ** 0.5).clamp(min=1e-3))[:kept].half().float()
        rest = singular[kept:].square().sum() / len(train)
        view = cls(mean, scale, axes, rest.clamp(min=1e-3), torch.zeros(0))
        return cls(mean, scale, axes, view.rest, view.strangeness(validation).sort().values)

    def strangeness(self, x: Tensor) -> Tensor:
        """(N,) of views (N, F); rises with the distance from training items."""
        standard = (x - self.mean) / self.scale
        inside = standard @ self.axes.T
        unit = F.normalize(self.axes)
        outside = standard - (standard @ unit.T) @ unit
        return inside.square().sum(1) + outside.square().sum(1) / self.rest

    def share(self, x: Tensor) -> Tensor:
        """(N,) share of validation items that are at least as strange, 0…1."""
        return 1 - torch.searchsorted(self.known, self.strangeness(x)) / len(self.known)


@dataclass(frozen=True, eq=False)
class Typicality:
    """What one modality's items are compared with. `known`: (n,) smaller shares of validation items, rising."""

    inputs: _View
    contexts: _View
    known: Tensor

    @classmethod
    def fit(cls, train: tuple[Tensor, Tensor], validation: tuple[Tensor, Tensor]) -> Typicality:
        """From (input statistics (N, F), mean contexts (N, h)) of training and of validation items.

        Raises:
            DataError: no validation items, or features that are not finite.
        """
        if not len(validation[0]):
            raise DataError("typicality needs validation items to compare with")
        if not all(bool(torch.isfinite(x).all()) for x in (*train, *validation)):
            raise DataError("some features are not finite; the network has diverged")
        views = [_View.fit(*columns) for columns in zip(train, validation, strict=True)]
        shares = torch.minimum(views[0].share(validation[0]), views[1].share(validation[1]))
        return cls(views[0], views[1], shares.sort().values)

    def percentile(self, inputs: Tensor, contexts: Tensor) -> Tensor:
        """(N,) from 0 to 100: the share of validation items that are no more typical than each of these."""
        shares = torch.minimum(self.inputs.share(inputs), self.contexts.share(contexts))
        return 100 * torch.searchsorted(self.known, shares, right=True) / len(self.known)

    def to_tensors(self) -> dict[str, Tensor]:
        """Everything as tensors, for safetensors."""
        parts = {
            f"{view}.{name}": t for view in ("inputs", "contexts") for name, t in vars(getattr(self, view)).items()
        }
        return {name: t.half() if name.endswith("axes") else t for name, t in {**parts, "known": self.known}.items()}

    @classmethod
    def from_tensors(cls, tensors: Mapping[str, Tensor]) -> Typicality:
        """What gave `to_tensors()`; a KeyError where a part is missing."""
        names = ("mean", "scale", "axes", "rest", "known")
        views = [_View(*(tensors[f"{view}.{name}"].float() for name in names)) for view in ("inputs", "contexts")]
        return cls(views[0], views[1], tensors["known"])


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
    contexts = [embed(model, split) for split in splits]
    found: dict[Modality, Typicality] = {}
    for modality in model.modalities:
        columns = [
            (input_statistics(modality, split, model), c[modality].mean_context)
            for split, c in zip(splits, contexts, strict=True)
        ]
        found[modality] = Typicality.fit(columns[0], columns[1])
    return found


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
