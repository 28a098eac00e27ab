"""Pictures: orientation, transparency, limits."""

from __future__ import annotations

import io

import numpy as np
import pytest
from PIL import Image
from PIL.PngImagePlugin import PngInfo

from cpc_engine import media
from cpc_engine.errors import MediaError
from tests.support.media_files import png, wav


def test_transparent_parts_are_white() -> None:
    buffer = io.BytesIO()
    Image.new("RGBA", (8, 8), (0, 0, 0, 0)).save(buffer, "PNG")
    assert media.decode_image(buffer.getvalue(), "clear.png").pixels.min() == 255


@pytest.mark.parametrize("orientation", range(1, 9))
def test_every_exif_orientation_matches_pillow(orientation: int) -> None:
    from PIL import ImageOps

    noise = np.random.default_rng(0).integers(0, 255, (6, 9, 3), dtype=np.uint8)
    image = Image.fromarray(noise)
    exif = Image.Exif()
    exif[0x0112] = orientation
    buffer = io.BytesIO()
    image.save(buffer, "PNG", exif=exif)
    with Image.open(buffer) as stored:
        expected = np.asarray(ImageOps.exif_transpose(stored).convert("RGB"))
    np.testing.assert_array_equal(media.decode_image(buffer.getvalue(), "x.png").pixels, expected)


def test_image_above_the_limit_is_rejected_before_decoding() -> None:
    data = png((6000, 4001), "1")
    with pytest.raises(MediaError, match=r"6000×4001 pixels; at most 24 megapixels"):
        media.decode_image(data, "big.png")


@pytest.mark.parametrize("form", ["TIFF", "BMP"])
def test_unsupported_image_formats_are_named(form: str) -> None:
    with pytest.raises(MediaError, match=f"a {form} picture is not supported"):
        media.decode(png(form=form), "x.png")


def test_wrong_kind_is_named() -> None:
    with pytest.raises(MediaError, match="a PNG picture, not a sound"):
        media.decode_audio(png(), "x.wav")
    with pytest.raises(MediaError, match="a WAV sound, not a picture"):
        media.decode_image(wav(np.zeros(800)), "x.png")


def test_a_large_photograph_is_decoded_at_half_its_size() -> None:
    buffer = io.BytesIO()
    exif = Image.Exif()
    exif[0x0112] = 6
    Image.new("RGB", (5712, 4284), "red").save(buffer, "JPEG", exif=exif)
    picture = media.decode_image(buffer.getvalue(), "phone.jpg")
    assert picture.pixels.shape == (2856, 2142, 3)
    assert picture.notes[0] == "5712×4284 pixels: decoded at half its size"


@pytest.mark.parametrize("compressed", [True, False])
def test_the_text_of_a_png_is_not_read(compressed: bool) -> None:
    image = Image.fromarray(np.arange(4 * 5 * 3, dtype=np.uint8).reshape(4, 5, 3))
    info = PngInfo()
    info.add_text("comment", "x" * 3_000_000, zip=compressed)
    buffer = io.BytesIO()
    image.save(buffer, "PNG", pnginfo=info)
    picture = media.decode_image(buffer.getvalue(), "long.png")
    np.testing.assert_array_equal(picture.pixels, np.asarray(image))
