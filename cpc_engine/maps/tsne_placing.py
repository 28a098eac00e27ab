"""New points among the frozen dots of a t-SNE map, each by itself.

The objective and its descent are those of openTSNE's partial embedding (Poličar et al. 2019, "openTSNE"), summed over
all dots where openTSNE sums over the cells of a tree (van der Maaten 2014). For one point openTSNE would need an index
of the map's items, scikit-learn, and three seconds of imports.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.floating[Any]]

ITERATIONS, RATE, MOMENTUM, LONGEST = 250, 0.1, 0.8, 0.25  # openTSNE's for new points; LONGEST: of a gradient
PULL = 1.5  # attraction is multiplied by this, which keeps points on the clusters
_HALVINGS = 100  # of the interval that a bandwidth is searched in


def place_among(layout: Floats, near: NDArray[np.int64], distances: Floats, perplexity: float) -> Floats:
    """Where new points lie on a finished map.

    Args:
        layout: (N, 2) positions of the map's items.
        near: (M, k) items nearest to each new point in the space of features. distances: (M, k), Euclidean, there.
        perplexity: effective number of items that attract a point, below k.

    Returns:
        (M, 2) float64; a point lies where it would lie alone.

    Example:
        >>> layout = np.array([[0.0, 0.0], [1.0, 0.0], [50.0, 50.0]])
        >>> near, distances = np.array([[0, 1]]), np.array([[0.1, 0.1]])
        >>> bool(abs(place_among(layout, near, distances, 1.5) - [[0.5, 0.0]]).max() < 0.1)
        True
    """
    dots = np.asarray(layout, np.float64)
    attraction = PULL * affinities(distances, perplexity)
    points: Floats = np.median(dots[near], axis=1)
    update, gains = np.zeros_like(points), np.ones_like(points)
    for _ in range(ITERATIONS):
        gradient = _gradient(points, dots, near, attraction)
        norm = np.linalg.norm(gradient, axis=1, keepdims=True)
        gradient *= np.minimum(1.0, LONGEST / (norm + 1e-6))
        # Delta-bar-delta (Jacobs 1988): a coordinate that keeps its direction is to move faster.
        turned = np.sign(update) != np.sign(gradient)
        gains = np.where(turned, gains + 0.2, gains * 0.8 + 0.01)
        update = MOMENTUM * update - RATE * gains * gradient
        points = points + update
    return points


def affinities(distances: Floats, perplexity: float) -> Floats:
    """Gaussian probabilities (M, k) of neighbors at `distances` (M, k), each row of the given perplexity.

    Example:
        >>> affinities(np.array([[1.0, 1.0, 1.0]]), 2.0).round(3).tolist()
        [[0.333, 0.333, 0.333]]
    """
    squares = np.square(np.asarray(distances, np.float64))
    squares = squares - squares.min(1, keepdims=True)  # changes no probability, and no exponent is large
    wanted = np.log(perplexity)
    precision = np.ones((len(squares), 1))
    low, high = np.zeros_like(precision), np.full_like(precision, np.inf)
    for _ in range(_HALVINGS):
        weights = np.exp(-precision * squares)
        total = weights.sum(1, keepdims=True)
        entropy = np.log(total) + precision * (weights * squares).sum(1, keepdims=True) / total
        wide = entropy > wanted  # then the precision must grow
        low, high = np.where(wide, precision, low), np.where(wide, high, precision)
        precision = np.where(np.isinf(high), 2 * precision, (low + high) / 2)
    found: Floats = weights / total
    return found


def _gradient(points: Floats, dots: Floats, near: NDArray[np.int64], attraction: Floats) -> Floats:
    """(M, 2): of each point's Kullback–Leibler divergence; `attraction` (M, k) toward its nearest items."""
    gradient = np.empty_like(points)
    for row, point in enumerate(points):
        away = point - dots
        weights = 1 / (1 + np.square(away).sum(1))
        close = near[row]
        pull = (attraction[row] * weights[close]) @ away[close]
        gradient[row] = pull - np.square(weights) @ away / weights.sum()
    return gradient
