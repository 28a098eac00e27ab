"""Odd files as people have them: read, or refused in one line."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from cpc_engine import media
from cpc_engine.errors import MediaError
from cpc_engine.media import Picture, Sound

ACCEPTED = {
    "aud_u8_stereo_8k.wav": (8000, 800, "mono"),
    "aud_s24_mono_96k.wav": (96000, 51612, ""),
    "aud_s32_mono_44k.wav": (44100, 4410, ""),
    "aud_big_endian_rifx.wav": (44100, 4410, ""),
    "aud_stereo_44k.flac": (44100, 229021, "mono"),
    "aud_stereo.ogg": (44100, 229021, "mono"),
    "aud_4ch_16k.flac": (16000, 160000, "4 channels"),
    "aud_mono_id3.mp3": (44100, 699311, ""),
    "aud_aac.m4a": (44100, 698368, ""),
    "img_exif_orientation_6.jpg": (1200, 1800, "upright"),
    "img_bad_exif.jpg": (500, 500, "EXIF block is broken"),
    "img_cmyk.jpg": (100, 100, ""),
    "img_gray16.png": (128, 128, "16-bit"),
    "img_photo.heif": (128, 128, ""),
    "img_palette_transparency.png": (150, 162, "over white"),
    "img_rgba.png": (150, 162, "over white"),
    "img_animated.gif": (32, 38, "first of its frames"),
    "img_animated.webp": (245, 245, "first of its frames"),
    "img_png_named.jpg": (128, 128, ""),
    "img_text_chunk_bomb.png": (1, 1, ""),  # its text is never expanded
}


REFUSED = {
    "aud_f32_stereo_44k.wav": "too short: 10 ms",
    "aud_truncated.wav": "too short: 5 ms of at least 20 (cut short: it holds 236 of the 4410 frames",
    "aud_header_no_data.wav": "without any data",
    "aud_bad_header_s24_3ch.wav": "inconsistent WAV header",
    "aud_f32_nan_8k.wav": "not finite",
    "aud_lfs_pointer.wav": "Git LFS pointer",
    "aud_zero_bytes.wav": "empty file",
    "img_truncated.jpg": "truncated",
    "img_dimension_bomb.png": "megapixels",
    "img_zero_width.gif": "damaged GIF header",
}


@pytest.fixture(scope="module")
def odd(shared: Path) -> Path:
    return shared / "data" / "odd_inputs"


def open_odd(odd: Path, name: str) -> Sound | Picture:
    return media.decode(media.read_file(odd / name), name)


def sound_of(odd: Path, name: str) -> Sound:
    sound = open_odd(odd, name)
    assert isinstance(sound, Sound)
    return sound


def pixels_of(odd: Path, name: str) -> np.ndarray:
    picture = open_odd(odd, name)
    assert isinstance(picture, Picture)
    return picture.pixels.astype(float)


def test_every_odd_file_has_an_expectation(odd: Path) -> None:
    files = {path.name for path in odd.iterdir()} - {"README.md"}
    assert files == ACCEPTED.keys() | REFUSED.keys()


@pytest.mark.parametrize("name", ACCEPTED)
def test_odd_file_is_accepted(odd: Path, name: str) -> None:
    first, second, note = ACCEPTED[name]
    item = open_odd(odd, name)
    if isinstance(item, Sound):
        assert (item.rate, len(item.samples)) == (first, second)
        assert item.samples.dtype == np.float32
        assert item.samples.ndim == 1
        assert np.isfinite(item.samples).all()
        assert np.abs(item.samples).max() <= 1
    else:
        assert item.pixels.shape == (first, second, 3)
        assert item.pixels.dtype == np.uint8
    assert note in " ".join(item.notes)
    assert bool(note) == bool(item.notes)


@pytest.mark.parametrize("name", REFUSED)
def test_odd_file_is_rejected_with_one_line(odd: Path, name: str) -> None:
    with pytest.raises(MediaError) as caught:
        open_odd(odd, name)
    message = str(caught.value)
    assert message.startswith(f"{name}: ")
    assert REFUSED[name] in message
    assert "\n" not in message
    assert "0x" not in message  # no addresses of Python objects


def test_rifx_equals_the_little_endian_file(odd: Path) -> None:
    sounds = (sound_of(odd, "aud_big_endian_rifx.wav"), sound_of(odd, "aud_s32_mono_44k.wav"))
    np.testing.assert_array_equal(sounds[0].samples, sounds[1].samples)


def test_ogg_is_close_to_flac(odd: Path) -> None:
    ogg, flac = sound_of(odd, "aud_stereo.ogg").samples, sound_of(odd, "aud_stereo_44k.flac").samples
    assert np.corrcoef(ogg, flac)[0, 1] > 0.98


def test_eight_bit_sound_has_mean_zero(odd: Path) -> None:
    assert abs(sound_of(odd, "aud_u8_stereo_8k.wav").samples.mean()) < 0.02


def test_sixteen_bit_gray_is_scaled(odd: Path) -> None:
    assert pixels_of(odd, "img_gray16.png").mean() == pytest.approx(84, abs=1)


def test_palette_is_close_to_rgba(odd: Path) -> None:
    difference = pixels_of(odd, "img_palette_transparency.png") - pixels_of(odd, "img_rgba.png")
    assert np.abs(difference).mean() < 6


def test_exif_rotation_turns_the_pixels(odd: Path) -> None:
    with Image.open(odd / "img_exif_orientation_6.jpg") as image:
        stored = np.asarray(image.convert("RGB"), float)
    np.testing.assert_array_equal(pixels_of(odd, "img_exif_orientation_6.jpg"), np.rot90(stored, -1))


def test_cmyk_becomes_rgb(odd: Path) -> None:
    red, green, blue = pixels_of(odd, "img_cmyk.jpg")[0, 0]
    assert red > 200
    assert max(green, blue) < 60
