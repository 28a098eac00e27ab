"""Settings that follow from the data, from files that are written here."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import soundfile
from PIL import Image

from cpc_engine.api.foreground import execute_here
from cpc_engine.config import RunConfig
from cpc_engine.data import follow_data, load_dataset
from cpc_engine.errors import DataError
from cpc_engine.storage.folder import RunFolder
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
