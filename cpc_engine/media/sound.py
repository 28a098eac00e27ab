"""Decode one audio file to mono samples."""

from __future__ import annotations

import io
import struct
from dataclasses import dataclass

import numpy as np
import soundfile

from ..errors import MediaError
from .file_bytes import SUPPORTED, expect, media_error, sniff
from .phone import CONTAINERS, as_wav

MAX_SECONDS = 60.0
_TRUNCATED = f"only the first {MAX_SECONDS:.0f} s were read"
MIN_SECONDS = 0.02
RATES = (1_000, 384_000)  # Hz, lowest and highest accepted
MAX_CHANNELS = 16

_SOUNDS = ("WAV", "WAVEX", "RF64", "FLAC", "OGG", "MP3")
_UNKNOWN_SIZE = 2**31 - 2**16  # from which on a size in a WAV header says that the writer did not know it
_CANCELED = 0.01  # share of the loudest channel's energy below which channels cancel each other when they are mixed


@dataclass(frozen=True)
class Sound:
    """A decoded audio clip.

    Attributes:
        samples: (L,) float32 mono, finite, within ±1.
        rate: sample rate in Hz.
        notes: what the decoder changed or left out, for the user.

    Example:
        >>> Sound(np.zeros(4000, np.float32), 8000).seconds
        0.5
    """

    samples: np.ndarray
    rate: int
    notes: tuple[str, ...] = ()

    @property
    def truncated(self) -> bool:
        """Whether the file was longer than what is read of one."""
        return _TRUNCATED in self.notes

    @property
    def seconds(self) -> float:
        """Duration in s."""
        return len(self.samples) / self.rate


def decode_audio(data: bytes, name: str) -> Sound:
    """Decode an audio file and mix it to mono. At most the first 60 s are read.

    Args:
        data: content of the file.
        name: file name, used in messages only.

    Raises:
        MediaError: the file is unsupported or damaged, has an inconsistent header, is shorter than 20 ms, or has
            samples that are not finite.

    Example:
        >>> file = io.BytesIO()
        >>> soundfile.write(file, np.zeros((800, 2)), 8000, format="WAV")
        >>> decode_audio(file.getvalue(), "stereo.wav").notes
        ('2 channels were mixed to mono',)
    """
    expect("sound", data, name)
    notes: list[str] = []
    form = sniff(data)[1]
    if form in CONTAINERS:
        data = as_wav(data, name, form, MAX_SECONDS, MAX_CHANNELS)
    if data[:4] in (b"RIFF", b"RIFX"):
        data, told = _check_wav(data, name)
        notes += told
    try:
        with soundfile.SoundFile(io.BytesIO(data)) as file:
            if file.format not in _SOUNDS:
                raise media_error(name, f"{file.format} is not supported (supported: {SUPPORTED})")
            rate, channels = int(file.samplerate), int(file.channels)
            _check_rate(rate, name)
            if channels > MAX_CHANNELS:
                raise media_error(name, f"{channels} channels; at most {MAX_CHANNELS} are taken")
            limit = int(MAX_SECONDS * rate)
            samples, truncated, loudest = _read_mono(file, limit)
            if loudest is not None:
                file.seek(0)
                samples, _, _ = _read_mono(file, limit, loudest)
    except soundfile.LibsndfileError as error:
        raise media_error(name, f"damaged sound ({error.error_string.rstrip('.')})") from None
    except MediaError:
        raise
    except MemoryError:
        raise media_error(name, "needs more memory than one file may take") from None
    except Exception as error:  # a decoder may raise anything on malformed data
        raise media_error(name, f"damaged sound ({type(error).__name__})") from None
    if truncated:
        notes.append(_TRUNCATED)
    if loudest is not None:
        notes.append(f"its {channels} channels cancel each other: only channel {loudest + 1} was used")
    elif channels > 1:
        notes.append(f"{channels} channels were mixed to mono")
    if len(samples) < MIN_SECONDS * rate:
        details = f" ({'; '.join(notes)})" if notes else ""
        raise media_error(
            name, f"too short: {1000 * len(samples) / rate:.0f} ms of at least {1000 * MIN_SECONDS:.0f}{details}"
        )
    if not np.isfinite(samples).all():
        raise media_error(name, "some samples are not finite numbers (NaN or infinity)")
    peak = float(np.abs(samples).max())
    if peak > 1:
        samples = samples / np.float32(peak)
        notes.append(f"louder than full scale (peak {peak:.3g}), scaled down")
    return Sound(samples, rate, tuple(notes))


