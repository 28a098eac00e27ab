"""Out-of-distribution (OOD) score of an item relative to a run's data, as a percentile called "typicality".

An item has two views: statistics of its input, which tell noise, silence, and flat colors, and its latents pooled over
segments of time or quarters of the image, which tell what is where. In each view the distance to the training data is
the mean squared distance to the five nearest training items along principal components, plus the squared distance from
the subspace of these components relative to its mean over training items. Each component is divided by the square root
of its standard deviation, half-way to whitening: without it two components would dominate, with full whitening noise
would. The view's score is the logarithm of the distance, standardized by training items that were held out of the fit
in turn: median 0, 84th percentile 1. The OOD score of an item is the sum over both views.

Nothing in the score depends on validation items, so a new item from their distribution is as likely as any of them to
have the k-th highest score. With r of n validation items scoring at least as high, 100·(r+1)/(n+1) is therefore a
conformal p-value in percent: it is at most α in at most α of such items, for every n, and uniform but for its steps of
100/(n+1). Ties count as at least as high, which makes it conservative and no longer uniform. No labels are used.
Source: Vovk et al. 2005, Algorithmic Learning in a Random World. See `docs/method.md#typicality`.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, fields, replace
from typing import Literal

import torch
from torch import Tensor
from torch.nn import functional as F

from ..data.dataset import Split
from ..data.splits import sample_rows
from ..data.windows import mean_over_windows
from ..errors import DataError
from ..model import MultiModalCPC
from ..model.frontends import AudioFeatures
from ..terms import Modality
from .embed import clips_of, embed

Verdict = Literal[
    "typical",
    "borderline",
    "unlike anything trained on: position not meaningful",
    "cannot be told: too few validation items",
]
# At most 1 in 20 held-out items is called borderline or worse, and at most 1 in 100 unlike the training data.
BORDERLINE, UNLIKE = 5.0, 1.0  # highest typicality of each
TRAINING_ITEMS, VALIDATION_ITEMS = 1000, 600
_COMPONENTS = 32
_NEIGHBORS = 5
_FOLDS = 5
_LEAST_SPREAD = 0.1  # of log distances; below it two views would not be weighed alike but one would decide
_FLOOR = -1.0  # lowest score of a view
_CONTRAST_FLOOR = 0.003  # for pixels from 0 to 1: about one gray level


@dataclass(frozen=True, eq=False)
class _View:
    """Reference of one view with F features: the training items, and the log distances usual among them.

    The names of the fields are part of the file format.

    Attributes:
        mean, scale: (F,), mean and standard deviation of training items.
        axes: (k, F), principal axes of standardized training items, each divided by the square root of its deviation.
        items: (n, k), training items along these axes. rest: variance outside them, summed over dimensions.
        median, spread: median of the log distances of training items from the others, each fifth of them left out of
            the fit in turn, and from there to the 84th percentile (one standard deviation of a Gaussian).
    """

    mean: Tensor
    scale: Tensor
    axes: Tensor
    items: Tensor
    rest: Tensor
    median: Tensor
    spread: Tensor

    @classmethod
    def fit(cls, train: Tensor) -> _View:
        """Fit the reference on training items (n, F), n ≥ 2."""
        folds = torch.arange(len(train)) % min(_FOLDS, len(train))
        logs = torch.cat([cls._bare(train[folds != fold]).score(train[folds == fold]) for fold in folds.unique()])
        median = logs.median()
        return replace(cls._bare(train), median=median, spread=(logs.quantile(0.84) - median).clamp(min=_LEAST_SPREAD))

    @classmethod
    def _bare(cls, train: Tensor) -> _View:
        """Fit on training items (n, F), with a score that is the log distance: median 0 and spread 1."""
        mean, deviation = train.mean(0), train.std(0, correction=0)
        scale = torch.where(deviation > 1e-4 * (1 + mean.abs()), deviation, 1.0)
        standard = (train - mean) / scale
        kept = max(1, min(_COMPONENTS, len(train) // 4, train.shape[1]))
        _, singular, rows = torch.linalg.svd(standard, full_matrices=False)
        deviations = (singular / len(train) ** 0.5).clamp(min=1e-3)
        axes = _rounded((rows / deviations[:, None].sqrt())[:kept])
        rest = (singular[kept:].square().sum() / len(train)).clamp(min=1e-3)
        zero, one = torch.tensor(0.0), torch.tensor(1.0)
        return cls(mean, scale, axes, _rounded(standard @ axes.T), rest, zero, one)

    def distance(self, x: Tensor) -> Tensor:
        """Return δ (N,), the squared distance of items (N, F) from the training items."""
        standard = (x - self.mean) / self.scale
        squared = torch.cdist(standard @ self.axes.T, self.items).square()
        near = squared.topk(min(_NEIGHBORS, len(self.items)), largest=False).values.mean(1)
        unit = F.normalize(self.axes)
        outside = standard - (standard @ unit.T) @ unit
        return near + outside.square().sum(1) / self.rest

    def score(self, x: Tensor) -> Tensor:
        """Return (N,) standardized log distances of items (N, F): 0 at the median of left-out training items."""
        return (self.distance(x).clamp(min=1e-9).log() - self.median) / self.spread


@dataclass(frozen=True, eq=False)
class OODReference:
    """Reference for the OOD score of one modality.

    Attributes:
        inputs, latents: references of the two views.
        validation_scores: (m,), OOD scores of validation items in rising order.

    Example:
        >>> draw = torch.Generator().manual_seed(0)
        >>> train, validation = (torch.randn(200, 8, generator=draw) for _ in range(2))
        >>> reference = OODReference.fit((train, train), (validation, validation))
        >>> far = torch.full((1, 8), 30.0)
        >>> reference.percentile(far, far)  # 100 / (200 + 1)
        tensor([0.4975])
    """

    inputs: _View
    latents: _View
    validation_scores: Tensor

    @classmethod
    def fit(cls, train: tuple[Tensor, Tensor], validation: tuple[Tensor, Tensor]) -> OODReference:
        """Fit both views and rank the validation items.

        Args:
            train, validation: (input statistics (N, F), pooled latents (N, p·d)) of the items.

        Raises:
            DataError: no validation items, fewer than two training items, or features that are not finite.
        """
        if not len(validation[0]):
            raise DataError("typicality needs validation items to compare with")
        if len(train[0]) < 2:
            raise DataError("typicality needs at least two training items")
        if not all(bool(torch.isfinite(x).all()) for x in (*train, *validation)):
            raise DataError("some features are not finite; the network has diverged")
        reference = cls(_View.fit(train[0]), _View.fit(train[1]), torch.zeros(0))
        return replace(reference, validation_scores=reference.score(*validation).sort().values)

    def score(self, inputs: Tensor, latents: Tensor) -> Tensor:
        """Return the OOD score (N,), the sum over both views; it rises with the distance from training items.

        Args:
            inputs: (N, F) input statistics. latents: (N, p·d) pooled latents.
        """
        # The floor keeps a very low score in one view from canceling a high score in the other.
        return self.inputs.score(inputs).clamp(min=_FLOOR) + self.latents.score(latents).clamp(min=_FLOOR)

    def percentile(self, inputs: Tensor, latents: Tensor) -> Tensor:
        """Return the typicality (N,), 100·(r+1)/(n+1): r of n validation items have at least the item's score.

        Args:
            inputs: (N, F) input statistics. latents: (N, p·d) pooled latents.
        """
        references = self.validation_scores
        at_least = len(references) - torch.searchsorted(references, self.score(inputs, latents))
        return 100 * (at_least + 1) / (len(references) + 1)

    def to_tensors(self) -> dict[str, Tensor]:
        """Return all fields as tensors, for safetensors; axes and items in half precision."""
        parts = {f"{view}.{name}": t for view in ("inputs", "latents") for name, t in vars(getattr(self, view)).items()}
        stored = {name: t.half() if name.endswith(("axes", "items")) else t for name, t in parts.items()}
        return {**stored, "known": self.validation_scores}

    @classmethod
    def from_tensors(cls, tensors: Mapping[str, Tensor]) -> OODReference:
        """Rebuild a reference from `to_tensors()`.

        Raises:
            KeyError: a tensor is missing.
        """
        names = [field.name for field in fields(_View)]
        views = [_View(*(tensors[f"{view}.{name}"].float() for name in names)) for view in ("inputs", "latents")]
        return cls(views[0], views[1], tensors["known"])


def _rounded(x: Tensor) -> Tensor:
    """Round to half precision, as in the file, so that a stored reference gives the same scores."""
    return x.half().float()


def validation_items_needed(percentile: float) -> int:
    """Return the smallest n at which typicality can be as low as `percentile`: 100/(n+1) ≤ percentile.

    Example:
        >>> validation_items_needed(BORDERLINE), validation_items_needed(UNLIKE)
        (19, 99)
    """
    return math.ceil(100 / percentile) - 1


def verdict(percentile: float, validation_items: int) -> Verdict:
    """Return the verdict in words for a typicality among so many validation items.

    An item that scores above all of fewer than 19 validation items is not called anything, since 1 in every n + 1
    items from the same distribution does so too; with fewer than 99, none is called unlike.

    Example:
        >>> verdict(42.0, 200), verdict(3.0, 200), verdict(1.0, 99)
        ('typical', 'borderline', 'unlike anything trained on: position not meaningful')
        >>> verdict(10.0, 9), verdict(20.0, 9)
        ('cannot be told: too few validation items', 'typical')
    """
    if percentile <= UNLIKE:
        return "unlike anything trained on: position not meaningful"
    if percentile <= BORDERLINE:
        return "borderline"
    beyond_all = percentile < 150 / (validation_items + 1)  # r = 0, whatever the rounding
    if beyond_all and validation_items < validation_items_needed(BORDERLINE):
        return "cannot be told: too few validation items"
    return "typical"


def fit_ood_reference(model: MultiModalCPC, train: Split, validation: Split, seed: int) -> dict[Modality, OODReference]:
    """Fit one reference per modality, on at most 1000 training and 600 validation items.

    They are drawn with `seed` and balanced over classes and groups.

    Raises:
        DataError: see `OODReference.fit`.
    """
    splits = [
        split.take(sample_rows(split, limit, seed))
        for split, limit in ((train, TRAINING_ITEMS), (validation, VALIDATION_ITEMS))
    ]
    features = [embed(model, split) for split in splits]
    references: dict[Modality, OODReference] = {}
    for modality in model.modalities:
        columns = [
            (input_statistics(modality, split, model), embedded[modality].pooled_latent)
            for split, embedded in zip(splits, features, strict=True)
        ]
        references[modality] = OODReference.fit(columns[0], columns[1])
    return references


@torch.no_grad()
def input_statistics(modality: Modality, split: Split, model: MultiModalCPC) -> Tensor:
    """Compute the input view of every item: summary statistics without order beyond neighboring values.

    Returns:
        (N, F) float32 on the CPU: statistics of log-mel bands or of pixels.
    """
    values, items = clips_of(model, modality, split)
    front = model.features[modality]
    parts = [
        _audio_statistics(front(block)) if isinstance(front, AudioFeatures) else _image_statistics(block)
        for block in values.split(256)
    ]
    return mean_over_windows(torch.cat(parts).float().cpu(), items)


def _audio_statistics(bands: Tensor) -> Tensor:
    """Return (N, 4·bands − 1) statistics of normalized log-mel (N, bands, frames).

    Per band: mean and standard deviation over time, and the standard deviation of the differences between frames and
    between bands.
    """
    varying = (bands, bands.diff(dim=2), bands.diff(dim=1))
    return torch.cat([bands.mean(2), *(x.std(2, correction=0) for x in varying)], 1)


def _image_statistics(images: Tensor) -> Tensor:
    """Return (N, 6 + 8·levels) statistics of uint8 images (N, 3, S, S).

    Mean and standard deviation of each color channel. At every scale, from S down to 4 px by halves, statistics of the
    differences between neighboring pixels: magnitude and sparseness in both directions, color, correlation of the two
    directions (slant), and second differences in both directions.
    """
    pixels = images.float() / 255
    columns = [pixels.mean((2, 3)), pixels.std((2, 3), correction=0)]
    while pixels.shape[-1] >= 4:
        across, down, gray = pixels.diff(dim=3), pixels.diff(dim=2), pixels.mean(1)
        numbers = []
        for change in (across, down):
            mean = change.abs().mean((1, 2, 3)) + _CONTRAST_FLOOR
            root = change.square().mean((1, 2, 3)).sqrt() + _CONTRAST_FLOOR
            numbers += [mean.log(), (root / mean).log()]
        color = (across - across.mean(1, keepdim=True)).abs().mean((1, 2, 3))
        slant = gray.diff(dim=1)[:, :, :-1] * gray.diff(dim=2)[:, :-1]
        bend = [gray.diff(n=2, dim=dim).abs().mean((1, 2)) for dim in (1, 2)]
        numbers += [(color + _CONTRAST_FLOOR).log(), slant.mean((1, 2)) / (slant.abs().mean((1, 2)) + 1e-4)]
        numbers += [(x + _CONTRAST_FLOOR).log() for x in bend]
        columns.append(torch.stack(numbers, 1))
        pixels = F.avg_pool2d(pixels, 2)
    return torch.cat(columns, 1)
