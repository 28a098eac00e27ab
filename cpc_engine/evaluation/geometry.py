"""Metrics of the geometry of latents and contexts, see `docs/method.md#metrics`; x̂ = x/‖x‖ throughout.

Every function takes tensors on any device and returns a float. Sums are computed in float64, and no function holds more
than `chunk` rows of an (N, N) matrix. A wrong shape or too few rows raises ValueError. Values that are not finite raise
DataError, because they mean that the network has diverged, which is the user's concern and not a programming error.
"""

from __future__ import annotations

import math
import warnings
from collections.abc import Iterator

import torch
from torch import Tensor
from torch.nn.functional import normalize

from ..errors import DataError

RANK_ITEMS = 128  # the effective rank and the information bound grow with the items, so they are taken on so many
_MOST_SUBSETS = 4
_FLOAT32_EPS = torch.finfo(torch.float32).eps


def alignment(predictions: Tensor, futures: Tensor) -> float:
    """Return E‖p̂ − ẑ‖² of predictions and their true futures: 0 aligned, 2 unrelated, 4 opposed.

    Source: Wang & Isola 2020 (arXiv 2005.10242).

    Args:
        predictions: (N, d).
        futures: (N, d), row by row the true future of each prediction. For the alignment of pairs, give the pooled
            contexts of the two modalities.

    Example:
        >>> alignment(torch.eye(3), 2 * torch.eye(3))
        0.0
        >>> alignment(torch.eye(3), -torch.eye(3))
        4.0
    """
    p, z = _same(predictions, futures)
    return float((_unit(p) - _unit(z)).square().sum(1).mean())


def uniformity(x: Tensor, t: float = 2.0, chunk: int = 1024) -> float:
    """Return log E exp(−t‖x̂ − ŷ‖²) over all pairs of different rows: 0 if all rows point the same way.

    Rows that cover the sphere evenly give `uniformity_floor`. Source: Wang & Isola 2020 (arXiv 2005.10242).

    Args:
        x: (N, d), one row per item.
        t: scale of the Gaussian kernel.
        chunk: rows of the (N, N) kernel matrix held at once.

    Raises:
        ValueError: fewer than two rows, so there is no pair.

    Example:
        >>> round(uniformity(torch.eye(4)), 3)
        -4.0
    """
    unit = _unit(_rows(x, 2, "uniformity"))
    n = len(unit)
    total = 0.0
    for start in range(0, n, chunk):
        rows = unit[start : start + chunk]
        # Count each pair once: the chunk against itself (above the diagonal) and against every later row.
        within = _kernel(rows, rows, t).triu(1).sum()
        total += float(within + _kernel(rows, unit[start + len(rows) :], t).sum())
    return math.log(total / (n * (n - 1) / 2))


def uniformity_floor(d: int, t: float = 2.0) -> float:
    """Return the uniformity of an evenly covered unit sphere in d dimensions: −2t + log ₀F₁(; d/2; t²).

    Source: Wang & Isola 2020 (arXiv 2005.10242), appendix A.1.

    Example:
        >>> round(uniformity_floor(64), 3), round(uniformity_floor(256), 3)
        (-3.875, -3.969)
    """
    from scipy.special import hyp0f1

    return -2 * t + math.log(float(hyp0f1(d / 2, t * t)))


def effective_rank(x: Tensor, centered: bool = True) -> float:
    """Return RankMe: exp of the entropy of the normalized singular values of x, from 1 to min(N, d).

    It grows with N. Uncentered, one offset that all rows share dominates and hides how many directions the rows use; 1
    means that all are nearly one vector, as after collapse. Centered, equal rows have no direction left and give 0, but
    nearly equal ones show the directions of their small differences, of which there can be many: a high value does not
    exclude collapse. Therefore both are reported. Source: Garrido et al. 2023 (arXiv 2210.02885).

    Args:
        x: (N, d), one row per item.
        centered: whether to subtract the mean row first.

    Example:
        >>> round(effective_rank(torch.eye(8)), 2), round(effective_rank(torch.eye(8), centered=False), 2)
        (7.0, 8.0)
    """
    rows = _rows(x, 2, "effective rank")
    # Singular values below float32 precision are rounding errors; they would give a collapsed set a high rank.
    smallest = _FLOAT32_EPS * float(rows.norm())
    values = torch.linalg.svdvals(rows - rows.mean(0) if centered else rows)
    values = values[values > smallest]
    if len(values) == 0:
        return 0.0
    shares = values / values.sum()
    return math.exp(float(-(shares * shares.log()).sum()))


