"""Telephone keys, tones, uploads and the camera in a real browser, placed on the runs that ship."""

from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
import soundfile
from PIL import Image

from cpc_engine.data import load_dataset
from cpc_engine.data.signals import synthesize
from cpc_engine.storage.folder import RunFolder
from tests.support.paths import REPOSITORY

if TYPE_CHECKING:
    from playwright.sync_api import Page

    from tests.support.browser import Visit

pytest_plugins = ["tests.support.browser"]
pytestmark = [pytest.mark.browser, pytest.mark.slow]

ROOT = REPOSITORY
MAP = "[class*='st-key-place-'] .cpc-scatter"
STARS = f"document.querySelector({MAP!r})?._fullData?.find((trace) => trace.name === 'lit')?.x.length"


@pytest.fixture(scope="module")
def lab(tmp_path_factory: pytest.TempPathFactory) -> Any:
    """Address of the app over the shipped runs."""
    from tests.support.browser import streamlit_server

    log = tmp_path_factory.mktemp("lab") / "server.log"
    with streamlit_server(ROOT / "app.py", log, env={"CPC_RUNS": str(ROOT / "checkpoints")}, fresh=False) as url:
        yield url


def heard(page: Page) -> str:
    """All that the card of the first item says, once its point is lit."""
    page.wait_for_selector(f"{MAP} .nsewdrag", timeout=120_000)
    microphone = page.locator(".st-key-mic")
    microphone.get_by_role("button", name="Record").click()
    stop = microphone.get_by_role("button", name="Stop recording")
    stop.wait_for()  # it hears from now on
    page.wait_for_timeout(1600)
    stop.click()
    page.wait_for_function(f"{STARS} === 1")
    card = page.locator(".st-key-placed-1")
    card.get_by_text("Likeliest class").wait_for()
    return card.inner_text()


@pytest.mark.parametrize(  # every key and every tone is placed without a browser, in the tests of the examples
    ("run", "sound", "expected"),
    [
        ("example-keypad", {"kind": "dtmf", "key": "0"}, "0"),
        ("example-keypad", {"kind": "dtmf", "key": "7"}, "7"),
        ("example-tones", {"kind": "tone", "frequency": 880.0}, "880 Hz"),
    ],
)
def test_a_recording_at_48_khz_lands_among_its_kind(
    lab: str,
    hearing: Callable[[Path], Callable[..., Visit]],
    tmp_path: Path,
    run: str,
    sound: dict[str, Any],
    expected: str,
) -> None:
    wav = tmp_path / "microphone.wav"
    soundfile.write(wav, synthesize(**sound, noise=0.002, rate=48000, seconds=4.0), 48000, subtype="PCM_16")
    seen = hearing(wav)(f"{lab}/place?run={run}")
    words = heard(seen.page)
    assert f"Likeliest class: {expected}, " in words
    near, alike = map(int, re.search(r"Of its (\d+) nearest held-out items (\d+) are of that class", words).groups())
    assert alike > near / 2
    assert seen.errors == []
    assert seen.foreign == []


def test_uploaded_handwritten_digits_land_among_their_kind(
    lab: str, visit: Callable[..., Visit], tmp_path: Path
) -> None:
    test = load_dataset(RunFolder.open("example-keypad", ROOT / "checkpoints").config()).test
    assert test.image is not None
    files = []
    for digit in range(10):
        row = int((test.labels == digit).nonzero()[0])
        files.append(tmp_path / f"digit-{digit}.png")
        Image.fromarray(test.image[row].permute(1, 2, 0).numpy()).save(files[-1])
    page = visit(f"{lab}/place?run=example-keypad").page
    page.wait_for_selector(f"{MAP} .nsewdrag", timeout=120_000)
    page.get_by_role("button", name="Files").or_(page.get_by_role("radio", name="Files")).first.click()
    page.get_by_test_id("stFileUploaderDropzoneInput").set_input_files(files)
    page.wait_for_function(f"{STARS} === 10", timeout=120_000)
    right = []
    for number in range(1, 11):
        card = page.locator(f".st-key-placed-{number}")
        card.get_by_text("Likeliest class").wait_for()
        words = card.inner_text()
        digit = re.search(r"digit-(\d)\.png", words)
        assert digit is not None
        right.append(f"Likeliest class: {digit[1]}, " in words)
    assert sum(right) >= 9, "the probe reads 97 of 100 held-out digits"


# Mean brightness of the left and the right third of a picture.
THIRDS = """async (picture) => {
  await picture.decode();
  const pen = document.createElement("canvas").getContext("2d");
  const { naturalWidth: width, naturalHeight: height } = picture;
  Object.assign(pen.canvas, { width, height });
  pen.drawImage(picture, 0, 0);
  return [0, (2 * width) / 3].map((left) => {
    const values = pen.getImageData(left, 0, width / 3, height).data.filter((_, index) => index % 4 < 3);
    return values.reduce((sum, value) => sum + value, 0) / values.length;
  });
}"""


def half_dark(path: Path) -> Path:
    """A film of a picture that is dark on the left and light on the right."""
    luma = np.full((480, 640), 16, np.uint8)
    luma[:, 320:] = 235
    frame = b"FRAME\n" + luma.tobytes() + np.full(640 * 480 // 2, 128, np.uint8).tobytes()
    path.write_bytes(b"YUV4MPEG2 W640 H480 F10:1 Ip A1:1 C420jpeg\n" + 3 * frame)
    return path


def test_a_photo_of_the_camera_gets_its_card_and_is_not_mirrored(
    lab: str, hearing: Callable[..., Callable[..., Visit]], tmp_path: Path
) -> None:
    silence = tmp_path / "silence.wav"
    soundfile.write(silence, np.zeros(48000), 48000, subtype="PCM_16")
    page = hearing(silence, half_dark(tmp_path / "half.y4m"))(f"{lab}/place?run=example-keypad").page
    page.wait_for_selector(f"{MAP} .nsewdrag", timeout=120_000)
    page.get_by_role("button", name="Camera").or_(page.get_by_role("radio", name="Camera")).first.click()
    page.get_by_text("Use the camera").click()
    page.wait_for_function("document.querySelector('video')?.readyState >= 2")
    page.get_by_role("button", name="Take Photo").click()
    page.wait_for_function(f"{STARS} === 1")
    card = page.locator(".st-key-placed-1")
    card.get_by_text("What it sees").wait_for()
    assert "not meaningful" in card.inner_text(), "the camera's picture is no handwritten digit"
    left, right = card.get_by_alt_text("as the network sees it").evaluate(THIRDS)
    assert left < 30 < 200 < right
