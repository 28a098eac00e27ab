"""What the network gets of an item, against its own inputs."""

from __future__ import annotations

import shutil
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch

import cpc_engine as cpc
from cpc_engine.data import item_media
from cpc_engine.errors import DataError
from cpc_engine.maps.exploration import Exploration
from cpc_engine.media import Picture, Sound
from cpc_engine.placing import Placer
from cpc_engine.placing.preview import decibels
from cpc_engine.storage.folder import RunFolder

pytest_plugins = ["tests.support.explored"]


@pytest.fixture(scope="module")
def run(keypad: Path) -> cpc.Run:
    return cpc.open(keypad)


@pytest.fixture(scope="module")
def placer(run: cpc.Run) -> Placer:
    return run.placer


@pytest.fixture(scope="module")
def exploration(run: cpc.Run) -> Exploration:
    return run.explore()


def test_a_sound_is_heard_as_the_encoder_gets_it(placer: Placer, exploration: Exploration) -> None:
    row = int(exploration.items.of("audio", "test")[4])
    split, index, _ = exploration.item(row)
    assert split.audio is not None
    sound = exploration.media(row)
    assert isinstance(sound, Sound)
    heard = placer.heard(sound)
    np.testing.assert_array_equal(heard.samples * 32768, split.audio[index].numpy())
    assert heard.rate == placer.sample_rate
    assert heard.seconds == placer.clip_seconds
    features = placer.model.audio_features
    inputs = (torch.from_numpy(heard.log_mel) - features.mean) / features.std
    if features.config.center:
        inputs = inputs - inputs.mean(1, keepdim=True)
    torch.testing.assert_close(inputs, features(split.audio[index : index + 1])[0])
    np.testing.assert_array_equal(heard.log_mel, exploration.log_mel(row))


def test_of_a_longer_sound_the_loudest_window_is_heard(placer: Placer) -> None:
    rate = 2 * placer.sample_rate
    time = np.arange(round(placer.clip_seconds * rate)) / rate
    tone = (0.5 * np.sin(2 * np.pi * 500 * time)).astype(np.float32)
    heard = placer.heard(Sound(np.concatenate([0.01 * tone, tone, 0.01 * tone]), rate))
    assert heard.seconds == placer.clip_seconds
    assert heard.peak_db == pytest.approx(-6.02, abs=0.2)
    assert heard.rms_db == pytest.approx(-9.03, abs=0.2)
    silence = placer.heard(Sound(np.zeros(rate, np.float32), rate))
    assert silence.peak_db == silence.rms_db == -np.inf


@pytest.mark.parametrize("shape", [(64, 64), (30, 90), (9, 8)])
def test_a_picture_is_seen_as_the_encoder_gets_it(placer: Placer, shape: tuple[int, int]) -> None:
    pixels = np.random.default_rng(0).integers(0, 255, (*shape, 3), dtype=np.uint8)
    seen = placer.seen(Picture(pixels)).pixels
    side = placer.config.image.size
    assert (seen.shape, seen.dtype) == ((side, side, 3), np.uint8)
    inputs = placer.model.features["image"](placer._square(Picture(pixels))[None])[0]
    expected = (inputs * 0.25 + 0.5).clamp(0, 1) * 255
    torch.testing.assert_close(torch.from_numpy(seen).permute(2, 0, 1).float(), expected, atol=0.51, rtol=0)


def test_an_items_media_are_those_of_its_file(exploration: Exploration) -> None:
    row = int(exploration.items.of("image", "test")[4])
    split, index, modality = exploration.item(row)
    assert split.image is not None
    picture = item_media(split, index, modality, 8000)
    assert isinstance(picture, Picture)
    np.testing.assert_array_equal(picture.pixels, split.image[index].permute(1, 2, 0).numpy())
    with pytest.raises(DataError, match="no pictures"):
        item_media(replace(split, image=None), index, modality, 8000)


def test_levels_are_in_decibels_of_full_scale() -> None:
    assert decibels(1.0) == 0.0
    assert decibels(0.5) == pytest.approx(-6.02, abs=0.01)
    assert decibels(0.0) == -np.inf


def test_one_network_serves_placing_and_exploring(run: cpc.Run, placer: Placer, keypad: Path) -> None:
    assert run.placer is placer
    assert run.explore(training=True).model is placer.model is run.model
    other = placer.also("umap")
    assert other.model is placer.model
    assert (placer.methods, other.methods) == (("pca", "tsne"), ("pca", "tsne", "umap"))
    sound = Sound(np.random.default_rng(0).normal(0, 0.1, 8000).astype(np.float32), 16_000)
    first, second = placer.place(sound), other.place(sound)
    assert set(second.positions) == {"pca", "tsne", "umap"}
    assert first.positions["pca"] == pytest.approx(second.positions["pca"])
    assert placer.also("pca") is placer
    (alone,) = cpc.place(RunFolder(keypad), [sound])
    assert alone.placement is not None
    assert alone.placement.positions["tsne"] == pytest.approx(first.positions["tsne"], abs=1e-3)


def test_a_run_that_has_changed_is_loaded_anew(keypad: Path, tmp_path: Path) -> None:
    run = cpc.open(Path(shutil.copytree(keypad, tmp_path / keypad.name)))
    before = run.model
    assert run.model is before
    run.folder.save_tensors("weights", run.folder.tensors("weights"))
    assert run.model is not before