def item_subsets(count: int, size: int = RANK_ITEMS) -> list[Tensor]:
    """Return up to four disjoint random sets of `size` rows, the same at every call; all rows where there are fewer.

    The mean over such sets of a metric that grows with the number of items can be compared between runs that have
    different numbers of them.

    Args:
        count: N, number of rows.

    Example:
        >>> [len(rows) for rows in item_subsets(300)], [len(rows) for rows in item_subsets(100)]
        ([128, 128], [100])
    """
    if count <= size:
        return [torch.arange(count)]
    order = torch.randperm(count, generator=torch.Generator().manual_seed(0))
    return list(order[: min(_MOST_SUBSETS, count // size) * size].split(size))


def spread(x: Tensor) -> float:
    """Return √d times the mean over dimensions of the standard deviation of x̂: 1 even sphere, 0 collapse.

    Divide by √d for the standard deviation that SimSiam reports (Chen & He 2021, arXiv 2011.10566; 0.125 for an even
    sphere at d = 64).

    Args:
        x: (N, d), one row per latent.

    Example:
        >>> spread(torch.ones(5, 3))
        0.0
    """
    unit = _unit(_rows(x, 2, "spread"))
    return float(unit.std(0).mean()) * math.sqrt(unit.shape[1])


def information_bound(loss: float, candidates: int) -> float:
    """Return the InfoNCE bound log K − L in nats: a lower bound on I(context; future), never above log K.

    Source: van den Oord et al. 2018 (arXiv 1807.03748).

    Args:
        loss: mean InfoNCE loss L in nats with independent in-batch negatives only. With queue, perturbed, shuffled, or
            cross-modal candidates the value bounds nothing.
        candidates: K, the positive and its negatives together.

    Example:
        >>> round(information_bound(loss=1.0, candidates=64), 3)
        3.159
    """
    return math.log(candidates) - loss


def modality_gap(a: Tensor, b: Tensor) -> float:
    """Return ‖mean â − mean b̂‖ of two modalities (N, d) and (M, d), from 0 to 2.

    Source: Liang et al. 2022 (arXiv 2203.02053).

    Example:
        >>> modality_gap(torch.tensor([[2.0, 0.0]]), torch.tensor([[-3.0, 0.0]]))
        2.0
    """
    first, second = _two(a, b)
    return float((_unit(first).mean(0) - _unit(second).mean(0)).norm())


def retrieval_at_1(
    queries: Tensor, gallery: Tensor, query_labels: Tensor, gallery_labels: Tensor, chunk: int = 1024
) -> float:
    """Return recall at 1: the share of queries whose nearest gallery row by cosine has the same label.

    Args:
        queries: (M, d). gallery: (N, d).
        query_labels: (M,). gallery_labels: (N,). Classes, or item numbers so that only the partner counts.
        chunk: queries compared at once.

    Example:
        >>> x, labels = torch.eye(3), torch.arange(3)
        >>> retrieval_at_1(x, x, labels, labels), retrieval_at_1(x, x.roll(1, 0), labels, labels)
        (1.0, 0.0)
    """
    query_rows, gallery_rows = _two(queries, gallery)
    if query_labels.shape != (len(query_rows),) or gallery_labels.shape != (len(gallery_rows),):
        raise ValueError("retrieval needs one label for every query and for every gallery row")
    gallery_rows = _unit(gallery_rows)
    nearest = torch.cat([(rows @ gallery_rows.T).argmax(1) for rows in _unit(query_rows).split(chunk)]).cpu()
    return float((gallery_labels.cpu()[nearest] == query_labels.cpu()).double().mean())


def modality_accuracy(a: Tensor, b: Tensor, seed: int) -> float:
    """Return the balanced accuracy of a linear classifier that tells modality a from b by x̂: 0.5 chance, 1 always.

    Logistic regression (C = 1) with stratified cross-validation, up to five folds. Complements the modality gap of
    Liang et al. 2022 (arXiv 2203.02053).

    Args:
        a: (N, d). b: (M, d).
        seed: of the split into folds.

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
    """Return the mean cosine between queued latents and the same inputs encoded again: 1 means no drift.

    See `docs/method.md#queue-staleness`; the concern is that of He et al. 2020 (arXiv 1911.05722).

    Args:
        stored: (n, d), as queued. renewed: (n, d), the same inputs encoded now.

    Example:
        >>> drift(torch.eye(4), 3 * torch.eye(4))
        1.0
    """
    old, new = _same(stored, renewed)
    return float((_unit(old) * _unit(new)).sum(1).mean())


def _kernel(rows: Tensor, others: Tensor, t: float) -> Tensor:
    """Return exp(−t‖r − o‖²) of unit rows, using ‖r − o‖² = 2 − 2⟨r, o⟩."""
    return torch.exp(-t * (2 - 2 * (rows @ others.T)))


def _unit(x: Tensor) -> Tensor:
    return normalize(x, dim=1, eps=1e-30)  # tiny rows keep their direction in float64; a zero row stays zero


def _rows(x: Tensor, least: int, what: str) -> Tensor:
    """Return x as float64 after checking its shape (at least `least`, d ≥ 1) and that it is finite."""
    if x.ndim != 2 or x.shape[1] < 1:
        raise ValueError(f"{what} takes a matrix with one row per item, not shape {tuple(x.shape)}")
    if len(x) < least:
        raise ValueError(f"{what} needs at least {least} row{'s' if least > 1 else ''}, got {len(x)}")
    x = x.detach()
    if not bool(torch.isfinite(x).all()):
        raise DataError(f"{what}: some values are not finite; the network has diverged")
    return (x.cpu() if x.device.type == "mps" else x).double()  # MPS has no float64


def _two(a: Tensor, b: Tensor) -> Iterator[Tensor]:
    """Check two sets of rows of the same width."""
    if a.ndim == b.ndim == 2 and a.shape[1] != b.shape[1]:
        raise ValueError(f"two sets of rows must have the same width, got {a.shape[1]} and {b.shape[1]}")
    return (_rows(x, 1, "a comparison") for x in (a, b))


def _same(a: Tensor, b: Tensor) -> Iterator[Tensor]:
    """Check two sets of rows that belong together row by row."""
    if a.shape != b.shape:
        raise ValueError(f"rows must come in pairs, got shapes {tuple(a.shape)} and {tuple(b.shape)}")
    return _two(a, b)
