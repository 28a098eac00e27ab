"""One step, slowly: it plays, pauses and steps by keyboard, lights the algorithm's lines, and rests where asked to."""

from __future__ import annotations

import re
import shutil
from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING

import pytest

from tests.support.paths import APP, REPOSITORY

if TYPE_CHECKING:
    from pathlib import Path

    from playwright.sync_api import Page

    from tests.support.browser import Visit

pytest_plugins = ["tests.support.browser"]
pytestmark = pytest.mark.browser

RUN = "example-tones-bars"
LIT = "() => [...document.querySelectorAll('.cpc-lit')].map((line) => line.id)"
MOVING = "(node) => node.getRootNode().getAnimations().filter((one) => one.playState === 'running').length"


@pytest.fixture(scope="module")
def address(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """Of the view, over a shipped example."""
    from tests.support.browser import streamlit_server

    root: Path = tmp_path_factory.mktemp("lab")
    shutil.copytree(REPOSITORY / "checkpoints" / RUN, root / "runs" / RUN)
    with streamlit_server(APP, root / "server.log", env={"CPC_RUNS": str(root / "runs")}, fresh=False) as url:
        yield f"{url}/negatives?run={RUN}&view=step"


def at(page: Page) -> str:
    return page.locator(".cpc-step .at").inner_text()


def mode(page: Page) -> str:
    return (page.locator(".cpc-step").get_attribute("class") or "").removeprefix("cpc-step").strip()


def played(page: Page) -> tuple[float, float]:
    """For how many seconds the stage has been shown, and the time of the page."""
    shown = """(stage) => {
        const words = stage.querySelector(".sentence").textContent.split(" ").length;
        return [Number(stage.style.getPropertyValue("--passed")) * (3 + words / 5), performance.now() / 1000];
    }"""
    seconds, now = page.locator(".cpc-step .current").evaluate(shown)
    return float(seconds), float(now)


def ready(seen: Visit) -> Page:
    seen.page.locator(".cpc-step .node").first.wait_for(timeout=120_000)
    seen.settle()
    return seen.page


def test_it_plays_and_is_led_by_keys(address: str, visit: Callable[..., Visit]) -> None:
    seen = visit(address, viewport={"width": 1440, "height": 900})
    page = ready(seen)
    assert mode(page) == "playing", "by itself, once"
    page.locator(".cpc-step .play").focus()
    page.keyboard.press("Space")
    assert mode(page) == "held"
    held = page.evaluate("document.querySelectorAll('.cpc-lit').length")
    assert held >= 1
    assert page.locator(".cpc-step").evaluate(MOVING) == 0
    page.keyboard.press("Space")
    assert mode(page) == "playing"
    page.keyboard.press("Home")
    assert (at(page), mode(page)) == ("1 of 8", "")
    page.keyboard.press("ArrowRight")
    assert at(page) == "2 of 8"
    assert "GRU" in page.locator(".cpc-step .said").inner_text()
    assert page.evaluate(LIT) == ["algorithm-1-line-4"]
    page.keyboard.press("ArrowLeft")
    page.keyboard.press("ArrowLeft")
    assert at(page) == "1 of 8"
    page.keyboard.press("End")
    assert at(page) == "8 of 8"
    assert page.evaluate(LIT) == ["algorithm-1-line-12", "algorithm-2-line-11"]
    assert page.get_by_role("button", name="8 Enqueue").get_attribute("aria-current") == "step"
    page.get_by_role("button", name="5 Logits").click()
    page.get_by_role("link", name="Algorithm 2, line 8").click()
    assert page.evaluate("document.activeElement.id") == "algorithm-2-line-8"
    assert "Compute the logits" in page.locator("#algorithm-2-line-8").inner_text()
    page.get_by_role("button", name="5 Logits").focus()
    page.keyboard.press("Space")
    assert (at(page), mode(page)) == ("5 of 8", "playing")
    before, _ = played(page)
    page.get_by_text("most mistaken").click()
    seen.settle()
    assert mode(page) == "playing", "another anchor, the same stage"
    after, _ = played(page)
    assert after >= before or at(page) != "5 of 8", "nor does its progress begin again"
    page.get_by_role("button", name="5 Logits").click()  # from its beginning, however long the other anchor took
    page.get_by_role("button", name="5 Logits").focus()
    page.keyboard.press("Space")
    before, began = played(page)
    page.wait_for_timeout(1500)
    after, now = played(page)
    assert after - before <= 1.3 * (now - began), "no faster than before"
    page.wait_for_function("document.querySelector('#algorithm-2-line-10.cpc-lit')")
    assert at(page) == "6 of 8", "it goes on by itself"
    assert seen.errors == []
    assert seen.foreign == []


def test_it_rests_where_motion_is_not_wanted_and_fits_a_phone(address: str, visit: Callable[..., Visit]) -> None:
    seen = visit(address, viewport={"width": 390, "height": 844}, reduced_motion="reduce", has_touch=True)
    page = ready(seen)
    assert (at(page), mode(page)) == ("1 of 8", "")
    for name in ("Next", "Next", "Back", "Next"):
        page.get_by_role("button", name=name, exact=True).click()
    assert at(page) == "3 of 8"
    panel = page.locator("#stage-3")
    box = panel.bounding_box()
    assert box is not None
    assert box["x"] >= 0
    assert box["x"] + box["width"] <= 390
    assert page.evaluate("document.querySelector('[data-testid=stMain]').scrollWidth") <= 390
    page.get_by_role("button", name="8 Enqueue").tap()
    top = page.locator("#stage-8").evaluate("(panel) => panel.getBoundingClientRect().top")
    assert 100 < top < 700, "what was opened is in sight, though what was above it has closed"
    page.get_by_role("button", name="Play", exact=True).click()
    assert mode(page) == "playing"
    assert page.locator(".cpc-step").evaluate(MOVING) == 0, "stages follow each other without motion"
    assert at(page) == "1 of 8", "from the end it begins again"
    assert page.locator("#stage-8").is_hidden()
    assert seen.errors == []


def test_what_plays_unasked_leaves_the_page_where_it_is(address: str, visit: Callable[..., Visit]) -> None:
    seen = visit(address, viewport={"width": 390, "height": 844})
    page = ready(seen)
    page.locator(".cpc-step .at", has_text=re.compile("[2-8] of 8")).wait_for()
    page.wait_for_timeout(800)
    assert page.evaluate("document.querySelector('[data-testid=stMain]').scrollTop") == 0
