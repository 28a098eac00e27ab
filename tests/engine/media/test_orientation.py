"""Which way is up is what EXIF says, as in browsers; XMP and later pictures of a file say nothing about it."""

from __future__ import annotations

import io
from typing import Any

import numpy as np
import pytest
from PIL import Image
from PIL.PngImagePlugin import PngInfo

from cpc_engine import media

NOISE = np.random.default_rng(0).integers(0, 255, (6, 9, 3), dtype=np.uint8)
ATTRIBUTE, ELEMENT = 'tiff:Orientation="{}"', "><tiff:Orientation>{}</tiff:Orientation"


def xmp(orientation: int, form: str = ATTRIBUTE) -> bytes:
    text = f'<x:xmpmeta xmlns:x="adobe:ns:meta/"><rdf:Description {form.format(orientation)}/></x:xmpmeta>'
    return text.encode()


def stored(kind: str, exif: int | None, other: bytes | None) -> bytes:
    """A picture with an orientation in EXIF, in XMP, in both, or in neither."""
    options: dict[str, Any] = {"lossless": True} if kind == "WEBP" else {}
    if exif is not None:
        block = Image.Exif()
        block[0x0112] = exif
        options["exif"] = block
    if other is not None and kind == "PNG":
        options["pnginfo"] = PngInfo()
        options["pnginfo"].add_itxt("XML:com.adobe.xmp", other.decode())
    elif other is not None:
        options["xmp"] = other
    buffer = io.BytesIO()
    Image.fromarray(NOISE).save(buffer, kind, **options)
    return buffer.getvalue()


@pytest.mark.parametrize("kind", ["JPEG", "PNG", "WEBP"])
@pytest.mark.parametrize("form", [ATTRIBUTE, ELEMENT])
@pytest.mark.parametrize("exif", [None, 1, 3, 6])
@pytest.mark.parametrize("other", [3, 6, 8])
def test_orientation_is_that_of_exif_alone(kind: str, form: str, exif: int | None, other: int) -> None:
    without = media.decode_image(stored(kind, exif, None), "x")
    picture = media.decode_image(stored(kind, exif, xmp(other, form)), "x")
    assert picture.pixels.shape == ((9, 6, 3) if exif == 6 else (6, 9, 3))
    assert picture.notes == without.notes == (() if exif in (None, 1) else ("turned upright by its EXIF tag",))
    np.testing.assert_array_equal(picture.pixels, without.pixels)


def test_exif_without_an_orientation_does_not_make_that_of_xmp_count() -> None:
    block = Image.Exif()
    block[0x010F] = "a camera"
    buffer = io.BytesIO()
    Image.fromarray(NOISE).save(buffer, "JPEG", exif=block, xmp=xmp(6))
    assert media.decode_image(buffer.getvalue(), "x.jpg").pixels.shape == (6, 9, 3)


def test_of_several_pictures_in_a_jpeg_the_first_is_read() -> None:
    block = Image.Exif()
    block[0x0112] = 6
    first, second = (Image.new("RGB", size, color) for size, color in (((16, 8), "red"), ((24, 24), "blue")))
    buffer = io.BytesIO()
    first.save(buffer, "MPO", save_all=True, append_images=[second], exif=block)
    with Image.open(io.BytesIO(buffer.getvalue())) as opened:
        assert opened.format == "MPO"
    for decode in (media.decode_image, media.decode_sandboxed):
        picture = decode(buffer.getvalue(), "x.jpg")
        assert isinstance(picture, media.Picture)
        assert picture.pixels.shape == (16, 8, 3)
        assert (picture.pixels.reshape(-1, 3).mean(0) > (200, -1, -1)).all()
        assert (picture.pixels.reshape(-1, 3).mean(0) < (256, 40, 40)).all()
        assert picture.notes == ("only the first of its frames was used", "turned upright by its EXIF tag")


@pytest.mark.parametrize("progressive", [False, True])
def test_a_photograph_of_48_megapixels_is_read_within_the_limits(progressive: bool) -> None:
    """As of the main camera of today's phones; the sandbox limits its time and memory."""
    small = np.random.default_rng(1).integers(0, 255, (63, 84, 3), dtype=np.uint8)
    buffer = io.BytesIO()
    Image.fromarray(small).resize((8064, 6048)).save(buffer, "JPEG", progressive=progressive)
    picture = media.decode_sandboxed(buffer.getvalue(), "phone.jpg")
    assert isinstance(picture, media.Picture)
    assert picture.pixels.shape == (3024, 4032, 3)
    assert picture.notes == ("8064×6048 pixels: decoded at half its size",)
