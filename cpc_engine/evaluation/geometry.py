"""Measures of the space that the latents and contexts live in (design section 4); x̂ = x/‖x‖ throughout.

Tensors in, plain floats out, on whatever device the tensors are on. Sums are taken in float64, and no function holds
more than `chunk` rows of an N×N matrix. A shape that makes no sense or too few rows is a ValueError; values that are
not finite are a DataError, because that is what a diverged network looks like to its user.
"""

from __future__ import annotations

import math
import warnings
from collections.abc import Iterator

import torch
from torch import Tensor
from torch.nn.functional import normalize

from ..errors import DataError

_FLOAT32_STEP = torch.finfo(torch.float32).eps


def alignment(predictions: Tensor, futures: Tensor) -> float:
    """E‖p̂ − ẑ‖² of predictions and their true futures, both (N, d): 0 aligned, 2 unrelated, 4 opposed.

    Source: Wang & Isola 2020 (arXiv 2005.10242). For pairs, give the pooled contexts of both modalities.
    """
    p, z = _same(predictions, futures)
    return float((_unit(p) - _unit(z)).square().sum(1).mean())


def uniformity(x: Tensor, t: float = 2.0, chunk: int = 1024) -> float:
    """log E exp(−t‖x̂ − ŷ‖²) over all pairs of different rows of x (N, d), one row per item.

    0 when all rows point the same way; `uniformity_floor` when they are spread evenly. Source: arXiv 2005.10242.

    Raises:
        ValueError: fewer than two rows, so there is no pair.
    """
    unit = _unit(_rows(x, 2, "uniformity"))
    n = len(unit)
    total = 0.0
    for start in range(0, n, chunk):
        rows = unit[start : start + chunk]
        # Each pair once: the chunk against itself (above the diagonal) and against every later row.
        within = _kernel(rows, rows, t).triu(1).sum()
        total += float(within + _kernel(rows, unit[start + len(rows) :], t).sum())
    return math.log(total / (n * (n - 1) / 2))


def uniformity_floor(d: int, t: float = 2.0) -> float:
    """The uniformity of an evenly covered unit sphere in d dimensions: −2t + log ₀F₁(; d/2; t²).

    −3.875 at d = 64 and −3.969 at d = 256 (t = 2). Source: arXiv 2005.10242, appendix A.1.
    """
    from scipy.special import hyp0f1

    return -2 * t + math.log(float(hyp0f1(d / 2, t * t)))


def effective_rank(x: Tensor, centred: bool = True) -> float:
    """RankMe: exp of the entropy of the normalised *singular values* of x (N, d), from 1 to min(N, d).

    Uncentred, one common offset dominates and hides how many directions the rows use; give both.
    Rows that are all alike have no direction left once centred: 0. Source: arXiv 2210.02885.
    """
    rows = _rows(x, 2, "effective rank")
    # Singular values below what float32 inputs can hold are rounding, and would make a collapsed set look rich.
    smallest = _FLOAT32_STEP * float(rows.norm())
    values = torch.linalg.svdvals(rows - rows.mean(0) if centred else rows)
    values = values[values > smallest]
    if len(values) == 0:
        return 0.0
    shares = values / values.sum()
    return math.exp(float(-(shares * shares.log()).sum()))


def spread(x: Tensor) -> float:
    """The collapse measure: mean per-dimension std of x̂ (N, d), divided by 1/√d.

    1 is an evenly used sphere, 0 is collapse. Multiply by 1/√d for the plain std that SimSiam reports
    (arXiv 2011.10566; 0.125 for an even sphere at d = 64).
    """
    unit = _unit(_rows(x, 2, "spread"))
    return float(unit.std(0).mean()) * math.sqrt(unit.shape[1])


def information_bound(loss: float, candidates: int) -> float:
    """log K − L in nats: a lower bound on I(context; future), never above log K (arXiv 1807.03748).

    Args:
        loss: mean InfoNCE loss with i.i.d. in-batch negatives only. With queued, perturbed, shuffled or cross-modal
            candidates this is no bound at all.
        candidates: K, the positive and its negatives together.
    """
    return math.log(candidates) - loss


def modality_gap(a: Tensor, b: Tensor) -> float:
    """‖mean â − mean b̂‖ of two modalities (N, d) and (M, d), from 0 to 2 (arXiv 2203.02053)."""
    first, second = _two(a, b)
    return float((_unit(first).mean(0) - _unit(second).mean(0)).norm())


