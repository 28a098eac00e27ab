"""Settings that follow from the data, from files that are written here."""

from __future__ import annotations

import errno
import os
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import soundfile
from PIL import Image

from cpc_engine.api.foreground import execute_here
from cpc_engine.api.verbs import configured
from cpc_engine.config import RunConfig
from cpc_engine.data import follow_data, load_dataset
from cpc_engine.data.follow import sound_settings
from cpc_engine.errors import ConfigError, DataError
from cpc_engine.storage.folder import RunFolder
from cpc_engine.training.fabric import Fabric
from cpc_engine.training.trainer import Trainer
from tests.support.tiny import tiny

AUTO = {"audio.sample_rate": 0, "audio.clip_seconds": 0, "image.size": 0}


def sounds(root: Path, rate: int, seconds: list[float]) -> RunConfig:
    rng = np.random.default_rng(0)
    for name in ("a", "b"):
        (root / name).mkdir(parents=True)
        for index, length in enumerate(seconds):
            soundfile.write(root / name / f"{index}.wav", 0.1 * rng.standard_normal(int(rate * length)), rate)
    return RunConfig().replace({**AUTO, "data.dataset": "audio_folder", "data.path": str(root)})


@pytest.mark.parametrize(
    ("rate", "seconds", "expected"),
    [
        (44100, [5.0] * 4, (22050, 2.0)),
        (16000, [4.0] * 4, (16000, 2.0)),
        (48000, [10.0] * 4, (22050, 4.0)),
        (8000, [0.4, 0.4, 0.5, 0.5], (8000, 0.7)),
        (11025, [1.0, 1.5, 1.8, 1.9], (8000, 2.0)),
    ],
)
def test_sounds(tmp_path: Path, rate: int, seconds: list[float], expected: tuple[int, float]) -> None:
    config = follow_data(sounds(tmp_path, rate, seconds))
    assert (config.audio.sample_rate, config.audio.clip_seconds) == expected
    assert follow_data(config) == config


@pytest.mark.parametrize(("sides", "expected"), [([32, 32], 32), ([100, 640], 48), ([20, 24], 32), ([50, 52], 48)])
def test_pictures(tmp_path: Path, sides: list[int], expected: int) -> None:
    for name in ("a", "b"):
        (tmp_path / name).mkdir()
        for side in sides:
            Image.new("RGB", (side + 10, side)).save(tmp_path / name / f"{side}.png")
    config = RunConfig().replace({**AUTO, "data.dataset": "image_folder", "data.path": str(tmp_path)})
    assert follow_data(config).image.size == expected


def test_settings_that_are_given_stay(tmp_path: Path) -> None:
    config = sounds(tmp_path, 44100, [5.0] * 4).replace({"audio.sample_rate": 12000})
    assert follow_data(config).audio.sample_rate == 12000
    assert follow_data(RunConfig()) == RunConfig()


def test_a_missing_folder_is_told(tmp_path: Path) -> None:
    config = RunConfig().replace({**AUTO, "data.dataset": "audio_folder", "data.path": str(tmp_path / "no")})
    with pytest.raises(DataError, match="no such folder"):
        follow_data(config)


def test_files_that_cannot_be_read_are_left_out(tmp_path: Path) -> None:
    config = sounds(tmp_path, 44100, [5.0] * 4)
    (tmp_path / "a" / "broken.wav").write_bytes(b"RIFF, but no sound")
    assert follow_data(config).audio.clip_seconds == 2.0


def test_a_run_stores_what_followed(tmp_path: Path) -> None:
    config = tiny(data__dataset="bars", image__size=0, data__train_items=64)
    folder = RunFolder.create(tmp_path, config)
    assert execute_here(folder, resume=False).status == "finished"
    assert folder.config().image.size == 64
    assert "image.size = 64" in (folder.path / "log.jsonl").read_text()
    assert load_dataset(config).image_side == load_dataset(folder.config()).image_side


@pytest.mark.parametrize("seconds", [0.02, 0.06, 0.15, 0.25])
@pytest.mark.parametrize("encoder", ["patches", "convnet", "residual"])
@pytest.mark.parametrize("hop", [10.0, 16.0])
def test_the_shortest_sounds_can_be_learned_from(tmp_path: Path, seconds: float, encoder: str, hop: float) -> None:
    changes = {"audio.encoder": encoder, "audio.hop_ms": hop, "audio.window_ms": 2 * hop, "audio.width": 8}
    config = follow_data(sounds(tmp_path, 8000, [seconds] * 12).replace(changes))
    Trainer(config, load_dataset(config), Fabric(accelerator="cpu", devices=1)).step()
    if config.audio.clip_seconds > sound_settings([8000], [seconds])["audio.clip_seconds"]:
        shorter = config.replace({"audio.clip_seconds": round(config.audio.clip_seconds - 0.1, 1)})
        assert shorter.audio.sequence_length <= 1, "no longer than needed"


@pytest.mark.parametrize("encoder", ["patches", "convnet", "residual"])
def test_a_clip_that_is_too_short_is_told(tmp_path: Path, encoder: str) -> None:
    changes = {"audio.encoder": encoder, "audio.clip_seconds": 0.1, "audio.sample_rate": 8000, "context.horizons": [4]}
    config = follow_data(sounds(tmp_path, 8000, [0.3] * 12).replace(changes))
    data = load_dataset(config)
    with pytest.raises(ConfigError, match=r"audio gives [0-3] latents: no horizon of \(4,\) fits"):
        Trainer(config, data, Fabric(accelerator="cpu", devices=1))


@pytest.mark.parametrize("place", ["~no_such_person/sounds", "/closed/sounds"])
def test_a_place_that_may_not_be_looked_at_is_told_in_one_line(place: str, monkeypatch: pytest.MonkeyPatch) -> None:
    look = os.stat

    def closed(path: Any, *others: Any, **named: Any) -> os.stat_result:
        if str(path).startswith("/closed"):
            raise PermissionError(errno.EACCES, "Permission denied", str(path))
        return look(path, *others, **named)

    monkeypatch.setattr(os, "stat", closed)
    config = RunConfig().replace({"data.dataset": "audio_folder", "data.path": place, **AUTO})
    assert str(configured(config, {}).data.path).endswith("/sounds"), "before anything is read"
    for read in (follow_data, load_dataset):
        with pytest.raises(DataError) as told:
            read(config)
        assert "\n" not in str(told.value)
