"""The linear probe: multinomial logistic regression on frozen features (design sections 4 and 5), and its intervals.

The trap it avoids (design section 3): the strength is chosen on validation items, never on the test items.
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

_TEMPERATURES = (0.05, 20.0)  # a validation set without a mistake would ask for temperature 0


@dataclass(frozen=True, eq=False)
class Probe:
    """A fitted probe: logits = (x − mean) / scale · weightᵀ + bias.

    Attributes:
        mean, scale: (F,) float32, of the training features.
        weight: (C, F) float32; the row of a class without training items is zero.
        bias: (C,) float32; −inf for a class without training items, so it is never predicted.
        temperature: logits are divided by it before the softmax, which leaves predictions as they are.
        strength: the chosen inverse regularisation strength (scikit-learn's C).
        validation_accuracy: share right of the validation items; slightly optimistic, the strength was chosen by it.
    """

    mean: Floats
    scale: Floats
    weight: Floats
    bias: Floats
    temperature: float
    strength: float
    validation_accuracy: float

    def logits(self, x: ArrayLike) -> Floats:
        """(N, C) scores of features (N, F), before the temperature."""
        return self._score(_features(x, len(self.mean)))

    def predict(self, x: ArrayLike) -> Labels:
        """(N,) classes of features (N, F)."""
        return self.logits(x).argmax(1).astype(np.int64)

    def probabilities(self, x: ArrayLike) -> Floats:
        """(N, C) calibrated probabilities of features (N, F); rows sum to 1."""
        return np.exp(_log_softmax(self.logits(x).astype(np.float64) / self.temperature))

    def accuracy(self, x: ArrayLike, y: ArrayLike) -> float:
        """Share of features (N, F) whose class is y (N,)."""
        return _share(self.predict(x), np.asarray(y))

    def to_tensors(self) -> dict[str, Tensor]:
        """Everything as tensors, for safetensors."""
        return {name: torch.from_numpy(np.array(value)) for name, value in vars(self).items()}

    @classmethod
    def from_tensors(cls, tensors: Mapping[str, Tensor]) -> Probe:
        """The probe that gave `to_tensors()`; a TypeError where one of its parts is missing."""
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
    """Logistic regression on features standardised by the training items, at the strength that validation likes best.

    Args:
        train_x, validation_x: (N, F) and (M, F) features.
        train_y, validation_y: (N,) and (M,) classes below `classes`.
        strengths: inverse regularisation strengths C to choose from; at equal accuracy the smallest (simplest) wins.
        classes: number of classes of the data set; some may be missing in the training items.

    Raises:
        DataError: fewer than two classes to learn, nothing to validate on, or features that are not finite.
        ValueError: shapes, labels or strengths that do not fit.
    """
    from sklearn.exceptions import ConvergenceWarning
    from sklearn.linear_model import LogisticRegression

    x = _features(train_x)
    known_x = _features(validation_x, x.shape[1])
    y, known_y = _labels(train_y, len(x), classes), _labels(validation_y, len(known_x), classes)
    if len(np.unique(y)) < 2:
        raise DataError("the probe needs training items of at least two classes")
    if len(known_x) == 0:
        raise DataError("the probe needs validation items to choose its strength")
    if not strengths or min(strengths) <= 0:
        raise ValueError("the probe needs one or more strengths above zero")

    mean, scale = _standard(x)
    standard = (x - mean) / scale
    # Each fit starts from the one before it: from strong to weak regularisation that is most of the way.
    model = LogisticRegression(warm_start=True, max_iter=1000)
    best: Probe | None = None
    for strength in sorted(strengths):
        model.set_params(C=strength)
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", ConvergenceWarning)
            model.fit(standard, y)
        probe = Probe(mean, scale, *_all_classes(model, classes), 1.0, strength, 0.0)
        accuracy = _share(probe._score(known_x).argmax(1), known_y)
        if best is None or accuracy > best.validation_accuracy:
            best = Probe(mean, scale, probe.weight, probe.bias, 1.0, strength, accuracy)
    assert best is not None
    temperature = _temperature(best._score(known_x), known_y)
    return Probe(mean, scale, best.weight, best.bias, temperature, best.strength, best.validation_accuracy)


def wilson_interval(correct: int, n: int, z: float = 1.96) -> tuple[float, float]:
    """Wilson's score interval of a share, (low, high): 95 % at z = 1.96; (0, 1) of nothing.

    Says how sure one accuracy on n test items is; `mean_interval` says how much it changes with the seed.
    """
    if not 0 <= correct <= n:
        raise ValueError(f"{correct} right of {n} is no share")
    if n == 0:
        return 0.0, 1.0
    share, slack = correct / n, z * z / n
    centre = (share + slack / 2) / (1 + slack)
    half = z * math.sqrt(share * (1 - share) / n + slack / n / 4) / (1 + slack)
    return max(0.0, centre - half), min(1.0, centre + half)


def mean_interval(values: Sequence[float]) -> tuple[float, float | None]:
    """(mean, half width of its 95 % Student-t interval) over seeds; the half width of a single value is None."""
    if not values:
        raise ValueError("no values to average")
    n, mean = len(values), float(np.mean(values))
    if n == 1:
        return mean, None
    from scipy.special import stdtrit

    return mean, float(stdtrit(n - 1, 0.975) * np.std(values, ddof=1) / math.sqrt(n))


def _features(x: ArrayLike, width: int | None = None) -> Floats:
    """x as a finite float32 matrix (N, width)."""
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
    """(mean, std) of every column; the std of a column that varies by no more than rounding does is 1."""
    mean = x.mean(0, dtype=np.float64)
    variance = np.square(x - mean.astype(np.float32)).mean(0, dtype=np.float64)
    scale = np.sqrt(variance)
    scale[scale <= np.finfo(np.float32).eps * np.abs(mean)] = 1.0
    return mean.astype(np.float32), scale.astype(np.float32)


def _all_classes(model: Any, classes: int) -> tuple[Floats, Floats]:
    """(weight, bias) with a row for every class, from a fitted model that knows only the classes it has met."""
    coefficients, intercept = model.coef_, model.intercept_
    if len(model.classes_) == 2:  # scikit-learn keeps one row there: the second class's log odds
        coefficients, intercept = np.vstack([-coefficients, coefficients]) / 2, np.append(-intercept, intercept) / 2
    weight = np.zeros((classes, coefficients.shape[1]), np.float32)
    bias = np.full(classes, -np.inf, np.float32)
    weight[model.classes_], bias[model.classes_] = coefficients, intercept
    return weight, bias


def _temperature(logits: Floats, y: Labels) -> float:
    """The temperature that minimises the mean negative log-likelihood of y (arXiv 1706.04599).

    Items of a class the probe has never met are left out: no temperature helps them.
    """
    from scipy.optimize import minimize_scalar

    met = np.isfinite(logits[0])[y]
    scores, rows, labels = logits[met].astype(np.float64), np.arange(int(met.sum())), y[met]
    if len(scores) == 0:
        return 1.0

    def loss(log_temperature: float) -> float:
        return -float(_log_softmax(scores / math.exp(log_temperature))[rows, labels].mean())

    low, high = (math.log(bound) for bound in _TEMPERATURES)
    return math.exp(float(minimize_scalar(loss, bounds=(low, high), method="bounded").x))


def _log_softmax(logits: Floats) -> Floats:
    shifted = logits - logits.max(1, keepdims=True)
    return shifted - np.log(np.exp(shifted).sum(1, keepdims=True))


def _share(predicted: NDArray[np.integer[Any]], y: NDArray[Any]) -> float:
    return float((predicted == y).mean())
