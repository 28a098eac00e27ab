"""Read media files with a size limit, recognize their format by content, and reject unsupported ones."""

from __future__ import annotations

from pathlib import Path
from typing import Literal

from ..errors import MediaError

MAX_FILE_BYTES = 64 * 2**20
# Limits of the process that decodes an untrusted file:
MAX_MEMORY = 2**30  # bytes of address space
MAX_DECODE_SECONDS = 10  # wall-clock time
SUPPORTED = "WAV, FLAC, OGG and MP3 sounds, PNG, JPEG, WebP and GIF pictures"
# Endings of files that are taken from an upload; what they hold is seen from their content.
SOUNDS = (".wav", ".flac", ".ogg", ".mp3", ".m4a", ".mp4", ".aac", ".webm")
PICTURES = (".png", ".jpg", ".jpeg", ".webp", ".gif", ".heic", ".heif")
_HEIF = (b"heic", b"heix", b"heim", b"heis", b"hevc", b"mif1", b"msf1")


def read_file(path: str | Path) -> bytes:
    """Read one file from disk.

    Raises:
        MediaError: the file does not exist, is not a plain file, is empty, is larger than 64 MiB, or is not readable.
    """
    path = Path(path)
    try:
        if not path.exists():
            raise media_error(path.name, "no such file")
        if not path.is_file():
            raise media_error(path.name, "a folder" if path.is_dir() else "not a plain file")
        with path.open("rb") as file:
            data = file.read(MAX_FILE_BYTES + 1)
    except OSError as error:
        raise media_error(path.name, f"cannot be read ({error.strerror or error})") from None
    check_size(data, path.name)
    return data


def sniff(data: bytes) -> tuple[Literal["sound", "picture", "other"], str]:
    """Recognize a file by its first bytes.

    Returns:
        The kind ("other" for everything that is not decoded here) and the name of the format. MP4, WebM, AAC, and HEIF
        need an optional library (see `phone`).

    Example:
        >>> sniff(b"fLaC...")
        ('sound', 'FLAC')
    """
    head, box = data[:4], data[8:12]
    if head in (b"RIFF", b"RIFX", b"RF64") and box == b"WAVE":
        return "sound", "WAV"
    for magic, name in ((b"fLaC", "FLAC"), (b"OggS", "OGG"), (b"ID3", "MP3")):
        if data.startswith(magic):
            return "sound", name
    if len(data) > 1 and data[0] == 0xFF and data[1] & 0xE6 == 0xE2:  # MPEG frame sync, layer III
        return "sound", "MP3"
    if head == b"\x1aE\xdf\xa3":
        return "sound", "WebM"
    if len(data) > 1 and data[0] == 0xFF and data[1] & 0xF6 == 0xF0:  # frame sync of ADTS
        return "sound", "AAC"
    if data[4:8] == b"ftyp" and box not in (b"avif", b"avis"):
        return ("picture", "HEIF") if box in _HEIF else ("sound", "MP4")
    if head == b"RIFF" and box == b"WEBP":
        return "picture", "WebP"
    for magic, name in ((b"\x89PNG\r\n\x1a\n", "PNG"), (b"\xff\xd8\xff", "JPEG"), (b"GIF8", "GIF")):
        if data.startswith(magic):
            return "picture", name
    return "other", _unsupported_format(data)


def _unsupported_format(data: bytes) -> str:
    """The name of a well-known format that is not supported, or "" if the format is unknown."""
    if data[4:8] == b"ftyp":
        return "an AVIF picture"
    table = {
        b"FORM": "an AIFF sound",
        b"II*\0": "a TIFF picture",
        b"MM\0*": "a TIFF picture",
        b"BM": "a BMP picture",
        b"%PDF": "a PDF document",
        b"PK\x03\x04": "a ZIP archive",
    }
    return next((name for magic, name in table.items() if data.startswith(magic)), "")


def expect(kind: str, data: bytes, name: str) -> None:
    """Check that the bytes look like a supported file of one kind.

    Args:
        kind: "sound" or "picture".

    Raises:
        MediaError: they do not, or the size is not accepted.
    """
    check_size(data, name)
    actual, form = sniff(data)
    if actual == kind:
        return
    if actual != "other":
        raise media_error(name, f"a {form} {actual}, not a {kind}")
    if data.startswith(b"version https://git-lfs"):
        raise media_error(name, "looks like a Git LFS pointer: the real file was never fetched (git lfs pull)")
    raise media_error(name, f"{form or 'an unknown format'} is not supported (supported: {SUPPORTED})")


def check_size(data: bytes, name: str) -> None:
    """Raise MediaError if a file is empty or larger than `MAX_FILE_BYTES`."""
    if not data:
        raise media_error(name, "empty file")
    if len(data) > MAX_FILE_BYTES:
        raise media_error(name, f"larger than {MAX_FILE_BYTES // 2**20} MiB")


def media_error(name: str, reason: str) -> MediaError:
    """Build a one-line error "name: reason", without line breaks or control characters from untrusted input.

    Example:
        >>> print(media_error("a\\nb.wav", "not\\nreadable"))
        a?b.wav: not readable
    """
    shown = "".join(c if c.isprintable() else "?" for c in name[-120:]) or "unnamed"
    return MediaError(f"{shown}: {' '.join(reason.split())}")
