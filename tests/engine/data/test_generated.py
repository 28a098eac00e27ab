"""Data sets that are made: format, seed, classes, pairs."""

from __future__ import annotations

import time
from collections import Counter

import numpy as np
import pytest
import torch

from cpc_engine import media
from cpc_engine.config import RunConfig
from cpc_engine.data import load_dataset, preview_png, preview_wav
from cpc_engine.data.signals import KEYS, SHAPES, key_pair, synthesize
from cpc_engine.errors import ConfigError, CpcError, DataError
from tests.support.data_files import check_format, disjoint, load, same

GENERATED = ["tones", "chirps", "bars", "tones_bars", "keypad"]


# Built-in data sets


@pytest.mark.parametrize("name", GENERATED)
def test_generated_data_have_the_documented_format(name: str) -> None:
    data = load(name, train_items=200, test_items=60)
    check_format(data)
    assert len(data.train) + len(data.validation) == 200
    assert len(data.test) == 60
    counts = Counter(data.test.labels.tolist()).values()
    assert max(counts) - min(counts) <= 1


@pytest.mark.parametrize("name", GENERATED)
def test_generated_data_depend_on_the_seed_only(name: str) -> None:
    first, again, other = (load(name, train_items=120, test_items=40, seed=seed) for seed in (3, 3, 4))
    for (_, a), (_, b), (_, c) in zip(first.splits(), again.splits(), other.splits(), strict=True):
        assert same(a, b)
        assert not same(a, c)


@pytest.mark.timed
def test_generated_data_are_fast_to_make() -> None:
    load("tones", train_items=64, test_items=64)
    start = time.perf_counter()
    load("tones")
    assert time.perf_counter() - start < 5  # takes about 0.5 s on an idle machine


def test_classes_can_be_chosen() -> None:
    data = load("tones", train_items=64, test_items=16, classes=["880 Hz", "220 Hz"])
    assert data.classes == ("880 Hz", "220 Hz")
    assert data.train.audio is not None
    for row in range(8):
        spectrum = np.abs(np.fft.rfft(data.train.audio[row].double().numpy()))
        expected = (880, 220)[int(data.train.labels[row])]
        assert abs(int(spectrum.argmax()) - expected) <= 0.03 * expected
    with pytest.raises(ConfigError, match=r"unknown class '440 hz' \(did you mean '440 Hz'\?\)"):
        load("tones", classes=["440 hz"])
    with pytest.raises(ConfigError, match="twice"):
        load("tones", classes=["440 Hz", "440 Hz"])
    with pytest.raises(DataError, match="at least two classes"):
        load("tones", classes=["440 Hz"])


def test_pairs_share_only_their_class() -> None:
    data = load("tones_bars", train_items=200, test_items=40)
    assert data.modalities == ("audio", "image")
    assert data.train.image is not None
    wide = data.train.image[data.train.labels == 2].float().mean(1)  # vertical bars change along a row
    assert (wide.diff(dim=2).abs().mean() > 1.2 * wide.diff(dim=1).abs().mean()).item()


def test_keypad_tones_are_those_of_the_key() -> None:
    data = load("keypad", train_items=100, test_items=60)
    assert data.test.audio is not None
    for clip, label in zip(data.test.audio, data.test.labels.tolist(), strict=True):
        spectrum = np.abs(np.fft.rfft(clip.double().numpy()))
        low, high = key_pair(KEYS[label])
        assert abs(600 + int(spectrum[600:1050].argmax()) - low) <= 3
        assert abs(1100 + int(spectrum[1100:1600].argmax()) - high) <= 3


def test_keypad_images_are_in_one_split_only() -> None:
    data = load("keypad", train_items=3000, test_items=1500)
    groups = [set(split.groups) for _, split in data.splits()]
    assert disjoint(groups)
    assert len(groups[0]) < len(data.train)  # within a split, images are repeated


def test_too_few_or_too_many_generated_items() -> None:
    for count in (0, 4, 8):
        with pytest.raises(DataError, match="too few items"):
            load("tones", train_items=count)


@pytest.mark.parametrize("name", ["tones", "chirps", "keypad", "tones_bars"])
def test_frequencies_need_a_high_enough_sample_rate(name: str) -> None:
    config = RunConfig().replace({"data.dataset": name, "audio.sample_rate": 2000})
    with pytest.raises(ConfigError, match=r"needs audio\.sample_rate"):
        load_dataset(config)


@pytest.mark.parametrize("shape", SHAPES)
def test_chirps_change_their_frequency(shape: str) -> None:
    clip = synthesize("chirp", shape=shape, frequency=300, wobble=1.0)
    peaks = [int(np.abs(np.fft.rfft(part)).argmax()) for part in np.split(clip, 10)]
    assert clip.shape == (16000,)
    assert np.ptp(peaks) > 20
    if shape in ("up", "down"):
        assert peaks == sorted(peaks, reverse=shape == "down")


def test_synthesize_rejects_unknown_values() -> None:
    assert np.abs(synthesize("dtmf", key="0", noise=1.0)).max() <= 1
    for arguments in ({"kind": "bell"}, {"kind": "chirp", "shape": "flat"}, {"kind": "dtmf", "key": "A"}):
        with pytest.raises(ConfigError, match="unknown"):
            synthesize(**arguments)
    with pytest.raises(ConfigError, match="needs audio"):
        synthesize("tone", frequency=9000)


# Previews


def test_previews_contain_the_item() -> None:
    data = load("tones_bars", train_items=64, test_items=16)
    assert data.train.audio is not None
    assert data.train.image is not None
    sound = media.decode_audio(preview_wav(data.train, 3, data.sample_rate), "x.wav")
    assert sound.rate == 16000
    assert torch.equal(media.fit_clips([(sound.samples, 16000)], 16000, 16000)[0], data.train.audio[3])
    picture = media.decode_image(preview_png(data.train, 3), "x.png")
    assert torch.equal(media.fit_picture(picture.pixels, data.image_side), data.train.image[3])


def test_previews_need_their_modality() -> None:
    tones, bars = (load(name, train_items=64, test_items=16) for name in ("tones", "bars"))
    with pytest.raises(CpcError, match="no pictures"):
        preview_png(tones.train, 0)
    with pytest.raises(CpcError, match="no sound"):
        preview_wav(bars.train, 0, 16000)
