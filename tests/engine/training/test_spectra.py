"""Spectra that are computed once: the windows that training cuts out of them."""

from __future__ import annotations

import pytest
import torch

from cpc_engine.config import AudioConfig
from cpc_engine.data.dataset import Split
from cpc_engine.data.windows import random_windows
from cpc_engine.errors import ConfigError
from cpc_engine.model.frontends import AudioFeatures, waveform
from cpc_engine.training.spectra import Spectra


def recordings(count: int, length: int) -> Split:
    audio = torch.randint(-3000, 3000, (count, length), dtype=torch.int16)
    names = tuple(map(str, range(count)))
    lengths = torch.full((count,), length)
    return Split(audio, None, torch.zeros(count, dtype=torch.int64), names, names, lengths)


@pytest.mark.parametrize("encoder", ["patches", "convnet", "residual"])
def test_windows_are_those_of_the_sound(encoder: str) -> None:
    config = AudioConfig(sample_rate=8000, clip_seconds=0.5, cached=True, encoder=encoder)  # type: ignore[arg-type]
    features = AudioFeatures(config)
    split = recordings(5, 16000)
    rows = torch.tensor([4, 0, 3])
    clips, places = random_windows(split.take(rows), config, torch.Generator().manual_seed(1))
    assert clips.audio is not None
    found = Spectra(split, features).windows(rows, places)
    expected = features.power(waveform(clips.audio))
    assert found.shape == expected.shape
    # The spectra at both ends of a clip see beyond it in a recording.
    torch.testing.assert_close(found[:, :, 4:-4], expected[:, :, 4:-4])


def test_too_many_are_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("cpc_engine.training.spectra.MOST_BYTES", 1000)
    with pytest.raises(ConfigError, match=r"audio\.cached"):
        Spectra(recordings(5, 16000), AudioFeatures(AudioConfig(sample_rate=8000)))
