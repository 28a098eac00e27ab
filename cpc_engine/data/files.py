"""Many files to one tensor: a small thread pool decodes, bad files are skipped and named."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import TypeVar

import numpy as np
import torch
from torch import Tensor

from ..config import RunConfig
from ..errors import DataError, MediaError
from ..media import decode_audio, decode_image, fit_clips, fit_picture, loudest_window, native_window, read_file

Progress = Callable[[str, float], None]  # (what is being done, share done from 0 to 1)
Fitted = TypeVar("Fitted")
_CHUNK = 512  # files decoded before they are resampled together: bounds the memory of decoded sound


@dataclass(frozen=True)
class Loaded:
    """Usable files: `values` (n, …) in the order of `rows`, which index the paths given; `skipped` name the others."""

    values: Tensor
    rows: list[int]
    skipped: list[str]


def clip_length(config: RunConfig) -> int:
    """Samples per clip."""
    return round(config.audio.clip_seconds * config.audio.sample_rate)


def class_folders(root: Path) -> dict[str, list[Path]]:
    """{class name: its files, found recursively}, in sorted order; names that start with a dot are left out.

    Raises:
        DataError: no such folder, not a folder, or no sub-folders with files.
    """
    if not root.exists():
        raise DataError(f"no such folder: {root}")
    if not root.is_dir():
        raise DataError(f"not a folder: {root}")
    folders = sorted(path for path in root.iterdir() if path.is_dir() and not path.name.startswith("."))
    found = {folder.name: _files_below(folder) for folder in folders}
    if not any(found.values()):
        raise DataError(f"no files in {root}: it needs one sub-folder per class with files in it")
    return found


def _files_below(folder: Path) -> list[Path]:
    files = (path for path in folder.rglob("*") if path.is_file())
    return sorted(path for path in files if not any(part.startswith(".") for part in path.relative_to(folder).parts))


def load_sounds(
    paths: Sequence[Path], root: Path, config: RunConfig, device: torch.device | str, progress: Progress | None
) -> Loaded:
    """Clips (n, L) int16 on `device`; `root` is where names in messages start."""
    rate, length = config.audio.sample_rate, clip_length(config)

    def read(path: Path, name: str) -> tuple[np.ndarray, int]:
        sound = decode_audio(read_file(path), name)
        # cut here already, so that only the clip's length of a long recording is kept
        return loudest_window(sound.samples, native_window(sound.rate, rate, length)), sound.rate

    blocks: list[Tensor] = []
    rows: list[int] = []
    skipped: list[str] = []
    for chunk in _decoded(paths, root, read, skipped, progress):
        blocks.append(fit_clips([clip for _, clip in chunk], rate, length, device))
        rows += [row for row, _ in chunk]
    empty = torch.zeros(0, length, dtype=torch.int16, device=device)
    return Loaded(torch.cat(blocks) if blocks else empty, rows, skipped)


def load_pictures(
    paths: Sequence[Path], root: Path, side: int, device: torch.device | str, progress: Progress | None
) -> Loaded:
    """Pictures (n, 3, side, side) uint8 on `device`; `root` is where names in messages start."""

    def read(path: Path, name: str) -> Tensor:
        return fit_picture(decode_image(read_file(path), name).pixels, side)

    blocks: list[Tensor] = []
    rows: list[int] = []
    skipped: list[str] = []
    for chunk in _decoded(paths, root, read, skipped, progress):
        blocks.append(torch.stack([picture for _, picture in chunk]).to(device))
        rows += [row for row, _ in chunk]
    empty = torch.zeros(0, 3, side, side, dtype=torch.uint8, device=device)
    return Loaded(torch.cat(blocks) if blocks else empty, rows, skipped)


def _decoded(
    paths: Sequence[Path],
    root: Path,
    read: Callable[[Path, str], Fitted],
    skipped: list[str],
    progress: Progress | None,
) -> Iterator[list[tuple[int, Fitted]]]:
    """Chunks of (row, decoded file), never empty; files that cannot be used are added to `skipped`."""

    def attempt(path: Path) -> Fitted | str:
        name = path.relative_to(root).as_posix()
        try:
            return read(path, name)
        except MediaError as error:
            reason = str(error)
            # `read_file` knows the bare name only
            return reason if reason.startswith(name) else f"{name}: {reason.removeprefix(f'{path.name}: ')}"

    with ThreadPoolExecutor(min(4, os.cpu_count() or 1)) as pool:
        for start in range(0, len(paths), _CHUNK):
            some = paths[start : start + _CHUNK]
            chunk: list[tuple[int, Fitted]] = []
            for row, result in enumerate(pool.map(attempt, some), start):
                if isinstance(result, str):
                    skipped.append(result)
                else:
                    chunk.append((row, result))
            if progress is not None:
                progress("decoding files", (start + len(some)) / len(paths))
            if chunk:
                yield chunk
