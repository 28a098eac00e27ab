"""Linear probe: multinomial logistic regression on features of a fixed network, with calibrated probabilities.

The inverse regularization strength C is chosen on validation items, never on test items; choosing it on test items
would inflate the test accuracy. See `docs/method.md#linear-probe`.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import torch
from numpy.typing import ArrayLike, NDArray
from torch import Tensor

from ...errors import DataError
from .logistic import TOLERANCE, LogisticRegression

Floats = NDArray[np.floating[Any]]
Labels = NDArray[np.int64]

WIDEST = (1e-6, 1e6)  # between which the grid of strengths is widened
_TEMPERATURES = (0.05, 20.0)  # bounds; without a validation error the best temperature would be 0


@dataclass(frozen=True, eq=False)
class Probe:
    """A fitted probe: logits = (x − mean) / scale · weightᵀ + bias.

    Attributes:
        mean, scale: (F,) float32, mean and standard deviation of the training features.
        weight: (classes, F) float32; the row of a class without training items is zero.
        bias: (classes,) float32; −inf for a class without training items, so that it is never predicted.
        temperature: logits are divided by it before the softmax (Guo et al. 2017); predictions do not change.
        strength: the chosen inverse regularization strength C, as in scikit-learn.
        validation_accuracy: on the validation items; slightly optimistic, because C was chosen by it.
        gradient: largest component of the final gradient (see `logistic.Fit`); NaN where it was not kept.

    Example:
        >>> x, y = np.eye(3).repeat(20, axis=0), np.arange(3).repeat(20)
        >>> probe = fit_probe(x, y, x, y, strengths=[0.1, 1.0], classes=3)
        >>> probe.accuracy(x, y), probe.converged
        (1.0, True)
        >>> probe.probabilities(x).shape
        (60, 3)
    """

    mean: Floats
    scale: Floats
    weight: Floats
    bias: Floats
    temperature: float
    strength: float
    validation_accuracy: float
    gradient: float = math.nan

    @property
    def converged(self) -> bool:
        """Whether the regression reached its tolerance; False where that was not kept."""
        return self.gradient <= TOLERANCE[torch.float32]

    @property
    def at_bound(self) -> bool:
        """Whether the strength is a bound of the search, so that a better one may lie beyond."""
        return not WIDEST[0] * 10 <= self.strength <= WIDEST[1] / 10

    def logits(self, x: ArrayLike) -> Floats:
        """Return the logits (N, classes) of features (N, F), before division by the temperature."""
        return self._score(_features(x, len(self.mean)))

    def predict(self, x: ArrayLike) -> Labels:
        """Return the predicted classes (N,) of features (N, F)."""
        result: Labels = self.logits(x).argmax(1).astype(np.int64)
        return result

    def probabilities(self, x: ArrayLike) -> Floats:
        """Return the calibrated probabilities (N, classes) of features (N, F); each row sums to 1."""
        return np.exp(_log_softmax(self.logits(x).astype(np.float64) / self.temperature))

    def accuracy(self, x: ArrayLike, y: ArrayLike) -> float:
        """Return the accuracy from 0 to 1 on features (N, F) with classes y (N,)."""
        return _share(self.predict(x), np.asarray(y))

    def to_tensors(self) -> dict[str, Tensor]:
        """Return all fields as tensors, for safetensors."""
        return {name: torch.from_numpy(np.array(value)) for name, value in vars(self).items()}

    @classmethod
    def from_tensors(cls, tensors: Mapping[str, Tensor]) -> Probe:
        """Rebuild a probe from `to_tensors()`.

        Raises:
            TypeError: a tensor is missing.
        """
        values: dict[str, Any] = {name: t.cpu().numpy() if t.ndim else t.item() for name, t in tensors.items()}
        return cls(**values)

    def _score(self, x: Floats) -> Floats:
        return (x - self.mean) / self.scale @ self.weight.T + self.bias


def fit_probe(
    train_x: ArrayLike,
    train_y: ArrayLike,
    validation_x: ArrayLike,
    validation_y: ArrayLike,
    strengths: Sequence[float],
    classes: int,
    device: torch.device | None = None,
) -> Probe:
    """Fit logistic regression on standardized features, with the C that gives the best validation accuracy.

    While the smallest or the largest C is better than the one beside it, the grid is widened by a factor of 10, within
    `WIDEST`.

    Args:
        train_x, validation_x: (N, F) and (M, F) features.
        train_y, validation_y: (N,) and (M,) classes below `classes`.
        strengths: inverse regularization strengths C to choose from; at equal accuracy the smallest wins. A single
            one is taken as it is.
        classes: number of classes of the data set; some may have no training items.
        device: where to compute; the CPU by default.

    Raises:
        DataError: fewer than two classes among the training items, no validation items, or features that are not
            finite.
        ValueError: wrong shapes, labels out of range, or strengths that are not positive.
    """
    x = _features(train_x)
    held_x = _features(validation_x, x.shape[1])
    y, held_y = _labels(train_y, len(x), classes), _labels(validation_y, len(held_x), classes)
    present, compact = np.unique(y, return_inverse=True)
    if len(present) < 2:
        raise DataError("the probe needs training items of at least two classes")
    if len(held_x) == 0:
        raise DataError("the probe needs validation items to choose its strength")
    if not strengths or min(strengths) <= 0:
        raise ValueError("the probe needs one or more strengths above zero")

    mean, scale = _standard(x)
    standard = torch.from_numpy((x - mean) / scale).to(device)
    regression = LogisticRegression(standard, torch.from_numpy(compact).to(standard.device), len(present))
    probes: dict[float, Probe] = {}
    missing = sorted(set(strengths))
    while missing:
        for fit in regression.fit(missing):
            weight = np.zeros((classes, x.shape[1]), np.float32)
            bias = np.full(classes, -np.inf, np.float32)
            weight[present], bias[present] = fit.weight.cpu().numpy(), fit.bias.cpu().numpy()
            probe = Probe(mean, scale, weight, bias, 1.0, fit.strength, 0.0, fit.gradient)
            accuracy = _share(probe._score(held_x).argmax(1), held_y)
            probes[fit.strength] = replace(probe, validation_accuracy=accuracy)
        best = min(probes.values(), key=lambda probe: (-probe.validation_accuracy, probe.strength))
        missing = _beyond(best, [probes[strength] for strength in sorted(probes)])
    return replace(best, temperature=_temperature(best._score(held_x), held_y))


def _beyond(best: Probe, probes: Sequence[Probe]) -> list[float]:
    """Return the next strength beyond the edge where the best probe is; empty if there is none.

    `probes` are sorted by strength. An edge that is only as good as the strength beside it promises nothing beyond.
    """
    if len(probes) == 1:
        return []
    beside = {probes[0].strength: probes[1], probes[-1].strength: probes[-2]}.get(best.strength)
    if beside is None or best.validation_accuracy <= beside.validation_accuracy:
        return []
    wider = float(f"{best.strength * (0.1 if best is probes[0] else 10):.6g}")
    return [wider] if WIDEST[0] <= wider <= WIDEST[1] else []


def _features(x: ArrayLike, width: int | None = None) -> Floats:
    """Convert to a finite float32 matrix (N, width).

    Raises:
        DataError: values that are not finite. ValueError: another shape.
    """
    features = np.asarray(x, dtype=np.float32)
    if features.ndim != 2 or (width is not None and features.shape[1] != width):
        raise ValueError(f"expected features of shape (items, {width or 'features'}), not {features.shape}")
    if not np.isfinite(features).all():
        raise DataError("some features are not finite; the network has diverged")
    return features


def _labels(y: ArrayLike, items: int, classes: int) -> Labels:
    labels = np.asarray(y, dtype=np.int64)
    if labels.shape != (items,):
        raise ValueError(f"expected one label for each of {items} items, not shape {labels.shape}")
    if items and not 0 <= labels.min() <= labels.max() < classes:
        raise ValueError(f"labels must lie between 0 and {classes - 1}")
    return labels


def _standard(x: Floats) -> tuple[Floats, Floats]:
    """Return (mean, standard deviation) of every column; 1 where a column varies by rounding errors only."""
    mean = x.mean(0, dtype=np.float64)
    variance = np.square(x - mean.astype(np.float32)).mean(0, dtype=np.float64)
    scale = np.sqrt(variance)
    scale[scale <= np.finfo(np.float32).eps * np.abs(mean)] = 1.0
    return mean.astype(np.float32), scale.astype(np.float32)


def _temperature(logits: Floats, y: Labels) -> float:
    """Return the temperature that minimizes the mean negative log-likelihood of y.

    Source: Guo et al. 2017 (arXiv 1706.04599). Items of classes without training items are left out, because their
    likelihood is 0 at every temperature.
    """
    from scipy.optimize import minimize_scalar

    trained = np.isfinite(logits[0])[y]
    scores, rows, labels = logits[trained].astype(np.float64), np.arange(int(trained.sum())), y[trained]
    if len(scores) == 0:
        return 1.0

    def loss(log_temperature: float) -> float:
        return -float(_log_softmax(scores / math.exp(log_temperature))[rows, labels].mean())

    low, high = (math.log(bound) for bound in _TEMPERATURES)
    return math.exp(float(minimize_scalar(loss, bounds=(low, high), method="bounded").x))


def _log_softmax(logits: Floats) -> Floats:
    shifted = logits - logits.max(1, keepdims=True)
    result: Floats = shifted - np.log(np.exp(shifted).sum(1, keepdims=True))
    return result


def _share(predicted: NDArray[np.integer[Any]], y: NDArray[Any]) -> float:
    return float((predicted == y).mean())
