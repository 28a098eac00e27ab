"""Decoding of untrusted files, and resampling to one format."""

from __future__ import annotations

import io
import struct
import wave
from pathlib import Path

import numpy as np
import pytest
import soundfile
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image
from PIL.PngImagePlugin import PngInfo

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


def wav(samples: np.ndarray, rate: int = 8000, subtype: str = "PCM_16") -> bytes:
    buffer = io.BytesIO()
    soundfile.write(buffer, samples, rate, format="WAV", subtype=subtype)
    return buffer.getvalue()


def png(size: tuple[int, int] = (40, 30), mode: str = "RGB", form: str = "PNG") -> bytes:
    buffer = io.BytesIO()
    Image.new(mode, size).save(buffer, form)
    return buffer.getvalue()


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


def test_transparent_parts_are_white() -> None:
    buffer = io.BytesIO()
    Image.new("RGBA", (8, 8), (0, 0, 0, 0)).save(buffer, "PNG")
    assert media.decode_image(buffer.getvalue(), "clear.png").pixels.min() == 255


@pytest.mark.parametrize("orientation", range(1, 9))
def test_every_exif_orientation_matches_pillow(orientation: int) -> None:
    from PIL import ImageOps

    noise = np.random.default_rng(0).integers(0, 255, (6, 9, 3), dtype=np.uint8)
    image = Image.fromarray(noise)
    exif = Image.Exif()
    exif[0x0112] = orientation
    buffer = io.BytesIO()
    image.save(buffer, "PNG", exif=exif)
    with Image.open(buffer) as stored:
        expected = np.asarray(ImageOps.exif_transpose(stored).convert("RGB"))
    np.testing.assert_array_equal(media.decode_image(buffer.getvalue(), "x.png").pixels, expected)


def test_image_above_the_limit_is_rejected_before_decoding() -> None:
    data = png((6000, 4001), "1")
    with pytest.raises(MediaError, match=r"6000×4001 pixels; at most 24 megapixels"):
        media.decode_image(data, "big.png")


@pytest.mark.parametrize("form", ["TIFF", "BMP"])
def test_unsupported_image_formats_are_named(form: str) -> None:
    with pytest.raises(MediaError, match=f"a {form} picture is not supported"):
        media.decode(png(form=form), "x.png")


def test_wrong_kind_is_named() -> None:
    with pytest.raises(MediaError, match="a PNG picture, not a sound"):
        media.decode_audio(png(), "x.wav")
    with pytest.raises(MediaError, match="a WAV sound, not a picture"):
        media.decode_image(wav(np.zeros(800)), "x.png")


