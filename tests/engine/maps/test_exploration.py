"""Items of a run's map: the same as the run's own where it has them, and checked against slow references elsewhere."""

from __future__ import annotations

import shutil
from pathlib import Path

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.neighbors import NearestNeighbors

from cpc_engine.data import load_dataset
from cpc_engine.errors import DataError, RunError
from cpc_engine.maps.exploration import SPACES, Exploration, neighbor_purity
from cpc_engine.maps.projection import fit_map
from cpc_engine.storage.artifacts import load_model, load_probes
from cpc_engine.storage.folder import RunFolder

pytest_plugins = ["tests.support.explored"]


@pytest.fixture(scope="module")
def explored(keypad: Path) -> Exploration:
    return Exploration(RunFolder(keypad))


def test_held_out_contexts_are_those_of_the_runs_own_map(explored: Exploration) -> None:
    again = explored._gather("mean_context")
    np.testing.assert_allclose(explored.features("contexts"), again, atol=1e-5)
    assert explored.map("contexts", "tsne").layout.shape == (120, 2)
    np.testing.assert_array_equal(explored.map("contexts", "pca").layout, explored.stored.maps["pca"].layout)


def test_every_item_is_found_again_in_the_data(explored: Exploration) -> None:
    data = load_dataset(explored.config)
    for index in (0, 59, 60, 119):
        split, row, modality = explored.item(index)
        assert split.names[row] == explored.items.names[index]
        assert split.labels[row] == explored.items.labels[index]
        assert torch.equal(split.values(modality)[row], data.test.values(modality)[row])  # type: ignore[index]


def test_features_and_agreement_of_one_item_by_hand(explored: Exploration) -> None:
    model = load_model(explored.folder)
    for index in (3, 100):
        split, row, modality = explored.item(index)
        with torch.no_grad():
            encoding = model({modality: model.features[modality](split.values(modality)[row : row + 1])})[modality]  # type: ignore[index]
        latents, predictions = encoding.latents[0], {k: p[0] for k, p in encoding.predictions.items()}
        np.testing.assert_allclose(explored.features("latents")[index], latents.mean(0).numpy(), atol=1e-5)
        nearest = predictions[min(predictions)].mean(0).numpy()
        np.testing.assert_allclose(explored.features("predictions")[index], nearest, atol=1e-5)
        cosines = [
            float(vector @ latents[t + k] / vector.norm() / latents[t + k].norm())
            for k, predicted in predictions.items()
            for vector, t in zip(predicted, encoding.anchors[k].tolist(), strict=True)
        ]
        assert explored.agreement[index] == pytest.approx(np.mean(cosines), abs=1e-5)
        path = explored.trajectory(index)
        assert path.shape == (len(latents), 2)
        where = explored.map("contexts", "pca").place(encoding.contexts[0].numpy())
        np.testing.assert_allclose(path, where, atol=1e-5)


def test_the_probes_classes_are_its_own_predictions(explored: Exploration) -> None:
    assert explored.predicted is not None
    name, probe = load_probes(explored.folder, explored.model)["image"]
    rows = explored.items.of("image", "test")
    features = getattr(explored._embedded[("image", "test")], name).numpy()
    np.testing.assert_array_equal(explored.predicted[rows], probe.predict(features))


def test_training_items_come_beside_the_held_out_ones(keypad: Path) -> None:
    both = Exploration(RunFolder(keypad), training=True)
    assert set(both.items.splits) == {"test", "train"}
    assert len(both.items) == 240
    for space in SPACES:
        assert both.features(space).shape[0] == 240
    split, row, _ = both.item(239)
    assert split.names[row] == both.items.names[239]
    assert split.names[row].startswith("keypad/train/")
    assert both.map("latents", "pca", 3).layout.shape == (240, 3)


def test_training_items_are_not_kept_where_none_are_shown(explored: Exploration) -> None:
    assert explored.data is not None
    assert len(explored.data.test) > 0
    assert len(explored.data.train) == len(explored.data.validation) == 0


def test_without_its_data_a_run_still_has_its_map(keypad: Path, tmp_path: Path) -> None:
    folder = RunFolder(Path(shutil.copytree(keypad, tmp_path / keypad.name)))
    folder.save_json("config", folder.config().replace({"data.test_items": 50}).to_dict())
    explored = Exploration(folder)
    assert explored.data is None
    assert "changed since training (50 test items instead of 60)" in explored.missing
    assert explored.map("contexts", "pca").layout.shape == (120, 2)
    for use in (lambda: explored.features("latents"), lambda: explored.agreement, lambda: explored.item(0)):
        with pytest.raises(DataError, match="held-out items"):
            use()
    with pytest.raises(DataError):
        Exploration(folder, training=True)
    (folder.path / "map.json").unlink()
    with pytest.raises(RunError, match="no map"):
        Exploration(folder)


@settings(max_examples=60)
@given(st.integers(2, 40), st.integers(1, 3), st.integers(1, 20), st.integers(0, 10_000))
def test_purity_against_a_library(items: int, classes: int, k: int, seed: int) -> None:
    rng = np.random.default_rng(seed)
    features = rng.normal(size=(items, 4)).astype(np.float32)
    labels = rng.integers(0, classes, items)
    near = min(k, items - 1)
    found = NearestNeighbors(n_neighbors=near, metric="cosine").fit(features).kneighbors(return_distance=False)
    expected = (labels[found] == labels[:, None]).mean(1)
    np.testing.assert_allclose(neighbor_purity(features, labels, k), expected, atol=1e-6)


def test_three_dimensions_start_with_the_two() -> None:
    features = np.random.default_rng(0).normal(size=(40, 6)).astype(np.float32)
    flat, deep = fit_map("pca", features, 0), fit_map("pca", features, 0, dimensions=3)
    np.testing.assert_allclose(deep.layout[:, :2], flat.layout, atol=1e-6)
    np.testing.assert_allclose(deep.place(features), deep.layout, atol=1e-5)
    assert deep.overlap > flat.overlap
    with pytest.raises(ValueError, match="two dimensions only"):
        fit_map("tsne", features, 0, dimensions=3)
