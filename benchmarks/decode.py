"""Files that declare or hold far more than a file should: time and memory of the sandboxed decoder.

    python -m benchmarks.decode [--out docs/reliability.md]

Each file is decoded by a worker of its own, as files of other people are. Right is: it gives a sound or a picture, or
one line that says why not; within `MAX_DECODE_SECONDS`, and with less resident memory than `MAX_MEMORY`.
The memory counts everything that the worker holds, its libraries too.
"""

from __future__ import annotations

import argparse
import io
import struct
import sys
import time
import zlib
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import soundfile
from PIL import Image

from benchmarks.marked import replace_part
from benchmarks.table_cells import table
from cpc_engine.errors import MediaError
from cpc_engine.media.file_bytes import MAX_DECODE_SECONDS, MAX_MEMORY
from cpc_engine.media.sandbox import Sandbox

RATE = 8000


def long_flac() -> bytes:
    """Ten hours of a click a minute; it is small, since silence takes next to nothing."""
    buffer = io.BytesIO()
    minute = np.zeros(60 * RATE, np.int16)
    minute[:100] = 10_000
    with soundfile.SoundFile(buffer, "w", RATE, 1, "PCM_16", format="FLAC") as file:
        for _ in range(600):
            file.write(minute)
    return buffer.getvalue()


def many_frames() -> bytes:
    """A GIF of 10,000 different frames."""
    noise = np.random.default_rng(0).integers(0, 256, (10_000, 32, 32), np.uint8)
    frames = [Image.fromarray(frame) for frame in noise]
    buffer = io.BytesIO()
    frames[0].save(buffer, "GIF", save_all=True, append_images=frames[1:])
    return buffer.getvalue()


def wav(rate: int, channels: int, samples: int = RATE) -> bytes:
    """A WAV file whose header declares a rate and a number of channels."""
    data = np.zeros((samples, channels), np.int16).tobytes()
    frame = 2 * channels
    head = struct.pack("<4sIHHIIHH", b"fmt ", 16, 1, channels, rate, (rate * frame) % 2**32, frame, 16)
    body = b"WAVE" + head + struct.pack("<4sI", b"data", len(data)) + data
    return struct.pack("<4sI", b"RIFF", len(body)) + body


def large_png() -> bytes:
    """A PNG of 60,000 × 60,000 pixels of one color."""

    def chunk(kind: bytes, data: bytes) -> bytes:
        return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))

    squeezer = zlib.compressobj(1)
    rows = b"".join(squeezer.compress(bytes(1 + 60_000)) for _ in range(2000)) + squeezer.flush()
    head = struct.pack(">IIBBBBB", 60_000, 60_000, 8, 0, 0, 0, 0)
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", head) + chunk(b"IDAT", rows) + chunk(b"IEND", b"")


def large_jpeg() -> bytes:
    """A photograph of 48 megapixels."""
    buffer = io.BytesIO()
    Image.linear_gradient("L").resize((8000, 6000)).convert("RGB").save(buffer, "JPEG", quality=90)
    return buffer.getvalue()


FILES: dict[str, tuple[str, Callable[[], bytes]]] = {
    "FLAC of 10 hours": ("long.flac", long_flac),
    "GIF of 10,000 frames": ("frames.gif", many_frames),
    "WAV that declares 4 GHz": ("fast.wav", lambda: wav(4_000_000_000, 1)),
    "WAV of 64 channels": ("wide.wav", lambda: wav(RATE, 64)),
    "WAV of 30,000 channels": ("wider.wav", lambda: wav(RATE, 30_000, 50)),
    "PNG of 3600 megapixels": ("large.png", large_png),
    "JPEG of 48 megapixels": ("large.jpg", large_jpeg),
}


@dataclass(frozen=True)
class Decoded:
    """What became of one file: words of the decoder, seconds, and the most resident memory of its worker in MB."""

    words: str
    seconds: float
    megabytes: float

    @property
    def right(self) -> bool:
        """Whether it kept to the limits and was told in one line."""
        fits = self.seconds < MAX_DECODE_SECONDS and self.megabytes * 1e6 < MAX_MEMORY
        return fits and "\n" not in self.words and "crashed" not in self.words


def measure(name: str, data: bytes) -> Decoded:
    """Decode one file in a worker of its own."""
    sandbox = Sandbox()
    try:
        sandbox.decode(wav(RATE, 1), "first.wav")  # its start is not measured
        [worker] = sandbox._idle
        began = time.perf_counter()
        try:
            found = sandbox.decode(data, name)
            words = "; ".join([type(found).__name__.lower(), *found.notes])
        except MediaError as error:
            words = str(error)
        seconds = time.perf_counter() - began
        return Decoded(words, seconds, _peak(worker.process.pid))
    finally:
        sandbox.close()


def _peak(process: int) -> float:
    """The most resident memory of a process so far, in MB."""
    lines = Path(f"/proc/{process}/status").read_text().splitlines()
    return next(int(line.split()[1]) / 1000 for line in lines if line.startswith("VmHWM"))


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--out", type=Path, help="a document with the part `decode`")
    given = parser.parse_args()
    rows, wrong = [], 0
    for title, (name, make) in FILES.items():
        data = make()
        found = measure(name, data)
        wrong += not found.right
        size = f"{len(data) / 1e6:.1f} MB"
        rows.append([title, size, found.words, f"{found.seconds:.2f} s", f"{found.megabytes:.0f} MB"])
        print(" | ".join(rows[-1]), flush=True)
    if given.out is not None:
        replace_part(given.out, "decode", table(["file", "size", "told", "time", "memory"], rows))
    print(f"{wrong} of {len(rows)} wrong", file=sys.stderr)
    return int(bool(wrong))


if __name__ == "__main__":
    sys.exit(main())
