"""Damaged and random bytes raise one kind of error."""

from __future__ import annotations

import io
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from cpc_engine import media
from cpc_engine.errors import MediaError
from tests.support.media_files import wav


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
