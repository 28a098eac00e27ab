"""Decode untrusted audio and image files to arrays, and resample them to the input format of the networks.

The format is recognized by content, never by file name, and must be on a short list. Every size that a header declares
is checked before memory is allocated for it, and every exception of a decoder becomes a one-line `MediaError`. `decode`
runs in this process. `decode_sandboxed` runs in a worker process that may crash; use it for input from other people.
"""

from __future__ import annotations

from .file_bytes import MAX_FILE_BYTES, PICTURES, SOUNDS, SUPPORTED, read_file, sniff
from .picture import Picture, decode_image
from .resample import fit_clips, fit_picture, fit_recordings, loudest_window, native_window
from .sandbox import decode_sandboxed, start_sandbox
from .sound import Sound, decode_audio

__all__ = [
    "MAX_FILE_BYTES",
    "PICTURES",
    "SOUNDS",
    "SUPPORTED",
    "Picture",
    "Sound",
    "decode",
    "decode_audio",
    "decode_image",
    "decode_sandboxed",
    "fit_clips",
    "fit_picture",
    "fit_recordings",
    "loudest_window",
    "native_window",
    "read_file",
    "sniff",
    "start_sandbox",
]


def decode(data: bytes, name: str) -> Sound | Picture:
    """Decode an audio or image file, whichever the bytes contain.

    Args:
        data: content of the file.
        name: file name, used in messages only.

    Raises:
        MediaError: the file is unsupported, damaged, or too large. The message is one line, "name: reason".

    Example:
        >>> decode(b"hello", "note.txt")  # doctest: +ELLIPSIS
        Traceback (most recent call last):
        cpc_engine.errors.MediaError: note.txt: an unknown format is not supported (supported: WAV, ...)
    """
    return decode_audio(data, name) if sniff(data)[0] == "sound" else decode_image(data, name)