def retrieval_at_1(
    queries: Tensor, gallery: Tensor, query_labels: Tensor, gallery_labels: Tensor, chunk: int = 1024
) -> float:
    """Share of queries (M, d) whose nearest gallery row (N, d) by cosine carries the same label.

    Labels are (M,) and (N,): classes, or item numbers to ask for the one true partner.
    """
    asked, stored = _two(queries, gallery)
    if query_labels.shape != (len(asked),) or gallery_labels.shape != (len(stored),):
        raise ValueError("retrieval needs one label for every query and for every gallery row")
    stored = _unit(stored)
    nearest = torch.cat([(rows @ stored.T).argmax(1) for rows in _unit(asked).split(chunk)]).cpu()
    return float((gallery_labels.cpu()[nearest] == query_labels.cpu()).double().mean())


def modality_accuracy(a: Tensor, b: Tensor, seed: int) -> float:
    """How well a linear classifier tells modality a (N, d) from b (M, d) by x̂: 0.5 not at all, 1 always.

    Balanced accuracy of logistic regression (C = 1) on items that it was not fitted on, in up to five folds.
    Source: arXiv 2203.02053.

    Raises:
        ValueError: fewer than two items of either modality.
    """
    import numpy as np
    from sklearn.exceptions import ConvergenceWarning
    from sklearn.linear_model import LogisticRegression
    from sklearn.model_selection import StratifiedKFold, cross_val_score
    from sklearn.pipeline import make_pipeline
    from sklearn.preprocessing import StandardScaler

    first, second = _two(a, b)
    if min(len(first), len(second)) < 2:
        raise ValueError("telling modalities apart needs at least two items of each")
    features = torch.cat([_unit(first), _unit(second)]).cpu().numpy()
    modality = np.repeat([0, 1], [len(first), len(second)])
    folds = StratifiedKFold(min(5, len(first), len(second)), shuffle=True, random_state=seed)
    model = make_pipeline(StandardScaler(), LogisticRegression(max_iter=1000))
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ConvergenceWarning)
        scores = cross_val_score(model, features, modality, cv=folds, scoring="balanced_accuracy")
    return float(scores.mean())


def drift(stored: Tensor, renewed: Tensor) -> float:
    """Mean cosine of queued latents and the same inputs encoded anew, both (n, d): 1 is no drift (design section 3)."""
    old, new = _same(stored, renewed)
    return float((_unit(old) * _unit(new)).sum(1).mean())


def _kernel(rows: Tensor, others: Tensor, t: float) -> Tensor:
    """exp(−t‖r − o‖²) of unit rows: ‖r − o‖² = 2 − 2⟨r, o⟩."""
    return torch.exp(-t * (2 - 2 * (rows @ others.T)))


def _unit(x: Tensor) -> Tensor:
    return normalize(x, dim=1, eps=1e-30)  # in float64, so that tiny rows have a direction too; a zero row stays zero


def _rows(x: Tensor, least: int, what: str) -> Tensor:
    """x as float64, after checking that it is (at least `least`, d ≥ 1) and finite."""
    if x.ndim != 2 or x.shape[1] < 1:
        raise ValueError(f"{what} takes a matrix with one row per item, not shape {tuple(x.shape)}")
    if len(x) < least:
        raise ValueError(f"{what} needs at least {least} row{'s' if least > 1 else ''}, got {len(x)}")
    x = x.detach()
    if not bool(torch.isfinite(x).all()):
        raise DataError(f"{what}: some values are not finite; the network has diverged")
    return (x.cpu() if x.device.type == "mps" else x).double()  # Apple's GPU has no float64


def _two(a: Tensor, b: Tensor) -> Iterator[Tensor]:
    """Two checked sets of rows in the same space."""
    if a.ndim == b.ndim == 2 and a.shape[1] != b.shape[1]:
        raise ValueError(f"two sets of rows must have the same width, got {a.shape[1]} and {b.shape[1]}")
    return (_rows(x, 1, "a comparison") for x in (a, b))


def _same(a: Tensor, b: Tensor) -> Iterator[Tensor]:
    """Two checked sets of rows that belong together row by row."""
    if a.shape != b.shape:
        raise ValueError(f"rows must come in pairs, got shapes {tuple(a.shape)} and {tuple(b.shape)}")
    return _two(a, b)
