"""Load many media files into one tensor. A small thread pool decodes them; unusable files are skipped and reported."""

from __future__ import annotations

import math
import os
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import TypeVar

import numpy as np
import torch
from torch import Tensor

from ..config import RunConfig
from ..errors import DataError, MediaError
from ..media import decode_audio, decode_image, fit_picture, fit_recordings, loudest_window, native_window, read_file
from .listing.class_folders import as_text

MAX_BYTES = 8 * 2**30  # that the items of one data set may take
FEWER, SHORTER = "lower data.train_items", "lower audio.recording_seconds or data.train_items"
Progress = Callable[[str, float], None]  # (description, fraction done from 0 to 1)
Fitted = TypeVar("Fitted")
_CHUNK = 128  # files decoded before they are resampled together; bounds the memory for decoded audio


@dataclass(frozen=True)
class Loaded:
    """The usable ones among a list of files.

    Attributes:
        values: (n, …), one row per usable file.
        lengths: (n,) int64 samples of each recording, if some are longer than a clip; otherwise None.
        rows: n indices into the list of paths, in the order of `values`.
        skipped: one line "relative/path: reason" for each of the other files.
        long: relative paths of the sounds that are longer than what is read of a file.
    """

    values: Tensor
    lengths: Tensor | None
    rows: list[int]
    skipped: list[str]
    long: tuple[str, ...] = ()


def check_memory(what: str, needed: int, advice: str = FEWER) -> None:
    """Refuse a data set that would not fit into memory, before any of it is made or read.

    Args:
        what: the data, for the message. needed: bytes that its items take. advice: what to do.

    Raises:
        DataError: it needs more than 8 GiB, or more than is free now.

    Example:
        >>> check_memory("tones: 9 items", 100 * 2**30)
        Traceback (most recent call last):
        cpc_engine.errors.DataError: tones: 9 items needs 100.0 GiB of memory, more than 8.0 GiB; lower data.train_items
    """
    limit = min(MAX_BYTES, _free_memory())
    if needed > limit:
        raise DataError(f"{what} needs {needed / 2**30:.1f} GiB of memory, more than {limit / 2**30:.1f} GiB; {advice}")


def _free_memory() -> float:
    """Bytes that the system and, in a container, its limit leave; infinite where neither tells."""
    free = math.inf
    with suppress(OSError, ValueError, IndexError):
        fields = dict(line.split(":") for line in Path("/proc/meminfo").read_text().splitlines())
        free = int(fields["MemAvailable"].split()[0]) * 1024
    with suppress(OSError, ValueError):  # "max" where there is no limit
        group = Path("/sys/fs/cgroup")
        limit, used = (int((group / f"memory.{name}").read_text()) for name in ("max", "current"))
        cached = dict(line.split() for line in (group / "memory.stat").read_text().splitlines())
        free = min(free, limit - used + int(cached.get("inactive_file", 0)))
    return free


def load_sounds(
    paths: Sequence[Path], root: Path, config: RunConfig, device: torch.device | str, progress: Progress | None
) -> Loaded:
    """Decode audio files to recordings (n, W) int16 on `device`, padded with zeros at the end.

    W is the length of the longest recording, at least `config.audio.clip_length` and at most `audio.recording_seconds`.

    Args:
        paths: files to decode.
        root: folder that paths in messages are relative to.

    Raises:
        DataError: the recordings need too much memory.
    """
    rate, length = config.audio.sample_rate, config.audio.clip_length
    longest = max(length, round(config.audio.recording_seconds * rate))

    long: list[str] = []

    def read(path: Path, name: str) -> tuple[np.ndarray, int]:
        sound = decode_audio(read_file(path), name)
        if sound.truncated:
            long.append(name)
        # Cut before resampling, so that a long recording takes no more memory than it will be kept of.
        window = native_window(sound.rate, rate, longest)
        return sound.samples if len(sound.samples) <= window else loudest_window(sound.samples, window), sound.rate

    blocks: list[tuple[Tensor, Tensor]] = []
    rows: list[int] = []
    skipped: list[str] = []
    for chunk in _decoded(paths, root, read, skipped, progress):
        blocks.append(fit_recordings([clip for _, clip in chunk], rate, length, longest, device))
        rows += [row for row, _ in chunk]
        width = max(values.shape[1] for values, _ in blocks)
        check_memory(f"{root.name}: {len(paths)} recordings of {width / rate:.1f} s", 2 * width * len(paths), SHORTER)
    width = max((values.shape[1] for values, _ in blocks), default=length)
    everything = torch.zeros(len(rows), width, dtype=torch.int16, device=device)
    begin = 0
    for values, _ in blocks:
        everything[begin : begin + len(values), : values.shape[1]] = values
        begin += len(values)
    lengths = torch.cat([part for _, part in blocks]) if width > length else None
    return Loaded(everything, lengths, rows, skipped, tuple(sorted(long)))


def load_pictures(
    paths: Sequence[Path], root: Path, side: int, device: torch.device | str, progress: Progress | None
) -> Loaded:
    """Decode image files to (n, 3, side, side) uint8 on `device`.

    Args:
        paths: files to decode.
        root: folder that paths in messages are relative to.
        side: height and width in px.

    Raises:
        DataError: the pictures need too much memory.
    """
    check_memory(f"{root.name}: {len(paths)} pictures of {side} px", 3 * side**2 * len(paths))

    def read(path: Path, name: str) -> Tensor:
        return fit_picture(decode_image(read_file(path), name).pixels, side)

    blocks: list[Tensor] = []
    rows: list[int] = []
    skipped: list[str] = []
    for chunk in _decoded(paths, root, read, skipped, progress):
        blocks.append(torch.stack([picture for _, picture in chunk]).to(device))
        rows += [row for row, _ in chunk]
    empty = torch.zeros(0, 3, side, side, dtype=torch.uint8, device=device)
    return Loaded(torch.cat(blocks) if blocks else empty, None, rows, skipped)


def _decoded(
    paths: Sequence[Path],
    root: Path,
    read: Callable[[Path, str], Fitted],
    skipped: list[str],
    progress: Progress | None,
) -> Iterator[list[tuple[int, Fitted]]]:
    """Yield non-empty chunks of (row, decoded file); unusable files are appended to `skipped`."""

    def attempt(path: Path) -> Fitted | str:
        name = as_text(path.relative_to(root).as_posix())
        try:
            return read(path, name)
        except MediaError as error:
            reason = str(error)
            # `read_file` reports the file name without its folder
            return reason if reason.startswith(name) else f"{name}: {reason.removeprefix(f'{path.name}: ')}"

    with ThreadPoolExecutor(min(4, os.cpu_count() or 1)) as pool:
        for start in range(0, len(paths), _CHUNK):
            batch = paths[start : start + _CHUNK]
            chunk: list[tuple[int, Fitted]] = []
            for row, result in enumerate(pool.map(attempt, batch), start):
                if isinstance(result, str):
                    skipped.append(result)
                else:
                    chunk.append((row, result))
            if progress is not None:
                progress("decoding files", (start + len(batch)) / len(paths))
            if chunk:
                yield chunk
