"""Presets: they fit, the built-in ones start from nothing, and the seed's follow the seed."""

from __future__ import annotations

import socket
from pathlib import Path

import pytest

from cpc_engine.config import RunConfig
from cpc_engine.errors import ConfigError
from cpc_engine.presets import PRESETS, preset
from cpc_engine.runs.execute import execute
from cpc_engine.runs.folder import RunFolder
from cpc_engine.training.control import Control
from tests.tiny import CHANGES

NAMED = ("tones", "chirps", "cifar10", "tones_bars", "keypad", "fsdd", "seed_tones", "seed_cifar10", "seed_tones_bars")
SEEDS = [name for name in PRESETS if name.startswith("seed_")]
# Smaller, without touching what makes a preset what it is.
SMALL = {
    name: CHANGES[name] for name in CHANGES if not name.startswith(("data.dataset", "image.", "audio.sample_rate"))
}
SMALL |= {"optimiser.steps": 1, "image.width": 8}


def test_every_preset_fits_and_says_what_it_teaches() -> None:
    assert len(PRESETS) == 12
    assert set(NAMED) <= set(PRESETS)
    for name, entry in PRESETS.items():
        config = entry.config()
        assert RunConfig.from_json(config.to_json()) == config, name
        assert entry.title
        assert entry.teaches.endswith(".")
        wanted = {path: list(v) if isinstance(v, tuple) else v for path, v in entry.changes.items()}
        told = config.to_dict()
        assert all(told[path.split(".")[0]][path.split(".")[1]] == value for path, value in wanted.items()), name


def test_an_unknown_preset_comes_with_the_nearest() -> None:
    with pytest.raises(ConfigError, match=r"unknown preset 'tonse' \(did you mean 'tones'\?\)"):
        preset("tonse")


@pytest.mark.parametrize("name", [name for name, entry in PRESETS.items() if not entry.needs_data])
def test_built_in_presets_start_without_a_network(name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*where: object) -> None:
        raise AssertionError(f"asked the network for {where}")

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


@pytest.mark.parametrize("name", SEEDS)
def test_seed_presets_are_algorithm_2_to_the_letter(name: str) -> None:
    config = preset(name).config()
    sampler = config.sampler
    assert config.context.horizons == (1,)
    assert not config.context.predictors_per_modality
    assert (sampler.mode, sampler.same_item) == ("seed", True)  # nothing masked
    assert (sampler.queue_size, sampler.queue_per_item, sampler.queue_delay, sampler.queue_max_age) == (4096, 0, 0, 0)
    assert sampler.key_momentum == 0
    assert (sampler.perturbed, sampler.shuffled) == (True, "batch")
    assert not sampler.detach_synthetic
    assert not sampler.detach_cross_modal
    assert sampler.cross_modal is (name == "seed_tones_bars")
    assert config.loss.pair_weight == 0
    assert not config.loss.learnable_temperature
    augmentation = (config.audio.shift, config.audio.gain_db, config.audio.noise, config.audio.band_drop)
    augmentation += (config.image.flip, config.image.crop, config.image.jitter, config.image.color_drop)
    assert not any(augmentation)


def test_only_the_seeds_presets_mask_nothing() -> None:
    for name in set(PRESETS) - set(SEEDS):
        assert preset(name).config().sampler.mode == "exclude_positives"
