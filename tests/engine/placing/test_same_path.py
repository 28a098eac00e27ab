"""Items of people take the path of training items, and land where those do."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from cpc_engine.data import load_dataset
from cpc_engine.data.dataset import Split
from cpc_engine.evaluation.embed import embed
from cpc_engine.media import Sound
from cpc_engine.placing import Placer
from tests.support.placed import evaluated, files, held_out, tone


def assert_no_skew(placer: Placer, split: Split, paths: list[Path]) -> None:
    """Item by item, files go the way that the data set's own items went, and the probe says the same of them."""
    (modality,) = placer.modalities
    own = embed(placer.model, split)[modality]
    name, probe = placer.probes[modality]
    expected = probe.predict(getattr(own, name).numpy())
    for row, placed in enumerate(placer.place_all(paths)):
        assert placed.placement is not None, placed.error
        np.testing.assert_allclose(placed.placement.embedding, own.mean_context[row].numpy(), atol=1e-4)
        assert placed.placement.predicted == placer.classes[expected[row]]
    accuracy = float((expected == split.labels.numpy()).mean())
    if len(split) == len(load_dataset(placer.config).test):
        chosen = placer.folder.json("evaluation")["chosen_feature"][modality]
        assert accuracy == pytest.approx(placer.folder.json("evaluation")["probe"][chosen]["trained"], abs=1e-9)


@pytest.mark.parametrize("kind", ["tones", "bars"])
def test_files_land_where_the_data_sets_own_items_do(kind: str, request: pytest.FixtureRequest, tmp_path: Path) -> None:
    placer = Placer(request.getfixturevalue(kind).folder, ("pca",))
    split = held_out(placer)
    assert_no_skew(placer, split, files(split, tmp_path / kind, placer.sample_rate))


def test_spoken_digits_land_where_their_data_set_put_them(shared: Path, tmp_path: Path) -> None:
    recordings = shared / "data" / "fsdd" / "recordings"
    small = {"data__classes": ["3", "7"], "data__train_items": 100, "data__test_items": 40}
    placer = Placer(evaluated(tmp_path, data__dataset="fsdd", data__path=str(recordings), **small), ("pca",))
    split = held_out(placer)
    assert len(split) == 40
    assert_no_skew(placer, split, [recordings / source for source in split.names])


def test_real_pictures_land_where_their_data_set_put_them(shared: Path, tmp_path: Path) -> None:
    archive = shared / "data" / "cifar10_two_class.npz"
    small = {"data__train_items": 100, "data__test_items": 40}
    placer = Placer(evaluated(tmp_path, data__dataset="cifar10", data__path=str(archive), **small), ("pca",))
    split = held_out(placer)
    assert_no_skew(placer, split, files(split, tmp_path / "pictures", 0))


def test_a_held_out_item_is_its_own_nearest_neighbor(tones: Placer) -> None:
    split = held_out(tones)
    assert split.audio is not None
    row = int(tones.map.rows[3])
    found = tones.place(Sound(split.audio[row].numpy() / np.float32(32768), tones.sample_rate))
    assert found.neighbors[0].row == 3
    assert found.neighbors[0].source == split.names[row]
    assert found.neighbors[0].cosine == pytest.approx(1, abs=1e-5)
    assert found.neighbors[0].label == tones.classes[int(split.labels[row])]
    layout = tones.map.maps["pca"].layout[3]
    np.testing.assert_allclose(found.positions["pca"], layout, atol=1e-4)


def test_a_recording_at_48_khz_lands_where_the_same_sound_at_the_runs_rate_does(tones: Placer) -> None:
    low, high = (tones.place(tone(0.5, 500, rate)) for rate in (8000, 48_000))
    assert float(low.embedding @ high.embedding) / np.linalg.norm(low.embedding) / np.linalg.norm(
        high.embedding
    ) == pytest.approx(1, abs=1e-3)


def test_a_long_clip_is_a_path_and_lies_where_it_is_loudest(tones: Placer) -> None:
    samples = np.concatenate([tone(1.0, 300, level=0.1).samples, tone(1.0, 900, level=0.6).samples])
    found = tones.place(Sound(samples, 8000))
    assert [window.start for window in found.windows] == [0.0, 0.25, 0.5, 0.75, 1.0, 1.25, 1.5]
    assert tones.clip_seconds == 0.5
    alone = tones.place(tone(0.5, 900, level=0.6))
    np.testing.assert_allclose(found.windows[4].positions["pca"], alone.positions["pca"], atol=1e-3)
    assert any("2.0 s long: placed by its loudest 0.5 s; 7 windows of 0.5 s" in note for note in found.notes)


def test_the_last_window_ends_with_the_clip(tones: Placer) -> None:
    starts = [window.start for window in tones.place(tone(0.8)).windows]
    assert starts == pytest.approx([0.0, 0.25, 0.3])
    assert tones.place(tone(0.5)).windows == []
    assert len(tones.place(tone(0.5001, rate=48_000)).windows) in (0, 2)
