"""Formats that phones and browsers record, read by optional libraries: MP4 and WebM by PyAV, HEIF by pillow-heif.

`pip install ".[phone]"` installs both. Without one, its formats are refused with a sentence that names it.
"""

from __future__ import annotations

import io
from importlib.util import find_spec

import numpy as np
import soundfile

from .file_bytes import media_error

CONTAINERS = ("MP4", "WebM", "AAC")  # sounds that libsndfile does not read
HEIF = "HEIF"


def as_wav(data: bytes, name: str, form: str, seconds: float, most_channels: int) -> bytes:
    """Return the first sound track of a file as 32-bit float WAV, at most `seconds` and one frame of it.

    Args:
        data: content of the file. name: in messages. form: one of `CONTAINERS`.
        seconds: how much is decoded. most_channels: more are refused before anything is decoded.

    Raises:
        MediaError: PyAV is not installed, there is no sound track, or it is damaged or has too many channels.
    """
    if find_spec("av") is None:
        raise _missing(name, form, "PyAV")
    import av

    try:
        with av.open(io.BytesIO(data), "r", metadata_errors="ignore") as file:
            if not file.streams.audio:
                raise media_error(name, f"{form} media without a sound track")
            stream = file.streams.audio[0]
            rate, channels = int(stream.rate), int(stream.channels)
            if channels > most_channels:
                raise media_error(name, f"{channels} channels; at most {most_channels} are taken")
            as_floats = av.AudioResampler(format="fltp", layout=stream.layout, rate=rate)
            blocks: list[np.ndarray] = []
            left = int(seconds * rate) + 1
            for frame in file.decode(stream):
                for part in as_floats.resample(frame):
                    blocks.append(part.to_ndarray().T[:left])
                    left -= len(blocks[-1])
                if left <= 0:
                    break
    except av.FFmpegError as error:
        raise media_error(name, f"damaged sound ({error.strerror})") from None
    samples = np.concatenate(blocks) if blocks else np.zeros((0, channels), np.float32)
    wav = io.BytesIO()
    soundfile.write(wav, samples, rate, "FLOAT", format="WAV")
    return wav.getvalue()


def register_heif(name: str) -> None:
    """Let Pillow read HEIF pictures.

    Raises:
        MediaError: pillow-heif is not installed.
    """
    if find_spec("pillow_heif") is None:
        raise _missing(name, "a HEIF picture", "pillow-heif")
    import pillow_heif

    pillow_heif.register_heif_opener(thumbnails=False)


def _missing(name: str, form: str, library: str) -> Exception:
    command = 'in the folder of CPC Lab, pip install ".[phone]"'
    return media_error(name, f"{form} is read where {library} is installed ({command})")
