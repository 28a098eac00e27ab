"""Sounds and pictures brought to the length, rate, and size of a run."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from cpc_engine import media
from tests.support.media_files import wav


def fit_clip(samples: np.ndarray, rate: int, target_rate: int, length: int) -> np.ndarray:
    return media.fit_clips([(samples, rate)], target_rate, length)[0].numpy()


@settings(max_examples=60)
@given(st.integers(1, 60_000), st.integers(1_000, 384_000), st.integers(2_000, 48_000), st.integers(1, 20_000))
def test_fit_clip_any_length_and_rate(count: int, rate: int, target: int, length: int) -> None:
    fitted = fit_clip(np.full(count, 0.5, np.float32), rate, target, length)
    assert fitted.shape == (length,)
    assert fitted.dtype == np.int16


def test_fit_clip_keeps_sixteen_bits_exactly() -> None:
    levels = np.random.default_rng(0).integers(-32768, 32767, 8000, dtype=np.int16)
    sound = media.decode_audio(wav(levels, 8000), "x.wav")
    np.testing.assert_array_equal(fit_clip(sound.samples, 8000, 8000, 8000), levels)


@pytest.mark.parametrize("rate", [8000, 11025, 44100, 44101, 96000])
def test_fit_clip_keeps_pitch(rate: int) -> None:
    sine = np.sin(2 * np.pi * 300 * np.arange(rate) / rate).astype(np.float32)
    spectrum = np.abs(np.fft.rfft(fit_clip(sine, rate, 16000, 16000).astype(float)))
    assert abs(int(spectrum.argmax()) - 300) <= 1


def test_short_clip_is_centered_and_long_clip_is_cut_to_its_loudest_part() -> None:
    short = fit_clip(np.full(100, 0.5, np.float32), 8000, 8000, 300)
    assert np.flatnonzero(short).tolist() == list(range(100, 200))
    long = np.zeros(8000, np.float32)
    long[5000:5200] = 0.5
    assert np.count_nonzero(fit_clip(long, 8000, 8000, 400)) == 200


def test_fit_clips_agrees_with_fit_clip() -> None:
    rng = np.random.default_rng(0)
    clips = [(rng.uniform(-1, 1, n).astype(np.float32), r) for n, r in ((900, 8000), (50, 44100), (9000, 8000))]
    batch = media.fit_clips(clips, 16000, 4000)
    assert batch.shape == (3, 4000)
    for row, (samples, rate) in enumerate(clips):
        single = torch.from_numpy(fit_clip(samples, rate, 16000, 4000))
        # a batched convolution may round the last bit differently
        assert (batch[row].int() - single.int()).abs().max() <= 1


@pytest.mark.parametrize("shape", [(1, 1), (1, 500), (37, 20), (300, 200)])
def test_fit_picture_any_shape(shape: tuple[int, int]) -> None:
    fitted = media.fit_picture(np.full((*shape, 3), 77, np.uint8), 32)
    assert fitted.shape == (3, 32, 32)
    assert fitted.dtype == torch.uint8
    assert fitted.unique().tolist() == [77]


def test_fit_picture_takes_the_center_and_antialiases() -> None:
    pixels = np.zeros((64, 128, 3), np.uint8)
    pixels[:, 32:96] = 255 * (np.indices((64, 64)).sum(0) % 2)[..., None]  # checkerboard of single pixels
    fitted = media.fit_picture(pixels, 16).float()
    assert fitted.mean() == pytest.approx(127.5, abs=2)
    assert fitted.std() < 12


@pytest.mark.parametrize(("rate", "target"), [(48000, 8000), (44100, 16000), (44100, 8000), (22050, 16000)])
def test_resampling_keeps_what_is_audible_and_lets_no_alias_through(rate: int, target: int) -> None:
    def level(hertz: float) -> float:
        sine = np.sin(2 * np.pi * hertz * np.arange(rate) / rate).astype(np.float32) * 0.5
        clip = fit_clip(sine, rate, target, target)[target // 10 : -target // 10] / 32768
        return float(20 * np.log10(clip.std() / sine.std() + 1e-9))

    for share in (0.05, 0.3, 0.6, 0.85):
        assert abs(level(share * target / 2)) < 0.1
    for share in (1.01, 1.025, 1.05, 1.125, 1.3):  # 1.025 to 1.125: 4.1 to 4.5 kHz at 8 kHz
        if share * target < rate:
            assert level(share * target / 2) < -50
