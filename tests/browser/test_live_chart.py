"""The live chart in a real browser: it stays in place, keeps its zoom, and follows the theme."""

from __future__ import annotations

import re
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import pytest

from tests.support.paths import SCRIPTS
from ui.components.live_chart import STATIC, publish

if TYPE_CHECKING:
    from tests.support.browser import Visit

pytest_plugins = ["tests.support.browser"]

SCRIPT = SCRIPTS / "live_chart.py"
CHART = ".st-key-loss .cpc-live-chart"
DRAWN = f"{CHART} .main-svg .trace"


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A folder whose `static` is the repository's, as it is beside app.py."""
    publish()
    folder = tmp_path / "app"
    folder.mkdir()
    (folder / "static").symlink_to(STATIC)
    return folder


@pytest.fixture
def script(folder: Path) -> Path:
    return Path(shutil.copy(SCRIPT, folder))


@pytest.fixture
def long_page(folder: Path) -> Path:
    return Path(shutil.copy(SCRIPT.with_name("long_page.py"), folder))


POINTS = f"(document.querySelector('{CHART}')?.data?.[0]?.x.length ?? 0)"  # 0 while it is drawn anew for another theme


def points(visit: Visit) -> int:
    return int(visit.page.wait_for_function(POINTS).json_value())


def x_range(visit: Visit) -> list[float]:
    ends = visit.page.evaluate(f"document.querySelector('{CHART}')._fullLayout.xaxis.range")
    return [float(end) for end in ends]


def after_refreshes(visit: Visit, count: int) -> None:
    """Wait until the chart has shown `count` more points."""
    goal = points(visit) + count
    visit.page.wait_for_function(f"{POINTS} >= {goal}")


@pytest.mark.browser
def test_the_chart_stays_in_place_and_keeps_its_zoom(
    script: Path, serve: Callable[..., str], visit: Callable[..., Visit]
) -> None:
    seen = visit(serve(script))
    page = seen.page
    page.wait_for_selector(DRAWN)
    page.evaluate(f"document.querySelector('{CHART}').mark = 'first'")
    whole = x_range(seen)
    after_refreshes(seen, 5)
    assert page.evaluate(f"document.querySelector('{CHART}').mark") == "first"
    assert x_range(seen)[1] > whole[1], "the axis grows with the data until the reader zooms"

    box = page.locator(f"{CHART} .nsewdrag").bounding_box()
    assert box is not None
    middle = box["y"] + box["height"] / 2
    shown = x_range(seen)[1]
    page.mouse.move(box["x"] + 0.3 * box["width"], middle)
    page.mouse.down()
    page.mouse.move(box["x"] + 0.6 * box["width"], middle, steps=8)
    page.wait_for_timeout(1500)  # refreshes arrive under the held mouse
    page.mouse.up()
    page.wait_for_timeout(300)
    zoomed = x_range(seen)
    assert 0.2 * shown < zoomed[0] < zoomed[1]
    assert zoomed[1] - zoomed[0] < 0.5 * points(seen)
    after_refreshes(seen, 5)
    assert x_range(seen) == pytest.approx(zoomed)
    assert page.evaluate(f"document.querySelector('{CHART}').mark") == "first"

    chart = page.get_by_role("figure", name="The loss falls to one.")
    assert chart.count() == 1
    assert chart.locator(".modebar-btn--logo").count() == 0
    assert seen.errors == []
    assert seen.foreign == []


@pytest.mark.browser
def test_the_chart_follows_its_container_tab_and_removal(
    script: Path, serve: Callable[..., str], visit: Callable[..., Visit]
) -> None:
    seen = visit(serve(script))
    page = seen.page
    page.wait_for_selector(DRAWN)
    width = f"document.querySelector('{CHART}')._fullLayout.width"
    wide = page.evaluate(width)
    page.set_viewport_size({"width": 900, "height": 800})
    page.wait_for_function(f"{width} < {wide} - 200")
    assert page.evaluate(f"{width} === document.querySelector('{CHART}').clientWidth")

    other = ".st-key-single .cpc-live-chart"
    # The part with the tabs is made anew twice a second: a click in that moment may come to nothing.
    page.wait_for_function(
        """(chart) => {
            const tab = [...document.querySelectorAll("[role=tab]")].find((tab) => tab.textContent === "Second");
            if (tab?.ariaSelected !== "true") tab?.click();
            return document.querySelector(`${chart} .main-svg .trace`)?.getBoundingClientRect().width > 0;
        }""",
        arg=other,
        polling=1000,
    )
    assert page.evaluate(f"Math.abs({width} - document.querySelector('{other}')._fullLayout.width)") < 2

    page.evaluate(f"globalThis.kept = document.querySelector('{CHART}')")
    page.get_by_text("Show", exact=True).click()
    page.wait_for_function("!globalThis.kept.isConnected && globalThis.kept.data === undefined")
    assert page.evaluate("document.head.querySelectorAll('script[src*=\"app/static/plotly\"]').length") == 1
    assert seen.errors == []