def test_long_truncated_wav_is_accepted_with_a_note() -> None:
    data = wav(np.linspace(-0.5, 0.5, 8000))
    sound = media.decode_audio(data[: len(data) // 2], "half.wav")
    assert 3900 < len(sound.samples) < 4000
    assert "cut short" in sound.notes[0]


def test_wav_of_a_stream_of_unknown_length() -> None:
    data = bytearray(wav(np.linspace(-0.5, 0.5, 8000)))
    at = data.index(b"data")
    data[at + 4 : at + 8] = struct.pack("<I", 0xFFFFFFFF)
    sound = media.decode_audio(bytes(data), "stream.wav")
    assert len(sound.samples) == 8000
    assert not sound.notes


def test_long_sound_is_cut() -> None:
    sound = media.decode_audio(wav(np.zeros(61 * 2000), 2000), "long.wav")
    assert len(sound.samples) == 60 * 2000
    assert "first 60 s" in sound.notes[0]
    exact = media.decode_audio(wav(np.zeros(60 * 2000), 2000), "exact.wav")
    assert not exact.notes


def test_sound_above_full_scale_is_scaled_down() -> None:
    sound = media.decode_audio(wav(np.array([0.0, 4.0, -2.0] * 400), subtype="FLOAT"), "loud.wav")
    assert np.abs(sound.samples).max() == pytest.approx(1)
    assert "peak 4" in sound.notes[0]


@pytest.mark.parametrize("rate", [1, 999, 400_000, 2**31 - 1])
def test_invalid_sample_rate(rate: int) -> None:
    data = bytearray(wav(np.zeros(800)))
    data[24:28] = struct.pack("<I", rate)
    with pytest.raises(MediaError, match=r"sample rate|damaged sound"):
        media.decode_audio(bytes(data), "x.wav")


def test_many_channels() -> None:
    with pytest.raises(MediaError, match="20 channels"):
        media.decode_audio(wav(np.zeros((800, 20))), "x.wav")


def error_message(data: bytes, name: str) -> str:
    """The message of the MediaError, or "" if the bytes were accepted; other exceptions are not caught."""
    try:
        media.decode(data, name)
    except MediaError as error:
        return str(error)
    return ""


@settings(max_examples=150)
@given(
    st.binary(max_size=300),
    st.sampled_from([b"", b"RIFF\0\0\0\0WAVEfmt ", b"fLaC", b"OggS", b"\x89PNG\r\n\x1a\n", b"GIF89a"]),
)
def test_random_bytes_raise_no_other_exception(tail: bytes, head: bytes) -> None:
    assert error_message(head + tail, "noise\n.bin").startswith("noise?.bin: ")


@settings(max_examples=100)
@given(st.data())
def test_damaged_files_raise_no_other_exception(draw: st.DataObject) -> None:
    picture = Image.fromarray(np.random.default_rng(0).integers(0, 255, (20, 20, 3), dtype=np.uint8))
    buffer = io.BytesIO()
    picture.save(buffer, draw.draw(st.sampled_from(["PNG", "JPEG", "WEBP", "GIF"])))
    data = bytearray(draw.draw(st.sampled_from([buffer.getvalue(), wav(np.linspace(-1, 1, 400))])))
    for _ in range(draw.draw(st.integers(1, 4))):
        data[draw.draw(st.integers(0, len(data) - 1))] = draw.draw(st.integers(0, 255))
    assert "\n" not in error_message(bytes(data), "damaged")


def test_read_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(MediaError, match=r"^gone.wav: no such file"):
        media.read_file(tmp_path / "gone.wav")
    with pytest.raises(MediaError, match="a folder"):
        media.read_file(tmp_path)
    (tmp_path / "none.wav").touch()
    with pytest.raises(MediaError, match=r"^none.wav: empty file"):
        media.read_file(tmp_path / "none.wav")
    (tmp_path / "big.wav").write_bytes(b"12345")
    assert media.read_file(tmp_path / "big.wav") == b"12345"
    monkeypatch.setattr("cpc_engine.media.file_bytes.MAX_FILE_BYTES", 4)
    with pytest.raises(MediaError, match="larger than"):
        media.read_file(tmp_path / "big.wav")


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


def test_standard_library_wav_is_read() -> None:
    buffer = io.BytesIO()
    with wave.open(buffer, "wb") as file:
        file.setparams((2, 2, 16000, 0, "NONE", ""))
        file.writeframes(np.array([[16384, 0]] * 1600, "<i2").tobytes())
    sound = media.decode(buffer.getvalue(), "x")
    assert isinstance(sound, Sound)
    np.testing.assert_allclose(sound.samples, 0.25)


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


@pytest.mark.parametrize("size", [0, 2**31 - 4096 - 1, 2**31 - 1, 2**32 - 1])
def test_a_wav_whose_writer_did_not_know_its_length_is_read_to_the_end(size: int) -> None:
    data = bytearray(wav(np.linspace(-0.5, 0.5, 8000)))
    at = data.index(b"data")
    data[at + 4 : at + 8] = struct.pack("<I", size)
    sound = media.decode_audio(bytes(data), "pipe.wav")
    assert (len(sound.samples), sound.notes) == (8000, ())


def test_rf64_is_read() -> None:
    buffer = io.BytesIO()
    soundfile.write(buffer, np.linspace(-0.5, 0.5, 8000), 8000, format="RF64")
    assert media.sniff(buffer.getvalue()) == ("sound", "WAV")
    assert len(media.decode_audio(buffer.getvalue(), "long.wav").samples) == 8000


def test_channels_that_cancel_each_other_are_not_mixed() -> None:
    tone = 0.5 * np.sin(np.arange(8000) / 5)
    data = wav(np.stack([tone, -0.98 * tone], 1))
    sound = media.decode_audio(data, "antiphase.wav")
    np.testing.assert_allclose(sound.samples, tone, atol=1e-4)
    assert sound.notes == ("its 2 channels cancel each other: only channel 1 was used",)
    one = np.zeros((8000, 16))
    one[:, 3] = tone
    mixed = media.decode_audio(wav(one), "one.wav")
    np.testing.assert_allclose(mixed.samples, tone / 16, atol=1e-4)
    assert mixed.notes == ("16 channels were mixed to mono",)
    silent = media.decode_audio(wav(np.zeros((8000, 2))), "silent.wav")
    assert silent.notes == ("2 channels were mixed to mono",)


def test_a_large_photograph_is_decoded_at_half_its_size() -> None:
    buffer = io.BytesIO()
    exif = Image.Exif()
    exif[0x0112] = 6
    Image.new("RGB", (5712, 4284), "red").save(buffer, "JPEG", exif=exif)
    picture = media.decode_image(buffer.getvalue(), "phone.jpg")
    assert picture.pixels.shape == (2856, 2142, 3)
    assert picture.notes[0] == "5712×4284 pixels: decoded at half its size"


@pytest.mark.parametrize("compressed", [True, False])
def test_the_text_of_a_png_is_not_read(compressed: bool) -> None:
    image = Image.fromarray(np.arange(4 * 5 * 3, dtype=np.uint8).reshape(4, 5, 3))
    info = PngInfo()
    info.add_text("comment", "x" * 3_000_000, zip=compressed)
    buffer = io.BytesIO()
    image.save(buffer, "PNG", pnginfo=info)
    picture = media.decode_image(buffer.getvalue(), "long.png")
    np.testing.assert_array_equal(picture.pixels, np.asarray(image))
