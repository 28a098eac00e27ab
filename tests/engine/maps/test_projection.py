"""The maps against scikit-learn, and the promises about placing new points."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray
from openTSNE.affinity import PerplexityBasedNN
from safetensors.torch import load, save
from sklearn.manifold import trustworthiness
from sklearn.neighbors import NearestNeighbors

from cpc_engine.errors import DataError
from cpc_engine.execution.execute import execute
from cpc_engine.maps.projection import Map, Method, _affinities, fit_map, map_quality, neighbors, rotation_onto
from cpc_engine.maps.stored import load_map
from cpc_engine.storage.folder import RunFolder
from cpc_engine.training.control import Control
from tests.support.tiny import tiny

Floats = NDArray[np.float32]
METHODS: tuple[Method, ...] = ("pca", "tsne", "umap")


def clusters(n: int, seed: int, d: int = 24) -> tuple[Floats, NDArray[np.int64]]:
    """Three clusters that are the same for every seed, and which one each row is from."""
    centers = np.random.default_rng(1234).normal(size=(3, d))
    rng = np.random.default_rng(seed)
    y = np.arange(n) % 3
    return (2 * centers[y] + 0.5 * rng.normal(size=(n, d))).astype(np.float32), y


def unit(x: Floats) -> Floats:
    return x / np.linalg.norm(x, axis=1, keepdims=True)


@pytest.fixture(scope="module", params=METHODS)
def known(request: pytest.FixtureRequest) -> Map:
    """A map by each method; what tests those by UMAP stands together, since UMAP is compiled once in a process."""
    return fit_map(request.param, clusters(90, 0)[0], seed=3)


def test_same_seed_same_layout(known: Map) -> None:
    again = fit_map(known.method, clusters(90, 0)[0], seed=3)
    np.testing.assert_array_equal(again.layout, known.layout)
    assert again.layout.dtype == np.float32
    assert again.layout.shape == (90, 2)


def test_a_point_lands_alone_where_it_lands_in_a_batch(known: Map) -> None:
    new, _ = clusters(40, 1)
    before = known.layout.copy()
    placed = known.place(new)
    alone = np.concatenate([known.place(row[None]) for row in new])
    np.testing.assert_allclose(alone, placed, atol=1e-4)
    np.testing.assert_allclose(known.place(new[::-1])[::-1], placed, atol=1e-4)
    np.testing.assert_array_equal(known.layout, before)
    assert placed.dtype == np.float32
    assert known.place(new[:0]).shape == (0, 2)


def test_new_points_land_in_their_own_cluster(known: Map) -> None:
    _, y = clusters(90, 0)
    new, new_y = clusters(60, 2)
    centers = np.stack([known.layout[y == c].mean(0) for c in range(3)])
    away = np.linalg.norm(known.place(new)[:, None] - centers, axis=2)
    assert (away.argmin(1) == new_y).mean() > 0.95


def test_known_points_land_on_themselves(known: Map) -> None:
    moved = np.linalg.norm(known.place(known.features) - known.layout, axis=1)
    assert moved.max() < 0.02 * np.ptp(known.layout, axis=0).max()


def test_a_map_survives_safetensors_and_json(known: Map) -> None:
    again = Map.from_tensors(load(save(known.to_tensors())), json.loads(json.dumps(known.meta())))
    assert again.meta() == known.meta()
    np.testing.assert_array_equal(again.layout, known.layout)
    new, _ = clusters(10, 1)
    np.testing.assert_array_equal(again.place(new), known.place(new))


@pytest.mark.parametrize("method", METHODS)
@pytest.mark.parametrize(
    "features",
    [
        clusters(32, 0)[0],
        clusters(5, 0)[0],
        clusters(32, 0, d=1)[0],
        np.ones((32, 4), np.float32),
        np.zeros((32, 4), np.float32),
    ],
    ids=["32 items", "5 items", "1 feature", "collapsed", "zero"],
)
def test_few_or_collapsed_items_still_give_a_map(method: Method, features: Floats) -> None:
    small = fit_map(method, features, seed=0)
    assert np.isfinite(small.layout).all()
    assert np.isfinite(small.place(features)).all()
    assert 0 <= small.overlap <= 1
    assert 0 <= small.trustworthiness <= 1
    assert small.parameters.get("perplexity", 0) <= (len(features) - 1) / 3
    assert small.parameters.get("neighbors", 0) < len(features)


def test_tsne_places_alone_as_in_a_batch_where_its_search_is_approximate() -> None:
    rng = np.random.default_rng(0)
    features = rng.normal(size=(1100, 8)).astype(np.float32)
    parameters = {"seed": 0.0, "perplexity": 10.0}
    none = np.zeros((0, 0))
    large = Map("tsne", 20 * features[:, :2], features, 0.0, 0.0, parameters, none, none)
    new = rng.normal(size=(20, 8)).astype(np.float32)
    alone = np.concatenate([large.place(row[None]) for row in new])
    np.testing.assert_allclose(alone, large.place(new), atol=1e-4)


@pytest.mark.parametrize("items", [5, 90, 1100])
def test_tsne_has_the_affinities_that_its_library_finds_by_itself(items: int) -> None:
    points = np.random.default_rng(0).normal(size=(items, 8))
    perplexity = min(20.0, (items - 1) / 3)
    theirs = PerplexityBasedNN(points, perplexity=perplexity, method="auto", random_state=3)
    ours = _affinities(points, {"seed": 3.0, "perplexity": perplexity})
    np.testing.assert_array_equal(ours.P.toarray(), theirs.P.toarray())


def test_tsne_does_not_wait_for_a_compiler() -> None:
    """In a new process: openTSNE imports pynndescent, and with it numba, where it is left to choose a search."""
    code = (
        "import sys, numpy\n"
        "from cpc_engine.maps.projection import fit_map\n"
        "fit_map('tsne', numpy.eye(12), 0)\n"
        "assert 'openTSNE' in sys.modules and not {'pynndescent', 'numba'} & set(sys.modules)"
    )
    subprocess.run([sys.executable, "-c", code], check=True)


def test_the_setting_of_neighbors_changes_a_umap(tmp_path: Path) -> None:
    """Here, where UMAP has been compiled, which takes most of a minute in another process."""
    layouts = []
    for number in (15, 4):
        folder = RunFolder.create(
            tmp_path, tiny(data__train_items=192, data__test_items=48, evaluation__neighbors=number)
        )
        execute(folder, Control())
        layouts.append(load_map(folder, "umap").maps["umap"].layout)
    assert (layouts[0] != layouts[1]).any()


def test_pca_is_the_best_plane_and_keeps_its_signs() -> None:
    features, _ = clusters(90, 0)
    flat = fit_map("pca", features, seed=0)
    centered = unit(features) - unit(features).mean(0)
    values = np.linalg.svd(centered, compute_uv=False)[:2]
    np.testing.assert_allclose(np.sqrt((flat.layout**2).sum(0)), values, rtol=1e-4)
    assert (flat.components[[0, 1], np.abs(flat.components).argmax(1)] > 0).all()
    # The items' order decides nothing, though it flips the signs that a plain SVD gives.
    for seed in range(5):
        order = np.random.default_rng(seed).permutation(90)
        np.testing.assert_allclose(fit_map("pca", features[order], 0).layout, flat.layout[order], atol=1e-5)


@settings(max_examples=20)
@given(n=st.integers(5, 70), seed=st.integers(0, 99))
def test_quality_is_scikit_learns_trustworthiness_and_the_shared_neighbors(n: int, seed: int) -> None:
    rng = np.random.default_rng(seed)
    features = rng.normal(size=(n, 6)).astype(np.float32)
    layout = (features[:, :2] + 0.3 * rng.normal(size=(n, 2))).astype(np.float32)
    k = min(15, (n - 1) // 2)
    trust, overlap = map_quality(features, layout, seed=0)
    assert trust == pytest.approx(trustworthiness(unit(features.astype(np.float64)), layout, n_neighbors=k), abs=1e-9)
    near = [NearestNeighbors(n_neighbors=k).fit(x).kneighbors()[1] for x in (unit(features.astype(np.float64)), layout)]
    assert overlap == pytest.approx(np.mean([len(set(a) & set(b)) / k for a, b in zip(*near, strict=True)]))


def test_quality_of_many_items_is_estimated_from_some() -> None:
    rng = np.random.default_rng(0)
    features = rng.normal(size=(2300, 4)).astype(np.float32)
    layout = features[:, :2]
    exact = trustworthiness(unit(features.astype(np.float64)), layout, n_neighbors=15)
    assert map_quality(features, layout, seed=0)[0] == pytest.approx(exact, abs=0.005)
    assert map_quality(features, rng.normal(size=(2300, 2)), seed=0)[0] == pytest.approx(0.5, abs=0.03)


@settings(max_examples=20)
@given(n=st.integers(1, 30), m=st.integers(0, 10), k=st.integers(1, 40), seed=st.integers(0, 99))
def test_neighbors_are_the_highest_cosines_in_order(n: int, m: int, k: int, seed: int) -> None:
    rng = np.random.default_rng(seed)
    features, query = (rng.normal(size=(rows, 5)).astype(np.float32) for rows in (n, m))
    indices, cosines = neighbors(features, query, k)
    assert indices.shape == cosines.shape == (m, min(k, n))
    every = unit(query) @ unit(features).T
    np.testing.assert_allclose(cosines, -np.sort(-every, axis=1)[:, :k], atol=1e-5)
    np.testing.assert_allclose(np.take_along_axis(every, indices, 1), cosines, atol=1e-5)


def test_neighbors_are_the_same_in_chunks(monkeypatch: pytest.MonkeyPatch) -> None:
    features, _ = clusters(50, 0)
    whole = neighbors(features, features, 7)
    monkeypatch.setattr("cpc_engine.maps.projection._CELLS", 120)
    for part, expected in zip(neighbors(features, features, 7), whole, strict=True):
        np.testing.assert_allclose(part, expected, atol=1e-6)
    np.testing.assert_array_equal(whole[0][:, 0], np.arange(50))


@settings(max_examples=20)
@given(angle=st.floats(-3, 3), mirrored=st.booleans(), seed=st.integers(0, 99))
def test_rotation_undoes_turns_and_mirrors_wherever_the_points_lie_and_at_any_scale(
    angle: float, mirrored: bool, seed: int
) -> None:
    reference = np.random.default_rng(seed).normal(size=(20, 2))
    turn = np.array([[np.cos(angle), -np.sin(angle)], [np.sin(angle), np.cos(angle)]])
    turn = turn @ np.diag([-1.0, 1.0]) if mirrored else turn
    found = rotation_onto(2 * reference @ turn + [5, -7], reference)
    np.testing.assert_allclose(turn @ found, np.eye(2), atol=1e-4)


def test_what_cannot_be_drawn_is_said_clearly() -> None:
    features, _ = clusters(10, 0)
    with pytest.raises(ValueError, match="at least 5 items, got 4"):
        fit_map("pca", features[:4], 0)
    with pytest.raises(ValueError, match="pca, tsne, umap"):
        fit_map("som", features, 0)  # type: ignore[arg-type]
    with pytest.raises(DataError, match="diverged"):
        fit_map("pca", features * np.inf, 0)
    with pytest.raises(ValueError, match="24"):
        fit_map("pca", features, 0).place(features[:, 1:])
