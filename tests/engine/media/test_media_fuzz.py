"""Thousands of damaged files in the sandboxed decoder, and hundreds of them placed on a run's maps.

None of them may crash the decoder, hang, use a gigabyte of memory, or give values out of range.
"""

from __future__ import annotations

import io
import json
import struct
import sys
import time
import zlib
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import pytest
import soundfile
from PIL import Image

from cpc_engine.errors import MediaError
from cpc_engine.media import Sound
from cpc_engine.media.picture import MAX_MEGAPIXELS
from cpc_engine.media.sandbox import Sandbox
from cpc_engine.media.sound import MAX_SECONDS, RATES
from cpc_engine.placing import Placer
from cpc_engine.storage.folder import RunFolder

pytest_plugins = ["tests.support.explored"]

CASES = 1000  # damaged files per format
PLACED = 100  # damaged files per format that are placed on a run's maps
MEMORY = 2**30  # bytes
SECONDS = 10  # per file
SOUNDS = {"WAV": "PCM_16", "WAV float": "FLOAT", "FLAC": "PCM_16", "OGG": "VORBIS", "MP3": "MPEG_LAYER_III"}
PICTURES = ("PNG", "JPEG", "WEBP", "GIF")
EXTREMES = (0, 1, 0x7F, 0x80, 0xFF)

Random = np.random.Generator


