"""One sound from bytes to mono samples."""

from __future__ import annotations

import io
import struct
from dataclasses import dataclass

import numpy as np
import soundfile

from ..errors import MediaError
from .source import SUPPORTED, expect, media_error

MAX_SECONDS = 60.0
MIN_SECONDS = 0.02
RATES = (1_000, 384_000)  # Hz, lowest and highest accepted
MAX_CHANNELS = 16

_SOUNDS = ("WAV", "WAVEX", "FLAC", "OGG", "MP3")


@dataclass(frozen=True)
class Sound:
    """A decoded sound: `samples` (L,) float32 mono, finite, within ±1; `rate` in Hz; `notes` say what was changed."""

    samples: np.ndarray
    rate: int
    notes: tuple[str, ...] = ()

    @property
    def seconds(self) -> float:
        return len(self.samples) / self.rate


def decode_audio(data: bytes, name: str) -> Sound:
    """One sound, mixed to mono; at most its first 60 s are read.

    Raises:
        MediaError: unsupported or damaged, an inconsistent header, under 20 ms, or samples that are not finite.
    """
    expect("sound", data, name)
    notes: list[str] = []
    if data[:4] in (b"RIFF", b"RIFX"):
        notes += _check_wav(data, name)
    try:
        with soundfile.SoundFile(io.BytesIO(data)) as file:
            if file.format not in _SOUNDS:
                raise media_error(name, f"{file.format} is not supported (supported: {SUPPORTED})")
            rate, channels = int(file.samplerate), int(file.channels)
            if not RATES[0] <= rate <= RATES[1]:
                raise media_error(name, f"its sample rate of {rate} Hz is outside {RATES[0]} to {RATES[1]} Hz")
            if channels > MAX_CHANNELS:
                raise media_error(name, f"{channels} channels; at most {MAX_CHANNELS} are taken")
            samples, more = _read_mono(file, int(MAX_SECONDS * rate))
    except soundfile.LibsndfileError as error:
        raise media_error(name, f"damaged sound ({error.error_string.rstrip('.')})") from None
    except MediaError:
        raise
    except MemoryError:
        raise media_error(name, "needs more memory than one file may take") from None
    except Exception as error:  # a decoder may fail in any way on hostile bytes
        raise media_error(name, f"damaged sound ({type(error).__name__})") from None
    if more:
        notes.append(f"only the first {MAX_SECONDS:.0f} s were read")
    if channels > 1:
        notes.append(f"{channels} channels were mixed to mono")
    if len(samples) < MIN_SECONDS * rate:
        why = f" ({'; '.join(notes)})" if notes else ""
        raise media_error(
            name, f"too short: {1000 * len(samples) / rate:.0f} ms of at least {1000 * MIN_SECONDS:.0f}{why}"
        )
    if not np.isfinite(samples).all():
        raise media_error(name, "some samples are not finite numbers (NaN or infinity)")
    peak = float(np.abs(samples).max())
    if peak > 1:
        samples = samples / np.float32(peak)
        notes.append(f"louder than full scale (peak {peak:.3g}), scaled down")
    return Sound(samples, rate, tuple(notes))


def _read_mono(file: soundfile.SoundFile, limit: int) -> tuple[np.ndarray, bool]:
    """((≤ limit,) float32, whether more follows), block by block so that memory does not grow with the channels."""
    blocks, total = [], 0
    while total <= limit:  # one frame beyond the limit tells whether the file goes on
        block = file.read(min(65_536, limit + 1 - total), dtype="float32", always_2d=True)
        if not len(block):
            break
        with np.errstate(over="ignore", invalid="ignore"):  # what is not finite is reported by the caller
            blocks.append(block.mean(axis=1, dtype=np.float32))
        total += len(block)
    samples = np.concatenate(blocks) if blocks else np.zeros(0, np.float32)
    return samples[:limit], total > limit


def _check_wav(data: bytes, name: str) -> list[str]:
    """Notes on a WAV's chunks; libsndfile opens inconsistent and truncated files without a word.

    Raises:
        MediaError: no format, no data, or a block size that does not fit the sample format.
    """
    order = "<" if data[:4] == b"RIFF" else ">"
    at, frame = 12, 0
    while at + 8 <= len(data):
        tag, size = data[at : at + 4], struct.unpack_from(f"{order}I", data, at + 4)[0]
        body = at + 8
        if tag == b"fmt " and body + 16 <= len(data):
            code, channels, _, _, frame, bits = struct.unpack_from(f"{order}HHIIHH", data, body)
            if code in (1, 3, 0xFFFE) and frame != channels * -(-bits // 8):
                right = channels * -(-bits // 8)
                raise media_error(name, f"inconsistent WAV header: blocks of {frame} bytes where {right} are right")
        elif tag == b"data":
            held = len(data) - body
            if not frame or not held:
                raise media_error(
                    name, "a WAV header without a format" if not frame else "a WAV header without any data"
                )
            if held < size < 2**31 - 1:  # larger: a stream whose writer did not know the length
                return [f"cut short: it holds {held // frame} of the {size // frame} frames that it declares"]
            return []
        at = body + size + size % 2
    raise media_error(name, "a WAV header without any data")
