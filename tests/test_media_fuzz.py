"""Thousands of damaged files through the sandboxed decoder, hundreds of them on to a run's maps: none crashes, hangs,
takes a gigabyte or yields numbers beyond all bounds."""

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

from cpc_engine import RunFolder
from cpc_engine.errors import MediaError
from cpc_engine.media import Sound
from cpc_engine.media.picture import MAX_MEGAPIXELS
from cpc_engine.media.sandbox import Sandbox
from cpc_engine.media.sound import MAX_SECONDS, RATES
from cpc_engine.placing import Placer

pytest_plugins = ["tests.explored"]

CASES = 1000  # of each format
PLACED = 100  # of each format, on a run's maps, too
MEMORY = 2**30
SECONDS = 10
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
    """One stretch of the file moved over another."""
    source, target = draw.integers(0, len(data), 2)
    length = int(draw.integers(1, 64))
    data[target : target + length] = data[source : source + length]
    return data


def edit_header(data: bytearray, draw: Random) -> bytearray:
    """Bytes and whole numbers near the start become extreme: sizes, rates, counts and dimensions live there."""
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
    """Checksums made right again, so that damage gets past them."""
    out, at = bytearray(data), 8
    while at + 12 <= len(out):
        end = at + 8 + struct.unpack_from(">I", out, at)[0]
        out[end : end + 4] = struct.pack(">I", zlib.crc32(out[at + 4 : end]))
        at = end + 4
    return bytes(out)


def repair_ogg(data: bytes) -> bytes:
    """The same for the pages of an OGG file."""
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
    """Damaged copies of a whole file; the same seed gives the same ones."""
    original = sound(form) if form in SOUNDS else picture(form)
    draw = np.random.default_rng([seed, *form.encode()])
    for case in range(cases):
        data = bytes(MUTATIONS[case % len(MUTATIONS)](bytearray(original), draw))
        yield REPAIRS[form](data) if form in REPAIRS and draw.random() < 0.7 else data


def memory(pid: int | str, field: str) -> int:
    """Bytes that a process holds ("VmRSS") or has held at most ("VmHWM")."""
    lines = Path(f"/proc/{pid}/status").read_text().splitlines()
    return next(1024 * int(line.split()[1]) for line in lines if line.startswith(field))


@pytest.mark.parametrize("form", REPAIRS)
def test_repairs_leave_a_whole_file_as_it_is(form: str) -> None:
    original = sound(form) if form in SOUNDS else picture(form)
    assert REPAIRS[form](original) == original


@pytest.mark.parametrize("form", [*SOUNDS, *PICTURES])
def test_damaged_files_do_no_harm(form: str) -> None:
    sandbox = Sandbox()
    assert sandbox.decode(sound(form) if form in SOUNDS else picture(form), form)
    (worker,) = sandbox._idle
    refusals: list[str] = []
    for data in damaged(form, CASES, seed=0):
        began = time.monotonic()
        try:
            found = sandbox.decode(data, form)
        except MediaError as error:
            refusals.append(str(error))
        else:
            if isinstance(found, Sound):
                assert np.abs(found.samples).max() <= 1  # NaN is not ≤ 1
                assert RATES[0] <= found.rate <= RATES[1]
                assert found.seconds <= MAX_SECONDS
            else:
                assert 0 < found.pixels.size <= 3e6 * MAX_MEGAPIXELS
        assert time.monotonic() - began < SECONDS
        assert sandbox._idle == [worker], f"the decoder ended: {refusals[-1]}"
    if sys.platform == "linux":
        assert memory(worker.process.pid, "VmHWM") < MEMORY
    sandbox.close()
    assert 0 < len(refusals) < CASES  # neither is everything refused nor is nothing damaged
    for line in refusals:
        assert line.startswith(f"{form}: ")
        assert "\n" not in line


@pytest.mark.slow
@pytest.mark.parametrize("form", [*SOUNDS, *PICTURES])
def test_what_gets_through_is_placed_with_plain_numbers(form: str, keypad: Path) -> None:
    """Odd rates, lengths and shapes go on to resampling, the network, the maps and the verdict."""
    placer = Placer(RunFolder(keypad))
    before = 0
    if sys.platform == "linux":
        Path("/proc/self/clear_refs").write_text("5")  # the high-water mark falls to what is resident now
        before = memory("self", "VmRSS")
    fates = {"ok": 0, "error": 0}
    for data in damaged(form, PLACED, seed=1):
        began = time.monotonic()
        (placed,) = placer.place_all([(form, data)])
        assert time.monotonic() - began < SECONDS
        told = placed.to_dict()
        assert json.dumps(told, allow_nan=False)
        fates[told["status"]] += 1
        if placed.placement is not None:
            assert 0 <= told["typicality"] <= 100
            assert sum(told["probabilities"].values()) == pytest.approx(1, abs=1e-4)
            assert all(-1.001 <= near["cosine"] <= 1.001 for near in told["neighbours"])
        else:
            assert "\n" not in told["error"]
    if sys.platform == "linux":
        assert memory("self", "VmHWM") - before < MEMORY
    assert all(fates.values())
