"""Front ends: values of the features, augmentation, and shuffled input."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from cpc_engine.config import AudioConfig, ImageConfig
from cpc_engine.model.frontends import AudioFeatures, ImageFeatures, shuffle_frames, shuffle_tiles, waveform


@pytest.mark.parametrize(("rate", "bands"), [(16000, 64), (8000, 64), (8000, 40), (48000, 128)])
def test_no_mel_band_is_empty(rate: int, bands: int) -> None:
    features = AudioFeatures(AudioConfig(sample_rate=rate, mel_bands=bands))
    assert (features.mel.mel_scale.fb.sum(0) > 0).all()


def test_a_tone_has_its_peak_in_the_right_band() -> None:
    features = AudioFeatures(AudioConfig())
    time = torch.arange(16000) / 16000
    for frequency in (220.0, 880.0, 3520.0):
        mel = features.log_mel(torch.sin(2 * torch.pi * frequency * time)[None])
        band = int(mel[0, :, 20:80].mean(1).argmax())
        center = float((features.mel.mel_scale.fb[:, band] * torch.linspace(0, 8000, 513)).sum())
        weight = float(features.mel.mel_scale.fb[:, band].sum())
        assert abs(center / weight - frequency) < max(40, 0.08 * frequency)


def test_calibrated_features_have_mean_0_and_standard_deviation_1() -> None:
    features = AudioFeatures(AudioConfig(sample_rate=4000, clip_seconds=0.5))
    clips = (torch.randn(50, 2000) * torch.rand(50, 1) * 20000).short()
    features.calibrate(clips)
    values = features(clips).transpose(0, 1).flatten(1)
    torch.testing.assert_close(values.mean(1), torch.zeros(64), atol=1e-3, rtol=0)
    assert (values.std(1) <= 1.01).all()


def test_augmentation_depends_on_its_generator_only() -> None:
    features = AudioFeatures(AudioConfig(sample_rate=4000, clip_seconds=0.5, band_drop=1.0))
    clips = (torch.randn(4, 2000) * 5000).short()
    augmented = [features(clips, torch.Generator().manual_seed(seed)) for seed in (1, 1, 2)]
    assert torch.equal(augmented[0], augmented[1])
    assert not torch.equal(augmented[0], augmented[2])
    assert torch.equal(features(clips), features(clips))


def test_a_shift_moves_the_clip_and_pads_with_silence() -> None:
    features = AudioFeatures(AudioConfig(sample_rate=4000, clip_seconds=0.5, shift=0.5, gain_db=0, noise=0))
    waves = torch.zeros(64, 2000)
    waves[:, 1000] = 1.0
    moved = features._augment(waves, torch.Generator().manual_seed(0))
    positions = moved.argmax(1)
    assert len(positions.unique()) > 30
    assert ((moved != 0).sum(1) == 1).all()


def test_each_clip_has_its_own_smooth_filter_within_the_limit() -> None:
    off = {"sample_rate": 4000, "clip_seconds": 0.5, "shift": 0, "gain_db": 0, "noise": 0, "band_drop": 0}
    plain, filtered = AudioFeatures(AudioConfig(**off)), AudioFeatures(AudioConfig(**off, filter_db=10))
    clips = (torch.randn(32, 2000) * 10000).short()
    change = filtered(clips, torch.Generator().manual_seed(0)) - plain(clips)
    decibels = 10 / torch.log(torch.tensor(10.0)) * change
    assert decibels.std(2).max() < 0.5  # constant over time, except for a small effect of `FLOOR`
    level = decibels.mean(2)
    assert 8 < level.abs().max() < 10.1
    assert len(level.mean(1).unique()) == 32
    assert level.diff(dim=1).abs().max() < 20 * 5 / 63 + 0.1  # interpolated from 6 points to 64 bands
    silence = torch.zeros(4, 2000, dtype=torch.int16)
    assert torch.equal(filtered(silence, torch.Generator().manual_seed(0)), plain(silence))
    assert torch.equal(filtered(clips), plain(clips))


@pytest.mark.parametrize("share", [0.25, 1.0])
def test_noise_is_added_to_a_share_of_the_clips_with_levels_up_to_the_setting(share: float) -> None:
    config = AudioConfig(sample_rate=4000, clip_seconds=0.5, shift=0, gain_db=0, noise=0.1, noise_share=share)
    noisy = AudioFeatures(config)._augment(torch.zeros(2000, 2000), torch.Generator().manual_seed(0)).std(1)
    assert float((noisy > 0).float().mean()) == pytest.approx(share, abs=0.03)
    levels = noisy[noisy > 0]
    assert levels.max() < 0.11
    assert float(levels.mean()) == pytest.approx(0.05, abs=0.004)


def test_images_are_resized_as_by_interpolate() -> None:
    pixels = torch.randint(0, 255, (2, 3, 32, 32), dtype=torch.uint8)
    features = ImageFeatures(ImageConfig(size=64))(pixels)
    expected = torch.nn.functional.interpolate(pixels.float() / 255, (64, 64), mode="bilinear")
    torch.testing.assert_close(features * 0.25 + 0.5, expected)


@pytest.mark.parametrize(("side", "size"), [(64, 64), (96, 32), (50, 32), (32, 48)])
def test_random_crops_without_crop_or_flip_change_nothing(side: int, size: int) -> None:
    """Training resizes as evaluation does, also where pictures shrink."""
    pixels = torch.randint(0, 255, (2, 3, side, side), dtype=torch.uint8)
    features = ImageFeatures(ImageConfig(size=size, crop=0, flip=False, jitter=0, color_drop=0))
    torch.testing.assert_close(features(pixels, torch.Generator()), features(pixels), atol=1e-4, rtol=0)


def test_half_of_the_images_are_flipped() -> None:
    pixels = torch.randint(0, 255, (1, 3, 32, 32), dtype=torch.uint8).expand(200, 3, 32, 32)
    features = ImageFeatures(ImageConfig(size=32, grid=4, crop=0, flip=True, jitter=0, color_drop=0))
    augmented = features(pixels, torch.Generator().manual_seed(0))
    plain = features(pixels[:1])
    flipped = (augmented - plain.flip(3)).abs().amax((1, 2, 3)) < 1e-3
    same = (augmented - plain).abs().amax((1, 2, 3)) < 1e-3
    assert (flipped | same).all()
    assert 70 < flipped.sum() < 130


def test_color_is_removed_per_patch() -> None:
    pixels = torch.randint(0, 128, (8, 3, 32, 32), dtype=torch.uint8)
    pixels[:, 0] += 128  # no pixel is gray by chance
    features = ImageFeatures(ImageConfig(size=32, grid=4, crop=0, flip=False, jitter=0, color_drop=0.5))
    augmented = features(pixels, torch.Generator().manual_seed(0))
    gray = (augmented.amax(1) - augmented.amin(1) < 1e-5).view(8, 4, 8, 4, 8)
    per_patch = gray.permute(0, 1, 3, 2, 4).flatten(3)
    assert (per_patch.all(3) | ~per_patch.any(3)).all()
    assert 0.3 < per_patch.all(3).float().mean() < 0.7


def test_shuffled_input_has_the_same_parts_in_another_order() -> None:
    generator = torch.Generator().manual_seed(0)
    frames = torch.randn(3, 8, 20)
    shuffled = shuffle_frames(frames, generator)
    assert not torch.equal(shuffled, frames)
    for a, b in zip(frames, shuffled, strict=True):
        assert {tuple(column) for column in a.T.tolist()} == {tuple(column) for column in b.T.tolist()}
    images = torch.randn(2, 3, 16, 16)
    shuffled_images = shuffle_tiles(images, 8, generator)
    assert np.allclose(np.sort(shuffled_images.flatten(1)), np.sort(images.flatten(1)))
    tiles = [images[0, :, r : r + 8, c : c + 8] for r in (0, 8) for c in (0, 8)]
    assert any(torch.equal(shuffled_images[0, :, :8, :8], tile) for tile in tiles)


@pytest.mark.parametrize("side", range(8, 50))
def test_tiles_of_any_side_are_shuffled_and_the_edge_beyond_them_stays(side: int) -> None:
    images = torch.randn(2, 3, side, side)
    shuffled = shuffle_tiles(images, 8, torch.Generator().manual_seed(1))
    whole = side // 8 * 8
    for before, after in zip(images, shuffled, strict=True):
        assert torch.equal(after[:, whole:], before[:, whole:])
        assert torch.equal(after[:, :, whole:], before[:, :, whole:])
        corners = [(r, c) for r in range(0, whole, 8) for c in range(0, whole, 8)]
        tiles = [before[:, r : r + 8, c : c + 8] for r, c in corners]
        found = [
            next(i for i, tile in enumerate(tiles) if torch.equal(tile, after[:, r : r + 8, c : c + 8]))
            for r, c in corners
        ]
        assert sorted(found) == list(range(len(tiles)))


@pytest.mark.parametrize(("native", "size"), [(32, 32), (24, 32), (64, 32), (96, 32), (80, 32)])
def test_training_sees_the_pixels_that_evaluation_sees(native: int, size: int) -> None:
    front = ImageFeatures(ImageConfig(size=size, crop=0.0, flip=False, jitter=0.0, color_drop=0.0))
    draw = torch.Generator().manual_seed(0)
    noise = torch.randint(0, 256, (4, 3, native, native), generator=draw, dtype=torch.uint8)
    stripes = (255 * (torch.arange(native) % 2)).byte().expand(4, 3, native, native)
    for images in (noise, stripes):
        trained, evaluated = front(images, generator=draw), front(images)
        assert torch.allclose(trained, evaluated, atol=1e-4)


def test_cached_spectra_are_those_of_the_sound_where_nothing_is_augmented() -> None:
    plain = {"shift": 0.0, "gain_db": 0.0, "noise": 0.0, "band_drop": 0.0}
    config = AudioConfig(sample_rate=8000, clip_seconds=0.5, cached=True, **plain)  # type: ignore[arg-type]
    features = AudioFeatures(config)
    clips = torch.randint(-3000, 3000, (4, features.length), dtype=torch.int16)
    features.calibrate(clips)
    found = features.augmented(features.power(waveform(clips)), torch.Generator().manual_seed(0))
    torch.testing.assert_close(found, features(clips))


def test_noise_in_spectra_has_the_power_of_noise_in_sound() -> None:
    config = AudioConfig(sample_rate=8000, clip_seconds=1.0)
    features = AudioFeatures(config)
    noise = 0.1 * torch.randn(200, features.length, generator=torch.Generator().manual_seed(0))
    inner = features.power(noise)[:, :, 3:-3].mean((0, 2))
    torch.testing.assert_close(0.01 * features._white()[:, 0], inner, rtol=0.05, atol=0)