def _check_rate(rate: int, name: str) -> None:
    if not RATES[0] <= rate <= RATES[1]:
        raise media_error(name, f"its sample rate of {rate} Hz is outside {RATES[0]} to {RATES[1]} Hz")


def _read_mono(
    file: soundfile.SoundFile, limit: int, channel: int | None = None
) -> tuple[np.ndarray, bool, int | None]:
    """Read at most `limit` frames of a channel or mixed, in blocks so that memory does not grow with the channels.

    Returns:
        (≤ limit,) float32, whether the file has more frames, and the loudest channel if they cancel each other.
    """
    blocks, total = [], 0
    energies, mixed = np.zeros(file.channels), 0.0
    while total <= limit:  # one frame beyond the limit shows whether the file has more
        block = file.read(min(65_536, limit + 1 - total), dtype="float32", always_2d=True)
        if not len(block):
            break
        with np.errstate(over="ignore", invalid="ignore"):  # the caller reports values that are not finite
            mono = block.mean(axis=1, dtype=np.float32) if channel is None else block[:, channel].copy()
            energies += np.square(block, dtype=np.float64).sum(0)
            mixed += float(np.square(mono, dtype=np.float64).sum())
        blocks.append(mono)
        total += len(block)
    samples = np.concatenate(blocks) if blocks else np.zeros(0, np.float32)
    canceled = channel is None and mixed < _CANCELED * energies.max()
    # One channel of many that are silent is quiet in the mix, too, but nothing of it is lost.
    canceled &= np.count_nonzero(energies > _CANCELED * energies.max()) > 1
    return samples[:limit], total > limit, int(energies.argmax()) if canceled else None


def _check_wav(data: bytes, name: str) -> tuple[bytes, list[str]]:
    """Check the chunks of a WAV file, because libsndfile opens inconsistent and truncated files without an error.

    Returns:
        The file, with the size of its data where a writer to a pipe did not know it, and notes for the user: empty, or
        one that says how much of the file is missing.

    Raises:
        MediaError: there is no format or data chunk, the rate is not one that is taken, or the block size does not fit
            the sample format.
    """
    order = "<" if data[:4] == b"RIFF" else ">"
    at, frame = 12, 0
    while at + 8 <= len(data):
        tag, size = data[at : at + 4], struct.unpack_from(f"{order}I", data, at + 4)[0]
        body = at + 8
        if tag == b"fmt " and body + 16 <= len(data):
            code, channels, rate, _, frame, bits = struct.unpack_from(f"{order}HHIIHH", data, body)
            _check_rate(rate, name)  # libsndfile calls a rate of 2 GHz and more an internal error
            if code in (1, 3, 0xFFFE) and frame != channels * -(-bits // 8):
                expected = channels * -(-bits // 8)
                raise media_error(name, f"inconsistent WAV header: blocks of {frame} bytes where {expected} are right")
        elif tag == b"data":
            available = len(data) - body
            if not frame or not available:
                raise media_error(
                    name, "a WAV header without a format" if not frame else "a WAV header without any data"
                )
            if size == 0 or (available < size and size >= _UNKNOWN_SIZE):
                return data[: at + 4] + struct.pack(f"{order}I", available) + data[body:], []
            if available < size:
                told = f"cut short: it holds {available // frame} of the {size // frame} frames that it declares"
                return data, [told]
            return data, []
        at = body + size + size % 2
    raise media_error(name, "a WAV header without any data")