def sound(name: str) -> bytes:
    buffer = io.BytesIO()
    rate = 16_000
    wave = 0.5 * np.sin(2 * np.pi * 440 * np.arange(rate // 5) / rate)
    soundfile.write(buffer, np.stack([wave, -wave], 1), rate, format=name.split()[0], subtype=SOUNDS[name])
    return buffer.getvalue()


def picture(form: str) -> bytes:
    noise = np.random.default_rng(0).integers(0, 255, (2, 24, 32, 3), dtype=np.uint8)
    first, second = (Image.fromarray(frame) for frame in noise)
    exif = Image.Exif()
    exif[0x0112] = 6
    options = {"append_images": [second], "save_all": True} if form == "GIF" else {"exif": exif}
    buffer = io.BytesIO()
    first.save(buffer, form, **options)
    return buffer.getvalue()


def flip_bits(data: bytearray, draw: Random) -> bytearray:
    for at in draw.integers(0, len(data), draw.integers(1, 20)):
        data[at] ^= 1 << draw.integers(0, 8)
    return data


def truncate(data: bytearray, draw: Random) -> bytearray:
    return data[: draw.integers(1, len(data))]


def splice(data: bytearray, draw: Random) -> bytearray:
    """Copy a random part of the file over another part."""
    source, target = draw.integers(0, len(data), 2)
    length = int(draw.integers(1, 64))
    data[target : target + length] = data[source : source + length]
    return data


def edit_header(data: bytearray, draw: Random) -> bytearray:
    """Set bytes and integers near the start to extreme values: sizes, rates, counts, and dimensions are there."""
    for _ in range(draw.integers(1, 4)):
        at = int(draw.integers(0, min(len(data), 64) - 4))
        if draw.random() < 0.5:
            data[at] = draw.choice(EXTREMES)
        else:
            number = int(draw.choice([0, 1, 0x7FFFFFFF, 0xFFFFFFFF, int(draw.integers(0, 2**32))]))
            data[at : at + 4] = struct.pack(draw.choice(["<I", ">I"]), number)
    return data


def insert(data: bytearray, draw: Random) -> bytearray:
    at = int(draw.integers(0, len(data)))
    return data[:at] + bytearray(draw.bytes(int(draw.integers(1, 200)))) + data[at:]


MUTATIONS: tuple[Callable[[bytearray, Random], bytearray], ...] = (flip_bits, truncate, splice, edit_header, insert)


def repair_png(data: bytes) -> bytes:
    """Correct the checksums of a PNG file, so that the damage is not detected by them."""
    out, at = bytearray(data), 8
    while at + 12 <= len(out):
        end = at + 8 + struct.unpack_from(">I", out, at)[0]
        out[end : end + 4] = struct.pack(">I", zlib.crc32(out[at + 4 : end]))
        at = end + 4
    return bytes(out)


def repair_ogg(data: bytes) -> bytes:
    """Correct the checksums of an OGG file's pages, so that the damage is not detected by them."""
    pages = data.split(b"OggS")
    for i, page in enumerate(pages[1:], 1):
        if len(page) > 22:
            blank = page[:18] + bytes(4) + page[22:]
            check = 0
            for byte in b"OggS" + blank:
                check = (check << 8) & 0xFFFFFFFF ^ OGG_TABLE[check >> 24 ^ byte]
            pages[i] = blank[:18] + struct.pack("<I", check) + blank[22:]
    return b"OggS".join(pages)


def _ogg_table() -> list[int]:
    table = []
    for number in range(256):
        value = number << 24
        for _ in range(8):
            value = (value << 1) & 0xFFFFFFFF ^ (0x04C11DB7 if value >> 31 else 0)
        table.append(value)
    return table


OGG_TABLE = _ogg_table()
REPAIRS: dict[str, Callable[[bytes], bytes]] = {"PNG": repair_png, "OGG": repair_ogg}


def damaged(form: str, cases: int, seed: int) -> Iterator[bytes]:
    """Damaged copies of a valid file, reproducible by the seed."""
    original = sound(form) if form in SOUNDS else picture(form)
    draw = np.random.default_rng([seed, *form.encode()])
    for case in range(cases):
        data = bytes(MUTATIONS[case % len(MUTATIONS)](bytearray(original), draw))
        yield REPAIRS[form](data) if form in REPAIRS and draw.random() < 0.7 else data


def memory(pid: int | str, field: str) -> int:
    """Resident memory of a process in bytes: current ("VmRSS") or peak ("VmHWM")."""
    lines = Path(f"/proc/{pid}/status").read_text().splitlines()
    return next(1024 * int(line.split()[1]) for line in lines if line.startswith(field))


@pytest.mark.parametrize("form", REPAIRS)
def test_repairs_do_not_change_a_valid_file(form: str) -> None:
    original = sound(form) if form in SOUNDS else picture(form)
    assert REPAIRS[form](original) == original


@pytest.mark.parametrize("form", [*SOUNDS, *PICTURES])
def test_damaged_files_are_decoded_or_rejected(form: str) -> None:
    sandbox = Sandbox()
    assert sandbox.decode(sound(form) if form in SOUNDS else picture(form), form)
    (worker,) = sandbox._idle
    errors: list[str] = []
    for data in damaged(form, CASES, seed=0):
        began = time.monotonic()
        try:
            item = sandbox.decode(data, form)
        except MediaError as error:
            errors.append(str(error))
        else:
            if isinstance(item, Sound):
                assert np.abs(item.samples).max() <= 1  # also false for NaN
                assert RATES[0] <= item.rate <= RATES[1]
                assert item.seconds <= MAX_SECONDS
            else:
                assert 0 < item.pixels.size <= 3e6 * MAX_MEGAPIXELS
        assert time.monotonic() - began < SECONDS
        assert sandbox._idle == [worker], f"the worker ended: {errors[-1]}"
    if sys.platform == "linux":
        assert memory(worker.process.pid, "VmHWM") < MEMORY
    sandbox.close()
    assert 0 < len(errors) < CASES  # some files are rejected, but not all
    for line in errors:
        assert line.startswith(f"{form}: ")
        assert "\n" not in line


@pytest.mark.slow
@pytest.mark.parametrize("form", [*SOUNDS, *PICTURES])
def test_decoded_files_are_placed_with_finite_values(form: str, keypad: Path) -> None:
    """Unusual rates, lengths, and shapes pass through resampling, the network, the maps, and the classifier."""
    placer = Placer(RunFolder(keypad))
    before = 0
    if sys.platform == "linux":
        Path("/proc/self/clear_refs").write_text("5")  # reset the peak to the memory that is resident now
        before = memory("self", "VmRSS")
    counts = {"ok": 0, "error": 0}
    for data in damaged(form, PLACED, seed=1):
        began = time.monotonic()
        (placed,) = placer.place_all([(form, data)])
        assert time.monotonic() - began < SECONDS
        result = placed.to_dict()
        assert json.dumps(result, allow_nan=False)
        counts[result["status"]] += 1
        if placed.placement is not None:
            assert 0 <= result["typicality"] <= 100
            assert sum(result["probabilities"].values()) == pytest.approx(1, abs=1e-4)
            assert all(-1.001 <= near["cosine"] <= 1.001 for near in result["neighbors"])
        else:
            assert "\n" not in result["error"]
    if sys.platform == "linux":
        assert memory("self", "VmHWM") - before < MEMORY
    assert all(counts.values())