@pytest.mark.browser
def test_a_chart_is_drawn_when_a_person_comes_near(
    long_page: Path, serve: Callable[..., str], visit: Callable[..., Visit]
) -> None:
    seen = visit(serve(long_page), viewport={"width": 1000, "height": 800})
    page = seen.page
    shown = "(key) => document.querySelector(`.st-key-${key} .cpc-live-chart`)?.data?.[0]?.x.length ?? 0"
    page.wait_for_function(f"({shown})('soon') > 0")
    assert page.locator(".st-key-soon .cpc-live-chart").bounding_box()["y"] >= 800, "drawn before it is seen"
    page.wait_for_function(f"({shown})('soon') > 14")
    assert page.evaluate(shown, "inner") == page.evaluate(shown, "far") == 0, "what nobody sees takes no time"

    for key in ("inner", "far"):
        page.locator(f".st-key-{key}").scroll_into_view_if_needed()
        page.wait_for_function(f"({shown})({key!r}) > 14")
    page.evaluate("document.querySelector('.st-key-far .cpc-live-chart').mark = 'same'")
    page.get_by_text("ready", exact=True).scroll_into_view_if_needed()
    page.wait_for_function(f"({shown})('soon') > {page.evaluate(shown, 'soon')} + 1")  # the scroll has been noticed
    left = page.evaluate(shown, "far")
    page.wait_for_function(f"({shown})('soon') > {page.evaluate(shown, 'soon')} + 3")
    assert page.evaluate(shown, "far") == left, "none is redrawn where nobody is"
    page.locator(".st-key-far").scroll_into_view_if_needed()
    page.wait_for_function(f"({shown})('far') > {left} + 3")
    assert page.evaluate("document.querySelector('.st-key-far .cpc-live-chart').mark") == "same"

    page.reload()
    page.wait_for_function(f"({shown})('soon') > 0")
    page.locator(".st-key-far").scroll_into_view_if_needed()
    page.wait_for_function(f"({shown})('far') > 0")
    assert seen.errors == []


@pytest.mark.browser
def test_a_chart_is_drawn_when_the_page_closes_up(
    long_page: Path, serve: Callable[..., str], visit: Callable[..., Visit]
) -> None:
    seen = visit(serve(long_page), viewport={"width": 1000, "height": 400})
    page = seen.page
    drawn = "document.querySelector('.st-key-soon .cpc-live-chart')?.data !== undefined"
    page.locator(".st-key-soon .cpc-live-chart").wait_for()
    page.wait_for_timeout(1000)
    assert not page.evaluate(drawn)
    page.get_by_text("Space", exact=True).click()  # what lay above it is gone, and nobody has scrolled
    page.wait_for_function(drawn)
    assert seen.errors == []


@pytest.mark.browser
def test_a_path_prefix_is_respected(script: Path, serve: Callable[..., str], visit: Callable[..., Visit]) -> None:
    url, seen = serve(script, {"server.baseUrlPath": "lab"}), visit("about:blank")
    with seen.page.expect_response(re.compile(r"/lab/app/static/plotly-[^/]+\.min\.js$")) as answer:
        seen.page.goto(url)
    assert answer.value.ok


@pytest.mark.browser
@pytest.mark.parametrize("static_serving", ["true", "false"])
def test_without_the_file_the_text_is_sent_until_it_is_there(
    tmp_path: Path, serve: Callable[..., str], visit: Callable[..., Visit], static_serving: str
) -> None:
    script = Path(shutil.copy(SCRIPT, tmp_path))  # no static folder beside it
    seen = visit(serve(script, {"server.enableStaticServing": static_serving}))
    received: list[int] = []
    seen.page.on("websocket", lambda socket: socket.on("framereceived", lambda data: received.append(len(data))))
    seen.page.reload()
    seen.page.wait_for_selector(DRAWN)
    after_refreshes(seen, 3)
    assert max(received) > 4_000_000
    for _ in range(20):  # the text comes until the browser says that it has it, and a slow one has more on the way
        del received[:]
        after_refreshes(seen, 3)
        if received and max(received) < 500_000:
            break
    else:
        pytest.fail("the text is sent again and again")
    assert seen.foreign == []


@pytest.mark.browser
def test_axes_are_readable_and_follow_the_theme(
    script: Path, serve: Callable[..., str], visit: Callable[..., Visit], tmp_path: Path
) -> None:
    seen = visit(serve(script), color_scheme="light")
    seen.page.wait_for_selector(DRAWN)
    text = f"getComputedStyle(document.querySelector('{CHART} .xtick text')).fill"
    background = "getComputedStyle(document.querySelector('.stApp')).backgroundColor"
    backgrounds = set()
    for scheme in ("light", "dark"):
        before = seen.page.evaluate(background) if backgrounds else ""
        seen.page.emulate_media(color_scheme=scheme)
        seen.page.wait_for_function(f"{background} !== {before!r}")
        after_refreshes(seen, 2)
        seen.page.wait_for_selector(f"{CHART} .xtick text")  # the chart is drawn anew
        seen.page.screenshot(path=tmp_path / f"{scheme}.png")
        backgrounds.add(seen.page.evaluate(background))
        assert contrast(seen.page.evaluate(text), seen.page.evaluate(background)) > 4.5
        paper = seen.page.evaluate(f"getComputedStyle(document.querySelector('{CHART} .main-svg')).backgroundColor")
        assert paper == "rgba(0, 0, 0, 0)"
    assert len(backgrounds) == 2


def contrast(one: str, other: str) -> float:
    """WCAG's contrast ratio of two `rgb(r, g, b)`."""

    def luminance(color: str) -> float:
        shares = np.array([int(part) for part in re.findall(r"\d+", color)[:3]]) / 255
        linear = np.where(shares <= 0.04045, shares / 12.92, ((shares + 0.055) / 1.055) ** 2.4)
        return float(linear @ [0.2126, 0.7152, 0.0722])

    dark, light = sorted([luminance(one), luminance(other)])
    return (light + 0.05) / (dark + 0.05)
