"""The Place page in a real browser: a file, the microphone and a drawing light up on the map."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import pytest
import soundfile

from cpc_engine.data.signals import synthesize
from tests.support.paths import APP

if TYPE_CHECKING:
    from playwright.sync_api import Browser, Page

    from tests.support.browser import Visit

pytest_plugins = ["tests.support.browser", "tests.support.explored"]
pytestmark = pytest.mark.browser

MAP = "[class*='st-key-place-'] .cpc-scatter"
STARS = f"document.querySelector({MAP!r})?._fullData?.find((trace) => trace.name === 'lit')?.x.length"


@pytest.fixture
def place(keypad: Path, serve: Callable[..., str]) -> str:
    """Address of the page over one run on telephone keys."""
    return f"{serve(APP, env={'CPC_RUNS': str(keypad.parent)})}/place?run={keypad.name}"


@pytest.fixture
def five(tmp_path: Path) -> Path:
    """Two seconds of the key 5, as a microphone would give them."""
    path = tmp_path / "five.wav"
    soundfile.write(path, synthesize("dtmf", key="5", rate=48000, seconds=2.0), 48000, subtype="PCM_16")
    return path


def ready(page: Page) -> None:
    page.wait_for_selector(f"{MAP} .nsewdrag")


def test_a_file_lights_up_without_the_map_being_sent_again(place: str, five: Path, visit: Callable[..., Visit]) -> None:
    seen = visit(place)
    page = seen.page
    ready(page)
    page.evaluate(f"document.querySelector({MAP!r}).mark = 'same'")
    page.get_by_role("button", name="Files").or_(page.get_by_role("radio", name="Files")).first.click()
    page.get_by_test_id("stFileUploaderDropzoneInput").set_input_files(five)
    page.wait_for_function(f"{STARS} === 1")
    page.get_by_text("1 · five.wav").wait_for()
    assert page.evaluate(f"document.querySelector({MAP!r}).mark") == "same"

    page.get_by_role("button", name="Draw").or_(page.get_by_role("radio", name="Draw")).first.click()
    canvas = page.locator(".cpc-draw canvas")
    canvas.wait_for()
    canvas.scroll_into_view_if_needed()
    box = canvas.bounding_box()
    assert box is not None
    page.mouse.move(box["x"] + 128, box["y"] + 40)
    page.mouse.down()
    page.mouse.move(box["x"] + 128, box["y"] + 210, steps=5)
    page.mouse.up()
    page.get_by_role("button", name="Place this drawing").click()
    page.wait_for_function(f"{STARS} === 2")
    page.get_by_text("2 · drawing").wait_for()
    page.locator(".st-key-remove-1 button").click()
    page.get_by_text("1 · five.wav").wait_for(state="detached")
    seen.come_to(MAP)  # a map that is scrolled away is drawn when one comes back
    page.wait_for_function(f"{STARS} === 1")
    assert seen.foreign == []
    assert seen.errors == []


def test_files_of_a_phone_are_placed_and_other_formats_refused_by_name(
    place: str, shared: Path, visit: Callable[..., Visit], tmp_path: Path
) -> None:
    page = visit(place).page
    ready(page)
    page.get_by_role("button", name="Files").or_(page.get_by_role("radio", name="Files")).first.click()
    uploader = page.get_by_test_id("stFileUploaderDropzoneInput")
    uploader.set_input_files(shared / "data" / "odd_inputs" / "aud_aac.m4a")
    page.get_by_text("1 · aud_aac.m4a").wait_for()
    (tmp_path / "notes.txt").write_text("not a sound")
    uploader.set_input_files(tmp_path / "notes.txt")
    page.get_by_text("notes.txt").wait_for()
    page.get_by_text("files are not allowed").wait_for()


@contextmanager
def hearing(chromium: Browser, sound: Path, address: str) -> Iterator[Page]:
    """The page in a browser whose microphone hears this sound again and again."""
    from tests.support.browser import FLAGS, chromium_path

    fake = ["--use-fake-ui-for-media-stream", "--use-fake-device-for-media-stream"]
    fake.append(f"--use-file-for-fake-audio-capture={sound}")
    browser = chromium.browser_type.launch(executable_path=chromium_path(), args=[*FLAGS, *fake])
    try:
        page = browser.new_page(viewport={"width": 1280, "height": 900})
        page.set_default_timeout(120_000)
        page.goto(address)
        ready(page)
        yield page
    finally:
        browser.close()


def test_a_recording_lights_up(place: str, five: Path, chromium: Browser) -> None:
    with hearing(chromium, five, place) as page:
        microphone = page.locator(".st-key-mic")
        microphone.get_by_role("button", name="Record").click()
        stop = microphone.get_by_role("button", name="Stop recording")
        stop.wait_for()  # it hears from now on
        page.wait_for_timeout(1500)
        began = page.evaluate("performance.now()")
        stop.click()
        page.wait_for_function(f"{STARS} === 1", polling=20)
        waited = page.evaluate("performance.now()") - began
        print(f"from the end of the recording to the lit point: {waited:.0f} ms")
        page.get_by_text("1 · recording").wait_for()
        page.get_by_text("What it hears").wait_for()


def test_a_muted_microphone_and_a_double_click_are_told(place: str, tmp_path: Path, chromium: Browser) -> None:
    soundfile.write(tmp_path / "muted.wav", np.zeros(96_000), 48000, subtype="PCM_16")
    with hearing(chromium, tmp_path / "muted.wav", place) as page:
        microphone = page.locator(".st-key-mic")
        record = microphone.get_by_role("button", name="Record", exact=True)
        stop = microphone.get_by_role("button", name="Stop recording")
        record.click()
        stop.wait_for()
        page.wait_for_timeout(1000)
        stop.click()
        told = page.get_by_text("silence: every sample is zero")
        told.nth(1).wait_for()
        assert told.count() == 2, "beside the verdict, in sight of the map, and on its card"
        assert page.evaluate(
            "element => element.getBoundingClientRect().bottom < innerHeight", told.first.element_handle()
        )

        # One recording begins; or it also ends at once, is empty, and the recorder offers its Reset.
        record.dblclick()
        page.wait_for_timeout(1000)
        if stop.is_visible():
            stop.click()
        second, reset = page.get_by_text("2 · recording"), microphone.get_by_role("button", name="Reset")
        second.or_(reset).first.wait_for()
        if reset.is_visible():
            assert "An error has occurred, please try again." in microphone.inner_text()
            reset.click()
            record.click()
            page.wait_for_timeout(1000)
            stop.click()
        second.wait_for()
        told.nth(1).wait_for()
        assert page.get_by_test_id("stException").count() == 0


def test_it_fits_a_phone(place: str, visit: Callable[..., Visit]) -> None:
    seen = visit(place, viewport={"width": 390, "height": 844}, color_scheme="dark", has_touch=True)
    ready(seen.page)
    wide = "Math.max(document.documentElement.scrollWidth, document.querySelector('[data-testid=stMain]').scrollWidth)"
    assert seen.page.evaluate(wide) <= 390
    assert seen.errors == []
