"""Sounds: containers, channels, levels, and lengths."""

from __future__ import annotations

import io
import struct
import wave

import numpy as np
import pytest
import soundfile

from cpc_engine import media
from cpc_engine.errors import MediaError
from cpc_engine.media import Sound
from tests.support.media_files import wav


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


@pytest.mark.parametrize("rate", [1, 999, 400_000, 2**31 - 1, 4_000_000_000])
def test_invalid_sample_rate(rate: int) -> None:
    data = bytearray(wav(np.zeros(800)))
    data[24:28] = struct.pack("<I", rate)
    with pytest.raises(MediaError, match="sample rate"):
        media.decode_audio(bytes(data), "x.wav")


def test_many_channels() -> None:
    with pytest.raises(MediaError, match="20 channels"):
        media.decode_audio(wav(np.zeros((800, 20))), "x.wav")


def test_standard_library_wav_is_read() -> None:
    buffer = io.BytesIO()
    with wave.open(buffer, "wb") as file:
        file.setparams((2, 2, 16000, 0, "NONE", ""))
        file.writeframes(np.array([[16384, 0]] * 1600, "<i2").tobytes())
    sound = media.decode(buffer.getvalue(), "x")
    assert isinstance(sound, Sound)
    np.testing.assert_allclose(sound.samples, 0.25)


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
