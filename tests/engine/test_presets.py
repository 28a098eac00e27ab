"""Tests of presets: they are valid, those with generated data start offline, and `reference_*` follow the recipe."""

from __future__ import annotations

import socket
from pathlib import Path

import pytest

from cpc_engine.config import RunConfig
from cpc_engine.errors import ConfigError
from cpc_engine.execution.execute import execute
from cpc_engine.presets import PRESETS, preset
from cpc_engine.storage.folder import RunFolder
from cpc_engine.training.control import Control
from tests.support.tiny import CHANGES

REFERENCE = [name for name in PRESETS if name.startswith("reference_")]
NAMED = ("tones", "chirps", "cifar10", "cifar10_patches", "tones_bars", "keypad", "fsdd", *REFERENCE)
# Smaller networks and data, without changing the characteristic settings of a preset.
SMALL = {
    name: CHANGES[name] for name in CHANGES if not name.startswith(("data.dataset", "image.", "audio.sample_rate"))
}
SMALL |= {"optimizer.steps": 1, "image.width": 8}


def test_every_preset_is_valid_and_described() -> None:
    assert len(PRESETS) == 13
    assert set(NAMED) <= set(PRESETS)
    for name, entry in PRESETS.items():
        config = entry.config()
        assert RunConfig.from_json(config.to_json()) == config, name
        assert entry.title
        assert entry.teaches.endswith(".")
        expected = {path: list(v) if isinstance(v, tuple) else v for path, v in entry.changes.items()}
        stored = config.to_dict()
        assert all(stored[path.split(".")[0]][path.split(".")[1]] == value for path, value in expected.items()), name


def test_a_preset_needs_data_where_its_data_set_is_not_generated() -> None:
    named = [name for name, entry in PRESETS.items() if entry.needs_data]
    assert named == [
        "cifar10",
        "cifar10_patches",
        "fsdd",
        "image_folder",
        "audio_folder",
        "paired_folders",
        "reference_cifar10",
    ]


def test_an_unknown_preset_suggests_the_nearest() -> None:
    with pytest.raises(ConfigError, match=r"unknown preset 'tonse' \(did you mean 'tones'\?\)"):
        preset("tonse")


@pytest.mark.parametrize("name", [name for name, entry in PRESETS.items() if not entry.needs_data])
def test_presets_with_generated_data_train_offline(name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*address: object) -> None:
        raise AssertionError(f"opened a connection to {address}")

    monkeypatch.setattr(socket.socket, "connect", refuse)
    monkeypatch.setattr(socket, "getaddrinfo", refuse)
    folder = RunFolder.create(tmp_path, preset(name).config().replace(SMALL))
    end = execute(folder, Control())
    assert (end.status, end.message) == ("finished", "")
    assert len(folder.records()) == 1


@pytest.mark.parametrize("name", [name for name, entry in PRESETS.items() if entry.needs_data])
def test_presets_that_need_data_say_so(name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HOME", str(tmp_path))  # no cached download
    end = execute(RunFolder.create(tmp_path, preset(name).config().replace(SMALL)), Control())
    assert end.status == "failed"
    assert not end.unexpected
    assert "--data" in end.message or "data.path" in end.message


@pytest.mark.parametrize("name", REFERENCE)
def test_reference_presets_follow_algorithm_2_exactly(name: str) -> None:
    config = preset(name).config()
    sampler = config.sampler
    assert config.context.horizons == (1,)
    assert not config.context.predictors_per_modality
    assert (sampler.mode, sampler.same_item) == ("reference", True)  # nothing masked
    assert (sampler.queue_size, sampler.queue_per_item, sampler.queue_delay, sampler.queue_max_age) == (4096, 0, 0, 0)
    assert sampler.key_momentum == 0
    assert (sampler.perturbed, sampler.shuffled) == (True, "batch")
    assert not sampler.detach_synthetic
    assert not sampler.detach_cross_modal
    assert sampler.cross_modal is (name == "reference_tones_bars")
    assert config.loss.pair_weight == 0
    assert not config.loss.learnable_temperature
    augmentation = (config.audio.shift, config.audio.gain_db, config.audio.noise, config.audio.band_drop)
    augmentation += (config.image.flip, config.image.crop, config.image.jitter, config.image.color_drop)
    assert not any(augmentation)


def test_only_reference_presets_mask_nothing() -> None:
    for name in set(PRESETS) - set(REFERENCE):
        assert preset(name).config().sampler.mode == "exclude_positives"
