"""Accuracy of nearest neighbors by cosine similarity: what features are worth without any training on top."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor
from torch.nn import functional as F

NEIGHBORS = (1, 5, 20)  # the numbers k of neighbors to choose from
_QUERIES = 1024  # items compared at once: with 10,000 training items 40 MB of similarities


@dataclass(frozen=True, eq=False)
class Neighbors:
    """Nearest-neighbor classification of test items.

    Attributes:
        neighbors: k, chosen on validation items.
        validation: accuracy on these, 0 to 1.
        predicted: (T,) classes of the test items.
    """

    neighbors: int
    validation: float
    predicted: Tensor


def nearest_neighbors(train: Tensor, train_y: Tensor, held: Tensor, held_y: Tensor, test: Tensor) -> Neighbors:
    """Predict the most frequent class of the k training items with the largest cosine similarity.

    At equal frequency the first class wins; at equal validation accuracy the smallest k.

    Args:
        train, held, test: (N, F), (M, F) and (T, F) features of training, validation and test items, on one device.
        train_y, held_y: (N,) and (M,) int64 classes.

    Example:
        >>> x, y = torch.tensor([[1.0, 0.1], [0.1, 1.0]]), torch.tensor([0, 1])
        >>> found = nearest_neighbors(x, y, x, y, torch.tensor([[5.0, 4.0]]))
        >>> found.neighbors, found.predicted.tolist()
        (1, [0])
    """
    counts = [k for k in NEIGHBORS if k <= len(train)]
    held_votes, test_votes = (_votes(train, train_y, queries, counts) for queries in (held, test))
    accuracies = [float((votes == held_y).float().mean()) for votes in held_votes]
    best = accuracies.index(max(accuracies))
    return Neighbors(counts[best], accuracies[best], test_votes[best])


def _votes(train: Tensor, train_y: Tensor, queries: Tensor, counts: list[int]) -> list[Tensor]:
    """Return the predicted classes (Q,) of the queries (Q, F) for every number of neighbors."""
    units = F.normalize(train, dim=1)
    classes = int(train_y.max()) + 1
    parts = []
    for some in F.normalize(queries, dim=1).split(_QUERIES):
        nearest = train_y[(some @ units.T).topk(counts[-1], dim=1).indices]
        votes = F.one_hot(nearest, classes).cumsum(1)
        parts.append(torch.stack([votes[:, k - 1].argmax(1) for k in counts]))
    return list(torch.cat(parts, 1))
