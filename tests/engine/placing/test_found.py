"""What is found of an item: neighbors, probabilities, places on maps."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from cpc_engine.media import Sound
from cpc_engine.placing import Placer
from tests.support.data_files import write_image, write_tone
from tests.support.placed import evaluated, noise_picture, tone, trained


def test_neighbors_and_overlap_against_a_slow_count(pairs: Placer) -> None:
    found = pairs.place(tone(0.5))
    features = pairs.map.features.astype(float)
    cosines = features @ found.embedding / np.linalg.norm(features, axis=1) / np.linalg.norm(found.embedding)
    order = np.argsort(-cosines, kind="stable")
    for modality, near in (("audio", found.neighbors), ("image", found.cross_modal)):
        rows = [row for row in order.tolist() if pairs.map.modalities[row] == modality][:5]
        assert [n.row for n in near] == rows
        assert [n.modality for n in near] == [modality] * 5
        np.testing.assert_allclose([n.cosine for n in near], cosines[rows], atol=1e-5)
    for method, share in found.overlap.items():
        away = np.linalg.norm(pairs.map.maps[method].layout - np.array(found.positions[method]), axis=1)
        assert share == pytest.approx(len(set(order[:15]) & set(np.argsort(away)[:15])) / 15, abs=1e-9)


def test_a_picture_finds_sounds(pairs: Placer, tones: Placer) -> None:
    assert {near.modality for near in pairs.place(noise_picture()).cross_modal} == {"audio"}
    assert tones.place(tone(0.5)).cross_modal == []


def test_a_file_that_stands_in_several_pairs_is_one_neighbor(tmp_path: Path) -> None:
    for number, title in enumerate(("low + deep", "high")):
        for take in range(10):
            write_tone(tmp_path / "sounds" / title / f"{take}.wav", 300 + 500 * number + 7 * take, seconds=0.5)
        for shade in range(30):
            write_image(tmp_path / "pictures" / title / f"{shade}.png", 80 * number + 2 * shade)
    where = {"data__path": str(tmp_path / "sounds"), "data__image_path": str(tmp_path / "pictures")}
    every = {"data__train_items": 0, "data__test_items": 0, "optimizer__batch_size": 8}
    placer = Placer(trained(tmp_path / "runs", data__dataset="paired_folders", **where, **every), ("pca",))
    found = placer.place(tone(0.5, 320))
    for near, suffix in ((found.neighbors, ".wav"), (found.cross_modal, ".png")):
        assert all(
            one.source.endswith(suffix) and ("low + deep/" in one.source or "high/" in one.source) for one in near
        )
        assert not any(kind in one.source for one in near for kind in {".wav", ".png"} - {suffix})
        assert len({one.source for one in near}) == len(near)
    sounds = {name.split(".wav")[0] for name in placer.map.names}
    assert len(placer.map.names) > 2 * len(sounds), "some stand in several pairs"
    assert len(found.neighbors) == min(5, len(sounds))


def test_a_notebook_shows_one_line(tones: Placer) -> None:
    found = tones.place(tone(0.5))
    text = repr(found)
    assert len(text) < 250
    assert f"class {found.predicted!r}" in text
    assert repr(found.verdict) in text


def test_probabilities_are_the_probes(tones: Placer) -> None:
    found = tones.place(tone(0.5))
    assert found.probabilities is not None
    assert list(found.probabilities) == tones.classes
    assert sum(found.probabilities.values()) == pytest.approx(1)
    assert found.predicted == max(found.probabilities, key=lambda label: found.probabilities[label])


def test_before_evaluation_there_are_neighbors_only(tmp_path: Path) -> None:
    folder = trained(tmp_path)
    placer = Placer(folder, ("pca",))
    assert not placer.evaluated
    found = placer.place(tone(2.0))
    assert (found.probabilities, found.predicted, found.stability.agreement) == (None, None, None)
    assert len(found.neighbors) == 5
    assert found.windows[0].predicted is None


@pytest.mark.slow
def test_every_map_places_an_item_alone_as_in_a_batch(root: Path) -> None:
    """umap-learn's own transform does not: the windows of a long clip are a batch, each of them alone is none."""
    placer = Placer(evaluated(root), ("pca", "tsne", "umap"))
    sweep = np.sin(2 * np.pi * np.cumsum(np.linspace(200, 1500, 14_000)) / 8000).astype(np.float32)
    long = placer.place(Sound(sweep, 8000))
    assert len(long.windows) == 6
    for window in long.windows:
        first = round(window.start * 8000)
        alone = placer.place(Sound(sweep[first : first + 4000], 8000))
        for method in ("pca", "tsne", "umap"):
            np.testing.assert_allclose(alone.positions[method], window.positions[method], atol=2e-3)
        assert (alone.predicted, alone.typicality) == (window.predicted, pytest.approx(window.typicality))
