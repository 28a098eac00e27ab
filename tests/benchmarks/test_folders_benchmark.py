"""The benchmark of folders: from made-up recordings to a table, with little training."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import soundfile

from benchmarks import folders, surroundings
from cpc_engine.errors import RunError
from cpc_engine.experiments.definitions import QUICK


@pytest.fixture(scope="module")
def recordings(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Six short clips of each of two digits by two people, as the real ones are named."""
    folder = tmp_path_factory.mktemp("recordings")
    draw = np.random.default_rng(0)
    for digit in range(2):
        for speaker in ("ada", "bob"):
            for take in range(6):
                samples = 0.1 * draw.normal(size=4000)
                soundfile.write(folder / f"{digit}_{speaker}_{take}.wav", samples, 8000)
    return folder


def test_clips_are_drawn_over_everything_but_the_label(recordings: Path, tmp_path: Path) -> None:
    folders.sounds(tmp_path, recordings)
    assert {path.name: len(list(path.iterdir())) for path in tmp_path.iterdir()} == {"ada": 12, "bob": 12}
    assert {path.name[0] for path in (tmp_path / "ada").iterdir()} == {"0", "1"}
    with pytest.raises(RunError, match="no recordings"):
        folders.sounds(tmp_path / "none", tmp_path / "nowhere")


def test_surroundings_follow_their_seed_and_no_two_are_alike(tmp_path: Path) -> None:
    for name, seed in (("a", 1), ("b", 1), ("c", 2)):
        surroundings.write(tmp_path / name, 2, seed)
    read = {path: soundfile.read(path)[0] for path in tmp_path.rglob("*.wav")}
    assert len(read) == 3 * 2 * len(surroundings.KINDS)
    for path, samples in read.items():
        assert len(samples) == surroundings.SECONDS * surroundings.RATE
        assert 0.09 < np.abs(samples).max() <= 1
        if "a" in path.parts:
            kind, file = path.parts[-2:]
            assert np.array_equal(samples, read[tmp_path / "b" / kind / file])
            assert not np.array_equal(samples, read[tmp_path / "c" / kind / file])
    assert len({samples.tobytes() for samples in read.values()}) == len(read) * 2 // 3


@pytest.mark.slow
def test_voices_are_trained_and_told_beside_their_baselines(recordings: Path, tmp_path: Path) -> None:
    small = {name: value for name, value in QUICK.items() if not name.startswith("data.")}
    found = folders.measure("sounds", tmp_path, recordings, 1, {**small, "optimizer.batch_size": 4})
    (arm,) = found["summary"].values()
    assert 0 <= arm["chosen"]["mean"] <= 1
    best = max(arm[name]["mean"] for name in arm if name.startswith("baseline."))
    assert arm["baseline"]["mean"] >= best - 1e-5  # stored with six digits
    words = folders.text({"tasks": {"sounds": found}})
    assert "audio_folder" in words
    assert "log-mel" in words
    assert not words.endswith("\narm\naudio_folder")  # no table of pairs
