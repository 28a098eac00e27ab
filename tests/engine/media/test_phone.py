"""Sounds and pictures as phones and browsers record them: MP4 with AAC, AAC alone, WebM with Opus, HEIF."""

from __future__ import annotations

import io
from collections.abc import Iterator

import av
import numpy as np
import pillow_heif
import pytest
from PIL import Image

from cpc_engine import media
from cpc_engine.errors import MediaError
from cpc_engine.media import Picture, Sound, phone, sandbox
from cpc_engine.media.sound import MAX_SECONDS

RATE = 48000
FORMS = {"MP4": ("mp4", "aac"), "AAC": ("adts", "aac"), "WebM": ("webm", "libopus")}


def recorded(form: str, samples: np.ndarray, layout: str = "stereo", rate: int = RATE) -> bytes:
    """(channels, L) samples in a container, as PyAV writes them."""
    container, codec = FORMS[form]
    target = io.BytesIO()
    with av.open(target, "w", format=container) as file:
        stream = file.add_stream(codec, rate=rate, layout=layout)
        frame = av.AudioFrame.from_ndarray(samples.astype(np.float32), format="fltp", layout=layout)
        frame.sample_rate = rate
        resampler = av.AudioResampler(format=stream.format, layout=layout, rate=rate, frame_size=stream.frame_size)
        for part in [*resampler.resample(frame), *resampler.resample(None)]:
            file.mux(stream.encode(part))
        file.mux(stream.encode(None))
    return target.getvalue()


def tone(seconds: float = 1.0, rate: int = RATE) -> np.ndarray:
    return np.tile(0.5 * np.sin(2 * np.pi * 440 * np.arange(int(seconds * rate)) / rate), (2, 1))


def sound_of(data: bytes) -> Sound:
    item = media.decode(data, "recording")
    assert isinstance(item, Sound)
    return item


@pytest.fixture
def without_libraries(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    monkeypatch.setattr(phone, "find_spec", lambda name: None)
    return


@pytest.mark.parametrize("form", FORMS)
def test_a_recording_is_heard_as_it_was(form: str) -> None:
    found = sound_of(recorded(form, tone()))
    assert found.rate == RATE
    assert abs(found.seconds - 1) < 0.1
    assert "2 channels were mixed to mono" in found.notes
    spectrum = np.abs(np.fft.rfft(found.samples[RATE // 4 :][: RATE // 2]))
    assert abs(np.argmax(spectrum) * 2 - 440) <= 2, "bins are 2 Hz wide"
    assert abs(np.abs(found.samples).max() - 0.5) < 0.1


@pytest.mark.parametrize("form", FORMS)
def test_channels_that_cancel_each_other_are_not_silence(form: str) -> None:
    found = sound_of(recorded(form, tone() * [[1], [-1]]))
    assert np.abs(found.samples).max() > 0.3


def test_only_the_first_minute_is_read() -> None:
    found = sound_of(recorded("MP4", tone(MAX_SECONDS + 2, 8000), rate=8000))
    assert found.seconds == MAX_SECONDS
    assert any("only the first 60 s" in note for note in found.notes)


@pytest.mark.parametrize("form", FORMS)
@pytest.mark.parametrize("share", [0.02, 0.3, 0.7])
def test_what_is_cut_off_ends_in_a_shorter_sound_or_one_line(form: str, share: float) -> None:
    whole = recorded(form, tone())
    said, seconds = "", 0.0
    try:
        seconds = sound_of(whole[: max(16, int(share * len(whole)))]).seconds
    except MediaError as error:
        said = str(error)
    assert (0 < seconds < 1.1) != (said.startswith("recording: ") and "\n" not in said)


def test_a_video_without_sound_is_named() -> None:
    target = io.BytesIO()
    with av.open(target, "w", format="mp4") as file:
        stream = file.add_stream("mpeg4", rate=10)
        stream.width = stream.height = 32
        file.mux(stream.encode(av.VideoFrame.from_ndarray(np.zeros((32, 32, 3), np.uint8))))
        file.mux(stream.encode(None))
    with pytest.raises(MediaError, match="MP4 media without a sound track"):
        media.decode(target.getvalue(), "clip.mp4")


def test_a_heif_picture_is_read_upright() -> None:
    picture = Image.new("RGB", (60, 40), "red")
    exif = Image.Exif()
    exif[0x0112] = 6
    target = io.BytesIO()
    pillow_heif.from_pillow(picture).save(target, exif=exif.tobytes(), quality=90)
    found = media.decode(target.getvalue(), "photo.heic")
    assert isinstance(found, Picture)
    assert found.pixels.shape in ((60, 40, 3), (40, 60, 3))
    assert abs(found.pixels.astype(float).mean((0, 1)) - [255, 0, 0]).max() < 8


def test_a_damaged_picture_is_named_where_no_heif_was_read_yet() -> None:
    with pytest.raises(MediaError, match=r"broken\.png: damaged PNG header"):
        sandbox.decode_sandboxed(b"\x89PNG\r\n\x1a\n" + bytes(50), "broken.png")


def test_the_sandbox_reads_them_too() -> None:
    found = sandbox.decode_sandboxed(recorded("WebM", tone()), "recording.webm")
    assert isinstance(found, Sound)
    assert abs(found.seconds - 1) < 0.1


@pytest.mark.usefixtures("without_libraries")
@pytest.mark.parametrize("form", FORMS)
def test_without_the_library_it_is_named(form: str) -> None:
    with pytest.raises(MediaError, match=rf"{form} is read where PyAV is installed \(in the folder of CPC Lab"):
        media.decode(recorded(form, tone()), "recording")


@pytest.mark.usefixtures("without_libraries")
def test_without_the_library_for_heif_it_is_named() -> None:
    target = io.BytesIO()
    pillow_heif.from_pillow(Image.new("RGB", (16, 16))).save(target)
    with pytest.raises(MediaError, match="HEIF picture is read where pillow-heif is installed"):
        media.decode(target.getvalue(), "photo.heic")
