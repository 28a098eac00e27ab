"""Decode one image file to upright RGB."""

from __future__ import annotations

import io
import threading
import warnings
from dataclasses import dataclass

import numpy as np
from PIL import Image, UnidentifiedImageError

from ..errors import MediaError
from .file_bytes import expect, media_error, sniff
from .phone import HEIF, register_heif

MAX_MEGAPIXELS = 24  # that are decoded; a JPEG with more is decoded at half its size
BACKGROUND = (255, 255, 255)
_PNG = b"\x89PNG\r\n\x1a\n"

_PICTURES = ("PNG", "JPEG", "WEBP", "GIF")
_ORIENTATION = 0x0112
_UPRIGHT = {
    2: Image.Transpose.FLIP_LEFT_RIGHT,
    3: Image.Transpose.ROTATE_180,
    4: Image.Transpose.FLIP_TOP_BOTTOM,
    5: Image.Transpose.TRANSPOSE,
    6: Image.Transpose.ROTATE_270,
    7: Image.Transpose.TRANSVERSE,
    8: Image.Transpose.ROTATE_90,
}
# `warnings.catch_warnings` changes process-wide state: two threads in it at the same time could restore wrong filters.
_warnings_lock = threading.Lock()


@dataclass(frozen=True)
class Picture:
    """A decoded image.

    Attributes:
        pixels: (H, W, 3) uint8 RGB, upright.
        notes: what the decoder changed or ignored, for the user.
    """

    pixels: np.ndarray
    notes: tuple[str, ...] = ()


def decode_image(data: bytes, name: str) -> Picture:
    """Decode an image file to upright RGB.

    Only the first frame of an animation is used, transparent parts are laid over white, and 16-bit gray is scaled to 8
    bits.

    Args:
        data: content of the file.
        name: file name, used in messages only.

    Raises:
        MediaError: the file is unsupported, damaged, truncated, or empty, or has more than 24 megapixels (a JPEG: 89).

    Example:
        >>> file = io.BytesIO()
        >>> Image.new("RGB", (4, 3), "red").save(file, "PNG")
        >>> decode_image(file.getvalue(), "red.png").pixels.shape
        (3, 4, 3)
    """
    expect("picture", data, name)
    notes: list[str] = []
    formats: tuple[str, ...] = _PICTURES
    if sniff(data)[1] == HEIF:
        register_heif(name)
        formats = (HEIF,)
    try:
        with _warnings_lock, warnings.catch_warnings():
            warnings.simplefilter("ignore")
            warnings.simplefilter("error", Image.DecompressionBombWarning)
            image: Image.Image = Image.open(io.BytesIO(_without_text(data)), formats=formats)
            width, height = image.size
            animated = bool(getattr(image, "is_animated", False))
        if width * height > MAX_MEGAPIXELS * 1e6 and image.draft("RGB", (width // 2, height // 2)):
            notes.append(f"{width}×{height} pixels: decoded at half its size")
            width, height = image.size
        if width * height > MAX_MEGAPIXELS * 1e6:
            raise media_error(name, f"{width}×{height} pixels; at most {MAX_MEGAPIXELS} megapixels are taken")
        if animated:
            notes.append("only the first of its frames was used")
        image.load()
        pixels = _to_rgb(image, notes)
    except (Image.DecompressionBombError, Image.DecompressionBombWarning):
        raise media_error(
            name, f"declares far too many pixels; at most {MAX_MEGAPIXELS} megapixels are taken"
        ) from None
    except MediaError:
        raise
    except MemoryError:
        raise media_error(name, "needs more memory than one file may take") from None
    except UnidentifiedImageError:
        raise media_error(name, f"damaged {sniff(data)[1]} header") from None
    except Exception as error:  # Pillow raises OSError, ValueError, SyntaxError, struct.error, … on malformed data
        raise media_error(name, f"damaged picture ({str(error) or type(error).__name__})") from None
    if not pixels.size:
        raise media_error(name, "a picture without pixels")
    return Picture(pixels, tuple(notes))


def _without_text(data: bytes) -> bytes:
    """A PNG without its text, which Pillow refuses where it is long, however sound the pixels are."""
    if not data.startswith(_PNG):
        return data
    kept, at = [_PNG], len(_PNG)
    while at + 12 <= len(data):
        length, kind = int.from_bytes(data[at : at + 4], "big"), data[at + 4 : at + 8]
        if kind not in (b"tEXt", b"zTXt", b"iTXt"):
            kept.append(data[at : at + 12 + length])
        at += 12 + length
    return b"".join([*kept, data[at:]])


def _to_rgb(image: Image.Image, notes: list[str]) -> np.ndarray:
    """Convert a loaded image of any mode to (H, W, 3) uint8; appends to `notes`."""
    transpose = _UPRIGHT.get(_orientation(image, notes))
    if transpose is not None:
        notes.append("turned upright by its EXIF tag")
    if image.mode.startswith("I"):  # Pillow's own conversion would clip 16-bit gray to white
        notes.append("16-bit gray was scaled to 8 bits")
        image = Image.fromarray((np.asarray(image).clip(0, 65_535) / 257 + 0.5).astype(np.uint8))
    if image.has_transparency_data:
        image = image.convert("RGBA")
        if image.getchannel("A").getextrema() != (255, 255):
            notes.append("transparent parts were laid over white")
        image = Image.alpha_composite(Image.new("RGBA", image.size, (*BACKGROUND, 255)), image)
    image = image.convert("RGB")
    return np.asarray(image if transpose is None else image.transpose(transpose)).copy()


def _orientation(image: Image.Image, notes: list[str]) -> int:
    """The EXIF orientation from 1 (upright) to 8; 1 if the EXIF block is broken. Appends to `notes`."""
    with _warnings_lock, warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        try:
            exif = Image.Exif()  # `image.getexif` would take the orientation from XMP too, which browsers do not
            exif.load(image.info.get("exif", b""))
            value = int(exif.get(_ORIENTATION, 1))
        except Exception:  # the image itself may be usable although its EXIF block is broken
            value = 0
    if caught or not value:
        notes.append("its EXIF block is broken and was ignored")
        return 1
    return value
