"""Nearest neighbors against scikit-learn's."""

from __future__ import annotations

import numpy as np
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.neighbors import KNeighborsClassifier

from cpc_engine.evaluation.probes.knn import NEIGHBORS, nearest_neighbors


@settings(max_examples=30)
@given(st.integers(3, 60), st.integers(1, 8), st.integers(2, 5), st.integers(0, 10**6))
def test_neighbors_are_scikit_learns(items: int, features: int, classes: int, seed: int) -> None:
    rng = np.random.default_rng(seed)
    centers = rng.normal(size=(classes, features + 1))

    def draw(count: int) -> tuple[torch.Tensor, torch.Tensor]:
        y = rng.integers(0, classes, count)
        return torch.from_numpy(centers[y] + rng.normal(size=(count, features + 1))), torch.from_numpy(y)

    (x, y), (held, held_y), (test, _) = draw(items), draw(40), draw(50)
    found = nearest_neighbors(x, y, held, held_y, test)
    models = [KNeighborsClassifier(k, metric="cosine").fit(x.numpy(), y.numpy()) for k in NEIGHBORS if k <= items]
    accuracies = [model.score(held.numpy(), held_y.numpy()) for model in models]
    best = int(np.argmax(accuracies))  # the first of equals
    assert found.neighbors == NEIGHBORS[best]
    assert abs(found.validation - accuracies[best]) < 1e-6
    np.testing.assert_array_equal(found.predicted.numpy(), models[best].predict(test.numpy()))


def test_the_smallest_number_wins_at_equal_accuracy() -> None:
    x = torch.eye(2).repeat_interleave(30, 0)
    y = torch.arange(2).repeat_interleave(30)
    assert nearest_neighbors(x, y, x, y, x).neighbors == 1
