"""Bytes of strangers to arrays: decode one sound or picture, then fit it to what the networks take.

Decoding goes by content and never by a file's name, against a short list of formats. Every size that a header declares
is checked before memory is spent on it, and whatever a decoder raises becomes one `MediaError` line. `decode` works in
this process; `decode_sandboxed` in one that may crash, for bytes of people who cannot be trusted.
"""

from __future__ import annotations

from .fitting import fit_clip, fit_clips, fit_picture, loudest_window, native_window
from .picture import Picture, decode_image
from .sandbox import decode_sandboxed, start_sandbox
from .sound import Sound, decode_audio
from .source import MAX_FILE_BYTES, SUPPORTED, read_file, sniff

__all__ = [
    "MAX_FILE_BYTES",
    "SUPPORTED",
    "Picture",
    "Sound",
    "decode",
    "decode_audio",
    "decode_image",
    "decode_sandboxed",
    "fit_clip",
    "fit_clips",
    "fit_picture",
    "loudest_window",
    "native_window",
    "read_file",
    "sniff",
    "start_sandbox",
]


def decode(data: bytes, name: str) -> Sound | Picture:
    """A sound or a picture, whichever the bytes are; `name` only serves messages.

    Raises:
        MediaError: one line, "name: reason".
    """
    return decode_audio(data, name) if sniff(data)[0] == "sound" else decode_image(data, name)
