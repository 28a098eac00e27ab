"""Unpack an untrusted zip file of sounds and pictures: nothing leaves its folder, and nothing grows without a limit."""

from __future__ import annotations

import os
import re
import stat
import zipfile
import zlib
from pathlib import Path, PurePosixPath
from typing import BinaryIO

from ..errors import MediaError
from .file_bytes import MAX_FILE_BYTES, PICTURES, SOUNDS

MAX_FILES = 20_000
MAX_BYTES = 2 * 2**30  # of all files together, unpacked
# What zipfile raises for damaged files; the last two for a compression that it lacks and for an encrypted member.
UNREADABLE = (zipfile.BadZipFile, zipfile.LargeZipFile, EOFError, zlib.error, NotImplementedError, RuntimeError)


def unpack(archive: BinaryIO, target: Path) -> list[str]:
    """Write the sounds and pictures of a zip file below `target`, in the folders that they have there.

    Names decide only what is left out; contents are decoded, and checked, where they are read. Hidden files are left
    out without a word.

    Args:
        archive: the zip file, opened for reading.
        target: an empty folder, or one that does not exist yet.

    Returns:
        One line "path: reason" for each file that was left out.

    Raises:
        MediaError: it is no zip file, is encrypted or damaged, holds links or paths that lead out of it, unpacks to
            more than 20 000 files or 2 GiB, or has neither sounds nor pictures. Nothing is kept then.

    Example:
        >>> import io
        >>> unpack(io.BytesIO(b"no zip"), Path("nowhere"))
        Traceback (most recent call last):
        cpc_engine.errors.MediaError: this is not a zip file
    """
    try:
        with zipfile.ZipFile(archive) as opened:
            wanted, skipped = _wanted(opened)
            for info in wanted:
                _write(opened, info, target)
    except (*UNREADABLE, ValueError) as error:
        if isinstance(error, zipfile.BadZipFile) and not zipfile.is_zipfile(archive):
            raise MediaError("this is not a zip file") from None
        raise MediaError(f"the zip file is damaged or of a kind that is not read here ({error})") from None
    return skipped


def safe_path(info: zipfile.ZipInfo) -> PurePosixPath:
    """The path of a member within the zip file; some programs of Windows write it with backslashes.

    Raises:
        MediaError: it leads out of the file's folder, is a link or a special file, or is encrypted.
    """
    path = PurePosixPath(info.filename.replace("\\", "/"))
    if not path.parts or path.is_absolute() or ".." in path.parts or _has_drive(path.parts[0]):
        raise MediaError(f"the zip file has a path that leads out of it: {info.filename!r}")
    if (kind := stat.S_IFMT(info.external_attr >> 16)) and kind != stat.S_IFREG:
        raise MediaError(f"the zip file has a link or a special file: {info.filename!r}")
    if info.flag_bits & 1:
        raise MediaError("the zip file is encrypted")
    return path


def _has_drive(part: str) -> bool:
    """Whether a path that begins with `part` names a drive; on Windows any sign before a colon is one."""
    return ":" in part if os.name == "nt" else bool(re.fullmatch("[A-Za-z]:", part))


def _wanted(opened: zipfile.ZipFile) -> tuple[list[zipfile.ZipInfo], list[str]]:
    """The members to write, and a line for each of the others; raises before anything is written."""
    members = [info for info in opened.infolist() if not info.filename.endswith(("/", "\\"))]
    if len(members) > MAX_FILES:
        raise MediaError(f"the zip file holds {len(members):,} files; {MAX_FILES:,} are the most")
    wanted: dict[str, zipfile.ZipInfo] = {}
    skipped = []
    for info in members:
        path = safe_path(info)
        if any(part.startswith((".", "__MACOSX")) for part in path.parts):
            continue
        if path.suffix.lower() not in (*SOUNDS, *PICTURES):
            skipped.append(f"{info.filename}: neither a sound nor a picture")
        elif info.file_size > MAX_FILE_BYTES:
            skipped.append(f"{info.filename}: unpacks to {info.file_size / 2**20:,.0f} MiB; 64 MiB are the most")
        elif str(path) in wanted:
            skipped.append(f"{info.filename}: there twice")
        else:
            wanted[str(path)] = info
    size = sum(info.file_size for info in wanted.values())
    if size > MAX_BYTES:
        raise MediaError(f"the zip file unpacks to {size / 2**30:.1f} GiB; 2 GiB are the most")
    if not wanted:
        hint = f" (left out: {skipped[0]})" if skipped else ""
        raise MediaError(f"the zip file holds no sounds and no pictures{hint}")
    return list(wanted.values()), skipped


def _write(opened: zipfile.ZipFile, info: zipfile.ZipInfo, target: Path) -> None:
    path = target / safe_path(info)
    path.parent.mkdir(parents=True, exist_ok=True)
    with opened.open(info) as source:  # which checks the length that the header gives, and the checksum
        path.write_bytes(source.read(MAX_FILE_BYTES + 1))
