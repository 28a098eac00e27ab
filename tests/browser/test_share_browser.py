"""The shared demo in a real browser: a recording and a file light up, on a desk and on a phone."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
import soundfile
from PIL import Image

from cpc_engine.data.signals import synthesize

if TYPE_CHECKING:
    from playwright.sync_api import Page

    from tests.support.browser import Visit

pytest_plugins = ["tests.support.browser", "tests.support.explored"]
pytestmark = pytest.mark.browser

STARS = "document.querySelector('.cpc-map .js-plotly-plot')?._fullData?.find((trace) => trace.name === 'lit')?.x.length"
# Where on the page the first dot of the first class is.
SPOT = """() => {
    const node = document.querySelector(".cpc-map .js-plotly-plot"), box = node.getBoundingClientRect();
    const { xaxis, yaxis } = node._fullLayout, { x, y } = node._fullData[0];
    return [box.left + xaxis._offset + xaxis.d2p(x[0]), box.top + yaxis._offset + yaxis.d2p(y[0])];
}"""
WAIT = 60_000


@pytest.fixture(scope="module")
def url(keypad: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    from tests.support.demo import demo

    with demo(keypad, tmp_path_factory.mktemp("demo") / "log") as (address, _):
        yield address


@pytest.fixture
def five(tmp_path: Path) -> Path:
    """Two seconds of the key 5, as a microphone would give them."""
    path = tmp_path / "five.wav"
    soundfile.write(path, synthesize("dtmf", key="5", rate=48000, seconds=2.0), 48000, subtype="PCM_16")
    return path


def ready(page: Page) -> None:
    page.wait_for_selector(".cpc-map .nsewdrag", timeout=WAIT)


@pytest.mark.parametrize(
    "context",
    [
        {"viewport": {"width": 1440, "height": 900}},
        {"viewport": {"width": 390, "height": 844}, "color_scheme": "dark", "has_touch": True},
    ],
    ids=["desk", "phone"],
)
def test_a_recording_lights_up(
    url: str, five: Path, hearing: Callable[[Path], Callable[..., Visit]], context: dict[str, Any]
) -> None:
    seen = hearing(five)(url, **context)
    page = seen.page
    ready(page)
    page.get_by_role("button", name="Record").first.click()
    stop = page.get_by_role("button", name="Stop").first
    stop.wait_for()  # it hears from now on
    page.wait_for_timeout(1500)
    began = page.evaluate("performance.now()")
    stop.click()
    page.wait_for_function(f"{STARS} === 1", polling=20, timeout=WAIT)
    waited = page.evaluate("performance.now()") - began
    print(f"from the end of the recording to the lit point: {waited:.0f} ms")
    verdict = page.locator(".cpc-verdict")
    verdict.wait_for()
    assert "Typicality" in verdict.inner_text()
    page.get_by_text("Nearest in the original space").wait_for()
    page.get_by_text("Class probabilities").wait_for()
    assert page.evaluate("document.documentElement.scrollWidth") <= context["viewport"]["width"]
    assert seen.foreign == []
    assert seen.errors == []


def test_a_file_lights_up_and_another_is_refused(url: str, tmp_path: Path, visit: Callable[..., Visit]) -> None:
    seen = visit(url)
    page = seen.page
    ready(page)
    before, spot = None, page.evaluate(SPOT)
    while before != spot:  # the page may still be laid out
        page.wait_for_timeout(400)
        before, spot = spot, page.evaluate(SPOT)
    page.mouse.move(*spot, steps=3)
    label = page.locator(".cpc-map .hoverlayer .hovertext")
    label.wait_for(timeout=WAIT)
    assert re.search(r"· (picture|sound)\s*keypad/test/\d+", label.text_content() or ""), "class and name"
    page.get_by_role("tab", name="Picture").click()
    Image.radial_gradient("L").save(tmp_path / "spot.png")
    choose = page.get_by_role("tabpanel").locator("input[type=file]")
    choose.set_input_files(tmp_path / "spot.png")
    page.wait_for_function(f"{STARS} === 1", timeout=WAIT)
    page.get_by_text("Nearest sounds").wait_for()
    page.get_by_role("button", name="Remove Image").click()
    page.wait_for_function(f"{STARS} === undefined", timeout=WAIT)

    (tmp_path / "broken.png").write_bytes(b"\x89PNG\r\n\x1a\n" + bytes(50))
    choose.set_input_files(tmp_path / "broken.png")
    alert = page.locator(".cpc-verdict [role=alert]")
    alert.wait_for(timeout=WAIT)
    assert "Not placed: broken.png: damaged PNG header" in alert.inner_text()
    page.get_by_text("Use via API").click()
    page.get_by_text("handle_file").first.wait_for(timeout=WAIT)
    assert seen.foreign == []
    assert seen.errors == []
