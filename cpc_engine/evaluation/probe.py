"""Linear probe: multinomial logistic regression on features of a fixed network, with calibrated probabilities.

The inverse regularization strength C is chosen on validation items, never on test items; choosing it on test items
would inflate the test accuracy. See `docs/method.md#linear-probe`.
"""

from __future__ import annotations

import math
import warnings
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from numpy.typing import ArrayLike, NDArray
from torch import Tensor

from ..errors import DataError

Floats = NDArray[np.floating[Any]]
Labels = NDArray[np.int64]

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

    Example:
        >>> x, y = np.eye(3).repeat(20, axis=0), np.arange(3).repeat(20)
        >>> probe = fit_probe(x, y, x, y, strengths=[0.1, 1.0], classes=3)
        >>> probe.accuracy(x, y), probe.strength
        (1.0, 0.1)
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
) -> Probe:
    """Fit logistic regression on standardized features, with the C that gives the best validation accuracy.

    Args:
        train_x, validation_x: (N, F) and (M, F) features.
        train_y, validation_y: (N,) and (M,) classes below `classes`.
        strengths: inverse regularization strengths C to choose from; at equal accuracy the smallest wins.
        classes: number of classes of the data set; some may have no training items.

    Raises:
        DataError: fewer than two classes among the training items, no validation items, or features that are not
            finite.
        ValueError: wrong shapes, labels out of range, or strengths that are not positive.
    """
    from sklearn.exceptions import ConvergenceWarning
    from sklearn.linear_model import LogisticRegression

    x = _features(train_x)
    held_x = _features(validation_x, x.shape[1])
    y, held_y = _labels(train_y, len(x), classes), _labels(validation_y, len(held_x), classes)
    if len(np.unique(y)) < 2:
        raise DataError("the probe needs training items of at least two classes")
    if len(held_x) == 0:
        raise DataError("the probe needs validation items to choose its strength")
    if not strengths or min(strengths) <= 0:
        raise ValueError("the probe needs one or more strengths above zero")

    mean, scale = _standard(x)
    standard = (x - mean) / scale
    # Each fit starts from the previous solution: from strong to weak regularization this saves most of the iterations.
    model = LogisticRegression(warm_start=True, max_iter=1000)
    best: Probe | None = None
    for strength in sorted(strengths):
        model.set_params(C=strength)
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", ConvergenceWarning)
            model.fit(standard, y)
        probe = Probe(mean, scale, *_all_classes(model, classes), 1.0, strength, 0.0)
        accuracy = _share(probe._score(held_x).argmax(1), held_y)
        if best is None or accuracy > best.validation_accuracy:
            best = Probe(mean, scale, probe.weight, probe.bias, 1.0, strength, accuracy)
    assert best is not None
    temperature = _temperature(best._score(held_x), held_y)
    return Probe(mean, scale, best.weight, best.bias, temperature, best.strength, best.validation_accuracy)


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


def _all_classes(model: Any, classes: int) -> tuple[Floats, Floats]:
    """Return (weight, bias) with a row for every class, from a model fitted on some of the classes."""
    coefficients, intercept = model.coef_, model.intercept_
    if len(model.classes_) == 2:  # scikit-learn keeps one row: the log odds of the second class
        coefficients, intercept = np.vstack([-coefficients, coefficients]) / 2, np.append(-intercept, intercept) / 2
    weight = np.zeros((classes, coefficients.shape[1]), np.float32)
    bias = np.full(classes, -np.inf, np.float32)
    weight[model.classes_], bias[model.classes_] = coefficients, intercept
    return weight, bias


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
