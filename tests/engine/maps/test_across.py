"""Sounds and pictures over snapshots: nearest ones as in a plain loop, chance, and the items behind the points."""

from __future__ import annotations

import shutil
from pathlib import Path

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from cpc_engine.data import load_dataset
from cpc_engine.errors import DataError
from cpc_engine.evaluation.geometry import retrieval_at_1
from cpc_engine.maps.across import chance, log_mel, nearest_across, shown_items
from cpc_engine.maps.snapshots import MapSnapshots, load_snapshots
from cpc_engine.storage.artifacts import load_model
from cpc_engine.storage.folder import RunFolder
from tests.support.paths import REPOSITORY


def drawn(seed: int, sounds: int, pictures: int, steps: int = 2, width: int = 4) -> MapSnapshots:
    draw = np.random.default_rng(seed)
    features = draw.normal(size=(steps, sounds + pictures, width)).astype(np.float32)
    return MapSnapshots(
        steps=[10 * step for step in range(steps)],
        features=features / np.linalg.norm(features, axis=2, keepdims=True),
        labels=draw.integers(0, 3, sounds + pictures),
        rows=np.concatenate([np.arange(sounds), np.arange(pictures)]),
        modalities=["audio"] * sounds + ["image"] * pictures,
        names=[str(index) for index in range(sounds + pictures)],
        classes=["a", "b", "c"],
    )


@given(st.integers(0, 100), st.integers(1, 6), st.integers(0, 6), st.integers(1, 4), st.data())
def test_the_nearest_are_those_of_a_plain_loop(
    seed: int, sounds: int, pictures: int, count: int, data: st.DataObject
) -> None:
    snapshots = drawn(seed, sounds, pictures)
    point = data.draw(st.integers(0, sounds + pictures - 1))
    for step, features in zip(snapshots.steps, snapshots.features, strict=True):
        found = []
        for other in range(sounds + pictures):
            if snapshots.modalities[other] != snapshots.modalities[point]:
                found.append(
                    (other, sum(float(a) * float(b) for a, b in zip(features[other], features[point], strict=True)))
                )
        found.sort(key=lambda pair: -pair[1])
        near = nearest_across(snapshots, step, point, count)
        assert [index for index, _ in near] == [index for index, _ in found[:count]]
        assert [cosine for _, cosine in near] == pytest.approx([cosine for _, cosine in found[:count]], abs=1e-5)


def test_the_nearest_one_is_that_of_the_recorded_retrieval() -> None:
    snapshots = drawn(0, 40, 40)
    features, labels = torch.tensor(snapshots.features[1]), torch.tensor(snapshots.labels)
    for own, other in ((slice(0, 40), slice(40, 80)), (slice(40, 80), slice(0, 40))):
        points = range(80)[own]
        right = [snapshots.labels[nearest_across(snapshots, 10, p, 1)[0][0]] == snapshots.labels[p] for p in points]
        assert np.mean(right) == retrieval_at_1(features[own], features[other], labels[own], labels[other])


def test_chance_is_how_often_a_random_one_fits() -> None:
    snapshots = drawn(3, 5, 7)
    sounds, pictures = snapshots.labels[:5], snapshots.labels[5:]
    pairs = [a == b for a in sounds for b in pictures]
    assert chance(snapshots) == pytest.approx({"audio": sum(pairs) / 35, "image": sum(pairs) / 35})
    assert chance(drawn(3, 5, 0)) == {}


def test_the_items_are_those_behind_the_points(tmp_path: Path) -> None:
    folder = RunFolder(Path(shutil.copytree(REPOSITORY / "checkpoints" / "example-keypad", tmp_path / "keypad")))
    snapshots = load_snapshots(folder)
    assert snapshots is not None
    items, data = shown_items(folder, snapshots), load_dataset(folder.config())
    half = len(snapshots.names) // 2
    assert list(items.names) == snapshots.names[:half] == snapshots.names[half:]
    assert items.labels.tolist() == snapshots.labels[half:].tolist()
    row = int(snapshots.rows[3])
    assert torch.equal(items.image[3], data.validation.image[row])  # type: ignore[index]
    assert np.isfinite(log_mel(load_model(folder), items, 3)).all()
    names = folder.json("evolution")
    folder.save_json("evolution", names | {"sources": ["other", *names["sources"][1:]]})
    other = load_snapshots(folder)
    assert other is not None
    with pytest.raises(DataError, match="not those of this run's snapshots"):
        shown_items(folder, other)
