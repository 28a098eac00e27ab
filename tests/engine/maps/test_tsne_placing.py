"""New points on a t-SNE map: openTSNE without its tree is the oracle, and imports of it are not needed."""

from __future__ import annotations

import subprocess
import sys

import numpy as np
import pytest
from hypothesis import assume, given
from hypothesis import strategies as st
from openTSNE import TSNEEmbedding
from openTSNE.affinity import PerplexityBasedNN

from cpc_engine.maps.projection import Floats, Indices, fit_map, neighbors
from cpc_engine.maps.tsne_placing import PULL, affinities, place_among
from tests.support.paths import REPOSITORY


@given(items=st.integers(6, 60), width=st.integers(2, 8), new=st.integers(1, 5), seed=st.integers(0, 10_000))
def test_points_lie_where_opentsne_puts_them_when_it_sums_over_all_dots(
    items: int, width: int, new: int, seed: int
) -> None:
    draw = np.random.default_rng(seed)
    features = draw.normal(size=(items, width))
    points = draw.normal(size=(new, width))
    layout = 10 * draw.normal(size=(items, 2))
    perplexity = min(5.0, (items - 1) / 3)
    near = np.argsort(np.linalg.norm(features[None] - points[:, None], axis=2), axis=1)[:, : int(3 * perplexity)]
    distances = np.take_along_axis(np.linalg.norm(features[None] - points[:, None], axis=2), near, 1)

    start = np.median(layout[near], axis=1)
    # openTSNE takes a dot at the very place of a point for the point itself, and leaves it out.
    assume(np.linalg.norm(start[:, None] - layout[None], axis=2).min() > 1e-3)
    index = PerplexityBasedNN(features, perplexity=perplexity, method="exact", random_state=0)
    reference = TSNEEmbedding(layout, index, negative_gradient_method="bh", n_jobs=1)
    partial = reference.prepare_partial(points, perplexity=perplexity)
    wanted = partial.P.toarray()[np.arange(new)[:, None], near]
    assume(np.allclose(perplexity_of(wanted), perplexity, rtol=1e-3))  # its search may end early, in double precision
    assert affinities(distances, perplexity) == pytest.approx(wanted, abs=1e-3)

    # A few steps: where a gradient is nearly zero its sign decides the next step, so rounding grows later on.
    oracle = partial.optimize(
        n_iter=5, learning_rate=0.1, exaggeration=1.5, momentum=0.8, max_grad_norm=0.25, theta=0.0
    )
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("cpc_engine.maps.tsne_placing.ITERATIONS", 5)
        assert place_among(layout, near, distances, perplexity) == pytest.approx(np.asarray(oracle), abs=1e-3)

    before, after = (
        divergence(where, layout, near, distances, perplexity)
        for where in (start, place_among(layout, near, distances, perplexity))
    )
    assert (after < before + 0.05).all()  # the last steps may swing around the minimum


def perplexity_of(probabilities: Floats) -> Floats:
    return np.exp(-(probabilities * np.log(np.maximum(probabilities, 1e-300))).sum(1))


def divergence(points: Floats, layout: Floats, near: Indices, distances: Floats, perplexity: float) -> Floats:
    """What placing minimizes, up to a constant: −Σ a log w + log Σ w, with the attraction a as multiplied."""
    weights = 1 / (1 + np.square(points[:, None] - layout[None]).sum(2))
    attraction = PULL * affinities(distances, perplexity)
    return np.log(weights.sum(1)) - (attraction * np.log(np.take_along_axis(weights, near, 1))).sum(1)


@given(k=st.integers(2, 20), scale=st.floats(1e-6, 1e3), offset=st.floats(0, 10), seed=st.integers(0, 10_000))
def test_affinities_have_the_perplexity_that_is_asked_for(k: int, scale: float, offset: float, seed: int) -> None:
    distances = offset + scale * np.sort(np.random.default_rng(seed).random((3, k)) + 0.1 * np.arange(k), axis=1)
    perplexity = 1 + (k - 1) / 3
    found = affinities(distances, perplexity)
    assert found.sum(1) == pytest.approx(1)
    assert perplexity_of(found) == pytest.approx(perplexity, rel=1e-4)


def test_equal_distances_pull_alike_and_a_point_on_an_item_stays_finite() -> None:
    assert affinities(np.full((1, 4), 0.3), 2.0) == pytest.approx(0.25)
    layout = np.zeros((8, 2))
    placed = place_among(layout, np.array([[0, 1, 2]]), np.zeros((1, 3)), 1.5)
    assert placed == pytest.approx(0)


def test_a_point_lies_alone_where_it_lies_in_a_batch() -> None:
    draw = np.random.default_rng(1)
    fitted = fit_map("tsne", draw.normal(size=(40, 6)), seed=0)
    new = draw.normal(size=(7, 6))
    together = fitted.place(new)
    for row, point in zip(together, new, strict=True):
        assert fitted.place(point[None])[0] == pytest.approx(row, abs=1e-5)


def test_an_item_of_the_map_is_placed_beside_its_own_dot() -> None:
    draw = np.random.default_rng(2)
    centers = 5 * np.eye(4)
    features = np.repeat(centers, 30, axis=0) + draw.normal(size=(120, 4))
    fitted = fit_map("tsne", features, seed=0)
    placed = fitted.place(features[:40])
    nearest, _ = neighbors(features, features[:40], 1)
    assert (nearest[:, 0] == np.arange(40)).all()
    apart = np.linalg.norm(placed - fitted.layout[:40], axis=1)
    assert np.median(apart) < 0.1 * np.ptp(fitted.layout, axis=0).max()


def test_placing_imports_no_library_that_fits_maps() -> None:
    code = (
        "import sys, numpy as np; from cpc_engine.maps.projection import Map; e = np.zeros(0, np.float32);"
        "m = Map('tsne', np.random.rand(9, 2), np.random.rand(9, 3), 1.0, 1.0, {'perplexity': 2.0, 'seed': 0}, e, e);"
        "assert m.place(np.random.rand(2, 3)).shape == (2, 2);"
        "print(sorted({n.partition('.')[0] for n in sys.modules} & {'openTSNE', 'sklearn', 'umap', 'pynndescent'}))"
    )
    done = subprocess.run([sys.executable, "-c", code], cwd=REPOSITORY, capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"
