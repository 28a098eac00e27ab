"""Pages as they are used: names in every script, no microphone, a lost connection, Back, and a second tab."""

from __future__ import annotations

import shutil
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from tests.support.going_on import asked
from tests.support.paths import APP, REPOSITORY

if TYPE_CHECKING:
    from playwright.sync_api import Page, WebSocketRoute

    from tests.support.browser import Visit

pytest_plugins = ["tests.support.browser"]
pytestmark = pytest.mark.browser

RUN = "example-keypad"
PLACED = "[class*='st-key-place-'] .cpc-scatter .nsewdrag"
LIVE = "document.querySelector(\"[class*='st-key-loss-'] .cpc-live-chart\")?.data?.[0]?.x.length"


@pytest.fixture(scope="module")
def runs(tmp_path_factory: pytest.TempPathFactory) -> Path:
    root = tmp_path_factory.mktemp("runs")
    for name in (RUN, "another"):
        shutil.copytree(REPOSITORY / "checkpoints" / RUN, root / name)
    return root


@pytest.fixture(scope="module")
def lab(runs: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """Address of the app over two runs."""
    from tests.support.browser import streamlit_server

    log = tmp_path_factory.mktemp("log") / "server.log"
    with streamlit_server(APP, log, env={"CPC_RUNS": str(runs)}, fresh=False) as url:
        yield url


def broke(page: Page) -> bool:
    return page.get_by_test_id("stException").count() + page.get_by_text("does not know how to handle").count() > 0


def come_to_files(page: Page) -> None:
    page.wait_for_selector(PLACED, timeout=120_000)
    page.get_by_role("button", name="Files").or_(page.get_by_role("radio", name="Files")).first.click()


NAMES = ["a" * 296 + ".png", "اختبار نقطة.png", "テスト 🎧 ñ.png", "**bold** :red[r] $x$ [l](//example.invalid).png"]


@pytest.mark.parametrize("name", NAMES, ids=["long", "arabic", "emoji", "markdown"])
def test_a_file_with_any_name_is_placed_and_named_literally(
    lab: str, visit: Callable[..., Visit], name: str, tmp_path: Path
) -> None:
    from PIL import Image

    seen = visit(f"{lab}/place?run={RUN}", viewport={"width": 390, "height": 844})
    page = seen.page
    come_to_files(page)
    Image.new("L", (28, 28), 90).save(tmp_path / "one.png")
    content = (tmp_path / "one.png").read_bytes()
    uploader = page.get_by_test_id("stFileUploaderDropzoneInput")
    uploader.set_input_files({"name": name, "mimeType": "image/png", "buffer": content})
    page.get_by_text(f"1 · {name[:12]}").first.wait_for()
    assert page.evaluate("document.documentElement.scrollWidth <= innerWidth"), "nothing makes a phone scroll sideways"
    assert not broke(page)
    assert seen.foreign == []


def test_without_a_microphone_the_page_says_so_and_takes_files(lab: str, visit: Callable[..., Visit]) -> None:
    seen = visit(f"{lab}/place?run={RUN}", permissions=[])
    page = seen.page
    page.wait_for_selector(PLACED, timeout=120_000)
    page.get_by_text("The browser asks for a microphone once").wait_for()
    page.locator(".st-key-mic").get_by_role("button", name="Record").click()
    page.locator(".st-key-mic").get_by_text("An error has occurred").wait_for()
    come_to_files(page)
    page.get_by_test_id("stFileUploaderDropzoneInput").wait_for(state="attached")
    assert not broke(page)


def test_a_lost_connection_comes_back_by_itself(lab: str, visit: Callable[..., Visit]) -> None:
    seen = visit("about:blank")
    page, lost = seen.page, False
    open_now: list[WebSocketRoute] = []

    def connect(route: WebSocketRoute) -> None:
        if lost:
            route.close(code=1001)
            return
        open_now.append(route)
        route.connect_to_server()

    page.route_web_socket("**/_stcore/stream", connect)
    page.goto(f"{lab}/train?preset=tones")
    page.get_by_text("anchors per step").first.wait_for()
    page.get_by_text("All settings").click()
    lost = True
    open_now[-1].close(code=1001)
    page.get_by_test_id("stConnectionStatus").or_(page.get_by_text("Connecting")).first.wait_for()
    lost = False
    page.locator("[data-testid=stApp][data-test-connection-state=CONNECTED]").wait_for(timeout=120_000)
    seen.settle()
    page.get_by_role("link", name="Runs").first.click()
    page.get_by_role("heading", name="Runs").wait_for()
    assert not broke(page)


def test_a_page_goes_on_with_another_server(runs: Path, visit: Callable[..., Visit], tmp_path: Path) -> None:
    """Streamlit forgets a session two minutes after its connection was lost; a server that begins again knows none."""
    from tests.support.browser import free_port, streamlit_server

    options = {"server.port": str(free_port())}
    with streamlit_server(APP, tmp_path / "first.log", options, {"CPC_RUNS": str(runs)}, fresh=False) as url:
        seen = visit(f"{url}/train?preset=tones")
        page = seen.page
        page.get_by_text("anchors per step").first.wait_for()
        seen.settle()
        steps = page.get_by_role("spinbutton", name="Steps")
        steps.fill("77")
        steps.press("Enter")
        page.wait_for_function("location.search.includes('77')")
    page.get_by_test_id("stConnectionStatus").or_(page.get_by_text("Connecting")).first.wait_for()
    with streamlit_server(APP, tmp_path / "second.log", options, {"CPC_RUNS": str(runs)}, fresh=False):
        page.locator("[data-testid=stApp][data-test-connection-state=CONNECTED]").wait_for()
        seen.settle()
        assert page.get_by_role("spinbutton", name="Steps").input_value() == "77"
        page.get_by_role("link", name="Runs").first.click()
        page.get_by_role("heading", name="Runs").wait_for()
        assert not broke(page)


def test_a_page_that_lost_a_part_is_loaded_again(lab: str, visit: Callable[..., Visit]) -> None:
    seen = visit("about:blank")
    page, told = seen.page, -1  # messages since the click; none is counted before it

    def connect(route: WebSocketRoute) -> None:
        def tell(message: str | bytes) -> None:
            nonlocal told
            told += told >= 0
            if not 3 <= told < 12:  # what they made, the next ones go into
                route.send(message)

        route.connect_to_server().on_message(tell)

    page.route_web_socket("**/_stcore/stream", connect)
    page.goto(f"{lab}/train?preset=tones")
    page.get_by_text("anchors per step").first.wait_for()
    seen.settle()
    told = 0
    with page.expect_event("load"):
        page.get_by_role("link", name="Runs").first.click()
    page.get_by_text("anchors per step").first.wait_for()
    assert any("Bad delta path" in error for error in seen.errors), seen.errors
    seen.settle()
    page.get_by_role("link", name="Runs").first.click()
    page.get_by_role("heading", name="Runs").wait_for()


def test_back_and_forward_lead_across_a_page_that_is_live(lab: str, visit: Callable[..., Visit]) -> None:
    seen = visit(f"{lab}/train?preset=tones{asked()}")
    page = seen.page
    page.get_by_role("button", name="Start training").click()
    page.wait_for_function(f"{LIVE} >= 3", timeout=120_000)
    live = page.url
    page.get_by_role("link", name="Runs").first.click()
    page.get_by_role("heading", name="Runs").wait_for()
    page.go_back()
    page.wait_for_url(live)
    page.wait_for_function(f"{LIVE} >= 3", timeout=120_000)
    page.go_forward()
    page.get_by_role("heading", name="Runs").wait_for()
    page.go_back()
    seen.stop_button.click(timeout=120_000)
    seen.stop_button.wait_for(state="detached", timeout=120_000)
    assert not broke(page)
    assert seen.errors == []


@pytest.mark.parametrize("page", ["explore", "place", "negatives", "compare", "train"])
def test_a_run_that_a_second_tab_deletes_is_told(lab: str, runs: Path, visit: Callable[..., Visit], page: str) -> None:
    shutil.copytree(runs / "another", runs / f"gone-{page}")
    name = "runs" if page == "compare" else "run"
    chosen = f"{RUN},gone-{page}" if page == "compare" else f"gone-{page}"
    seen = visit(f"{lab}/{page}?{name}={chosen}")
    seen.settle(120)
    shutil.rmtree(runs / f"gone-{page}")
    seen.page.keyboard.press("r")  # the page runs again
    seen.page.wait_for_timeout(1500)
    seen.settle(120)
    if page != "compare":  # which goes on with the others
        assert seen.page.get_by_text("names a run that is not here").count() == 1
    assert f"gone-{page}" not in seen.page.url
    assert not broke(seen.page)
    assert seen.errors == []
