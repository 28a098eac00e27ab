"""The map of points in a real browser: its lasso by mouse and by finger, how it ends, and what it leaves behind."""

from __future__ import annotations

import re
import shutil
import time
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING
from xml.etree import ElementTree

import pytest

from tests.support.paths import SCRIPTS
from ui.components.live_chart import publish

if TYPE_CHECKING:
    from playwright.sync_api import Page, WebSocketRoute

    from tests.support.browser import Visit

pytest_plugins = ["tests.support.browser"]
pytestmark = pytest.mark.browser

SCRIPT = SCRIPTS / "many_points.py"
MAP = ".st-key-many .cpc-scatter"
# Where on the page every dot is: [id, left, top].
DOTS = """(map) => {
    const node = document.querySelector(map), { xaxis, yaxis } = node._fullLayout, box = node.getBoundingClientRect();
    return node._fullData.flatMap((trace) => [...trace.customdata].map((id, row) => [
        id, box.left + xaxis._offset + xaxis.d2p(trace.x[row]), box.top + yaxis._offset + yaxis.d2p(trace.y[row])]));
}"""
MARKED = """(map) => document.querySelector(map)._fullData.flatMap(
    (trace) => [...(trace.selectedpoints ?? [])].map((row) => trace.customdata[row])).sort((a, b) => a - b)"""


@pytest.fixture
def served(tmp_path: Path, serve: Callable[..., str]) -> str:
    """Address of a map of as many points as ?points= says."""
    publish(tmp_path / "static")
    return serve(Path(shutil.copy(SCRIPT, tmp_path)))


@pytest.fixture
def address(served: str) -> str:
    """Address of a map of 400 points."""
    return f"{served}/?points=400"


def ready(page: Page) -> tuple[float, float, float, float]:
    """Wait for the map; left, top, width and height of the area that its points lie in."""
    page.locator(f"{MAP} .nsewdrag").wait_for()
    page.get_by_text("0 chosen", exact=True).wait_for()
    page.locator(MAP).scroll_into_view_if_needed()
    box = page.locator(f"{MAP} .nsewdrag").bounding_box()
    assert box is not None
    return box["x"], box["y"], box["width"], box["height"]


def corners(box: tuple[float, float, float, float], right: float = 0.5) -> list[tuple[float, float]]:
    """A rectangle around the left of the map, up to `right` of its width."""
    left, top, width, height = box
    ends = left + 3, left + right * width, top + 3, top + height - 3
    return [(ends[0], ends[2]), (ends[1], ends[2]), (ends[1], ends[3]), (ends[0], ends[3])]


def within(page: Page, loop: list[tuple[float, float]]) -> list[int]:
    """The dots inside such a rectangle, found without the lasso's own arithmetic."""
    (left, top), (right, bottom) = loop[0], loop[2]
    return sorted(id for id, x, y in page.evaluate(DOTS, MAP) if left < x < right and top < y < bottom)


def draw(page: Page, loop: list[tuple[float, float]], release: bool = True) -> None:
    page.mouse.move(*loop[0])
    page.mouse.down()
    for corner in loop[1:]:
        page.mouse.move(*corner, steps=3)
    if release:
        page.mouse.up()


def chosen(page: Page, count: int) -> list[int]:
    """Wait until Python knows of so many chosen points and the map marks as many; those that it marks."""
    page.get_by_text(f"{count} chosen", exact=True).wait_for()
    page.wait_for_function(f"() => ({MARKED})({MAP!r}).length === {count}")
    return list(page.evaluate(MARKED, MAP))


def test_a_lasso_by_mouse(address: str, visit: Callable[..., Visit]) -> None:
    seen = visit(address)
    page = seen.page
    box = ready(page)
    half, most = corners(box), corners(box, 0.8)
    inside = within(page, half)
    assert 20 < len(inside) < len(within(page, most)) < 400
    draw(page, half)
    assert chosen(page, len(inside)) == inside
    assert page.locator(".cpc-lasso").count() == 0

    outside = [*most[:2], (most[1][0], 5), *most[2:]]  # over the map's edge and back
    draw(page, outside, release=False)
    assert page.locator(".cpc-lasso").count() == 1
    page.mouse.up()
    assert chosen(page, len(within(page, most))) == within(page, most), "a new lasso takes the place of the old"

    draw(page, half, release=False)
    page.keyboard.press("Escape")
    page.mouse.up()
    page.wait_for_timeout(500)
    assert page.evaluate(MARKED, MAP) == within(page, most), "Escape drops the way alone"
    page.keyboard.press("Escape")
    assert chosen(page, 0) == []

    draw(page, half)
    chosen(page, len(inside))
    page.mouse.dblclick(box[0] + 4, box[1] + 4)
    assert chosen(page, 0) == []
    assert seen.errors == []


def test_a_lasso_leaves_out_classes_that_are_hidden(address: str, visit: Callable[..., Visit]) -> None:
    seen = visit(address)
    page = seen.page
    half = corners(ready(page))
    inside = within(page, half)
    hidden = set(page.evaluate("(map) => [...document.querySelector(map)._fullData[0].customdata]", MAP))
    assert 0 < len(hidden & set(inside)) < len(inside)
    page.locator(f"{MAP} .legendtoggle").first.click()
    page.wait_for_function("(map) => document.querySelector(map)._fullData[0].visible === 'legendonly'", arg=MAP)
    draw(page, half)
    left = [id for id in inside if id not in hidden]
    assert chosen(page, len(left)) == left
    assert seen.errors == []


# Each name over the map: [text, left, top, right, bottom], on the page.
NAMES = """(map) => [...document.querySelectorAll(`${map} .cpc-names span`)].map((name) => {
    const { left, top, right, bottom } = name.getBoundingClientRect();
    return [name.textContent, left, top, right, bottom];
})"""


def test_names_lie_over_their_groups_and_over_no_other(address: str, visit: Callable[..., Visit]) -> None:
    seen = visit(address)
    page = seen.page
    left, top, width, height = ready(page)
    page.locator(f"{MAP} .cpc-names span").nth(4).wait_for()
    names = page.evaluate(NAMES, MAP)
    groups = page.evaluate(
        "(map) => document.querySelector(map)._fullData.map((t) => [t.name, [...t.customdata]])", MAP
    )
    places = {id: (x, y) for id, x, y in page.evaluate(DOTS, MAP)}
    for text, *(west, north, east, south) in names:
        own = [places[id] for id in dict(groups)[text]]
        near = sum(abs(x - (west + east) / 2) < 60 and abs(y - (north + south) / 2) < 60 for x, y in own)
        assert near > len(own) / 4, f"{text} lies elsewhere"
        assert left <= west < east <= left + width
        assert top <= north < south <= top + height
    for index, (_, west, north, east, south) in enumerate(names):
        for _, west2, north2, east2, south2 in names[:index]:
            assert east <= west2 or east2 <= west or south <= north2 or south2 <= north
    assert len({text for text, *_ in names}) == len(names)
    above = "(map) => document.querySelector(map + ' .cpc-names').nextElementSibling.matches(':has(.hoverlayer)')"
    assert page.evaluate(above, MAP), "what is pointed at is named over them"

    first = next(name for name, _ in groups if name in {text for text, *_ in names})
    page.locator(f"{MAP} .legendtoggle").nth([name for name, _ in groups].index(first)).click()
    page.locator(f"{MAP} .cpc-names").get_by_text(first, exact=True).wait_for(state="detached")
    assert seen.errors == []


def test_a_saved_picture_has_the_names_where_they_are(address: str, visit: Callable[..., Visit]) -> None:
    seen = visit(address, viewport={"width": 1440, "height": 800})
    page = seen.page
    ready(page)
    page.locator(f"{MAP} .cpc-names span").nth(4).wait_for()
    box = page.locator(MAP).bounding_box()
    assert box is not None
    names = {text: (left - box["x"], top - box["y"]) for text, left, top, *_ in page.evaluate(NAMES, MAP)}
    page.locator(MAP).hover()
    with page.expect_download() as saved:
        page.locator(f"{MAP} .modebar-btn[data-title='Download as SVG']").click()
    drawn = {}
    for place in ElementTree.parse(saved.value.path()).iterfind(".//{*}g[@class='annotation-text-g']/{*}g"):
        moved = re.fullmatch(r"translate\((.+),(.+)\)", place.attrib["transform"])
        assert moved is not None
        drawn["".join(place.itertext())] = float(moved[1]), float(moved[2])
    assert drawn.keys() == names.keys()
    for name, place in names.items():
        assert drawn[name] == pytest.approx(place, abs=8), "letters and their edge are measured differently"
    assert seen.errors == []


def test_names_move_with_the_picture_of_many_points(served: str, visit: Callable[..., Visit]) -> None:
    seen = visit(f"{served}/?points=6000")
    page = seen.page
    left, top, width, height = ready(page)
    page.locator(f"{MAP} [data-val=pan]").click()
    page.locator(f"{MAP} .cpc-names span").nth(2).wait_for()

    def placed() -> dict[str, tuple[float, float]]:
        return {text: (west, north) for text, west, north, *_ in page.evaluate(NAMES, MAP)}

    before = placed()
    page.mouse.move(left + width / 2, top + height / 2)
    page.mouse.down()
    page.mouse.move(left + width / 2 + 40, top + height / 2 + 20, steps=4)
    page.wait_for_function(f"(map) => ({NAMES})(map)[0][1] > {next(iter(before.values()))[0]} + 39", arg=MAP)
    for text, (west, north) in placed().items():
        assert (west, north) == pytest.approx((before[text][0] + 40, before[text][1] + 20), abs=1)
    page.mouse.up()
    drawn = "(map) => document.querySelector(map + ' .cpc-names').style.transform === ''"
    page.wait_for_function(drawn, arg=MAP)
    after = placed()
    inner = {  # far enough from the edge that no name is kept within it
        text: (west + 40, north + 20)
        for text, (west, north) in before.items()
        if left + 60 < west < left + width - 160 and top + 60 < north < top + height - 60
    }
    kept = inner.keys() & after.keys()
    assert kept
    for text in kept:
        assert after[text] == pytest.approx(inner[text], abs=2), "where the picture of them was"
    assert seen.errors == []


def test_a_click_in_lasso_mode(address: str, visit: Callable[..., Visit]) -> None:
    seen = visit(address)
    page = seen.page
    box = ready(page)
    id, *spot = page.evaluate(DOTS, MAP)[7]
    page.mouse.click(*spot)  # at once, before any hovering
    page.get_by_text(f"clicked {id}", exact=True).wait_for()
    page.locator(".cpc-card", has_text=f"point {id}").wait_for()
    page.mouse.click(box[0] + 2, box[1] + 2)
    page.wait_for_timeout(500)
    assert page.get_by_text(f"clicked {id}", exact=True).count() == 1, "far from every dot it means nothing"
    assert seen.errors == []


@pytest.mark.parametrize("what", ["click", "lasso"])
def test_what_is_told_again_when_the_answer_is_lost(what: str, address: str, visit: Callable[..., Visit]) -> None:
    """Streamlit drops a fragment's answer now and then, mostly on a busy machine."""
    seen = visit("data:text/html,")
    page = seen.page
    heard: list[str | bytes] = []
    losing = False

    def hand_on(socket: WebSocketRoute) -> None:
        server = socket.connect_to_server()
        server.on_message(lambda message: heard.append(message) if losing else socket.send(message))

    page.route_web_socket("**", hand_on)
    page.goto(address)
    box = ready(page)
    id, *spot = page.evaluate(DOTS, MAP)[7]
    inside = within(page, corners(box))
    losing = True
    if what == "click":
        page.mouse.click(*spot)
        answer = f"point {id}"
    else:
        draw(page, corners(box))
        answer = f"{len(inside)} chosen"
    for _ in range(200):
        page.wait_for_timeout(50)
        if any(answer.encode() in message for message in heard):
            break
    else:
        pytest.fail(f"Python gave no answer to a {what}")
    page.wait_for_timeout(500)  # the rest of that run
    losing = False
    if what == "click":
        page.locator(".cpc-card", has_text=answer).wait_for()
        page.get_by_text(f"clicked {id}", exact=True).wait_for()
    else:
        assert chosen(page, len(inside)) == inside
    assert seen.errors == []


def test_a_lasso_by_finger(address: str, visit: Callable[..., Visit]) -> None:
    seen = visit(address, viewport={"width": 390, "height": 600}, has_touch=True, is_mobile=True)
    page = seen.page
    ready(page)
    touch = page.context.new_cdp_session(page)
    scrolled = "document.querySelector('[data-testid=stMain]').scrollTop"

    def swipe(way: list[tuple[float, float]]) -> None:
        for kind, at in [("touchStart", way[0]), *(("touchMove", corner) for corner in way[1:]), ("touchEnd", None)]:
            points = [{"x": at[0], "y": at[1]}] if at else []
            touch.send("Input.dispatchTouchEvent", {"type": kind, "touchPoints": points})
            page.wait_for_timeout(30)

    box = ready(page)
    before, x, y = page.evaluate(scrolled), box[0] + box[2] / 2, box[1] + box[3] / 2
    swipe([(x, y + 20 * step) for step in range(8)])
    page.wait_for_function(f"{scrolled} < {before}")
    assert page.get_by_text("0 chosen", exact=True).count() == 1, "a finger scrolls until its owner takes the lasso"

    page.locator(f"{MAP} [data-val=lasso]").tap()
    half = corners(ready(page))
    inside, before = within(page, half), page.evaluate(scrolled)
    assert 20 < len(inside) < 400
    swipe(half)
    assert chosen(page, len(inside)) == inside
    assert page.evaluate(scrolled) == before

    box = page.locator(f"{MAP} .nsewdrag").bounding_box()
    corner, now = {"x": box["x"] + 4, "y": box["y"] + 4}, time.time()
    for place, kind in enumerate(("touchStart", "touchEnd") * 2):  # 50 ms apart, however slow the machine is
        points = [corner] if kind == "touchStart" else []
        touch.send("Input.dispatchTouchEvent", {"type": kind, "touchPoints": points, "timestamp": now + 0.05 * place})
    assert chosen(page, 0) == []
    assert seen.errors == []


def test_nothing_is_left_of_a_map_that_is_gone(address: str, visit: Callable[..., Visit]) -> None:
    seen = visit(address)
    page = seen.page
    box = ready(page)
    draw(page, corners(box))
    page.evaluate(f"window.gone = new WeakRef(document.querySelector({MAP!r}))")
    page.get_by_text("Show", exact=True).click()
    page.locator(MAP).first.wait_for(state="detached")
    session = page.context.new_cdp_session(page)
    for _ in range(20):
        session.send("HeapProfiler.collectGarbage")
        if page.evaluate("window.gone.deref() === undefined"):
            break
        page.wait_for_timeout(250)
    else:
        pytest.fail("the map's element is still held")
    page.get_by_text("Show", exact=True).click()
    box = ready(page)
    draw(page, corners(box))
    chosen(page, len(within(page, corners(box))))
    assert seen.errors == []


def test_a_map_that_moves_keeps_its_place_zoom_and_marks(
    tmp_path: Path, serve: Callable[..., str], visit: Callable[..., Visit]
) -> None:
    publish(tmp_path / "static")
    seen = visit(
        serve(Path(shutil.copy(SCRIPT.with_name("moving_points.py"), tmp_path))),
        viewport={"width": 1280, "height": 1100},
    )
    page = seen.page
    still, moving = ".st-key-still .cpc-scatter", ".st-key-moving .cpc-scatter"
    for chart in (still, moving):
        seen.come_to(chart)
    step = f"Number(document.querySelector({moving!r}).layout.title.text.slice(5))"
    ends = f"document.querySelector({moving!r})._fullLayout.xaxis.range.map(Number)"
    page.evaluate(f"document.querySelector({moving!r}).mark = 'same'")

    def later(count: int) -> None:
        page.wait_for_function(f"{step} >= {page.evaluate(step) + count}")

    whole = page.evaluate(ends)
    later(4)
    assert page.evaluate(ends)[1] > whole[1], "the axes follow the points until the reader zooms"
    dragged = page.locator(f"{moving} .nsewdrag").bounding_box()
    assert dragged is not None
    x, y = dragged["x"] + dragged["width"] / 2, dragged["y"] + dragged["height"] / 2
    page.mouse.move(x, y)
    page.mouse.down()
    page.mouse.move(x + 80, y, steps=4)
    page.mouse.up()
    page.wait_for_timeout(300)
    moved = page.evaluate(ends)
    assert moved[0] < whole[0], "without a lasso dragging moves the map"
    later(3)
    assert page.evaluate(ends) == pytest.approx(moved)
    assert page.evaluate(f"document.querySelector({moving!r}).mark") == "same"
    assert page.locator(f"{moving} [data-val=lasso]").count() == 0

    area = page.locator(f"{still} .nsewdrag").bounding_box()
    assert area is not None
    draw(page, corners((area["x"], area["y"], area["width"], area["height"])))
    page.get_by_text("0 chosen", exact=True).wait_for(state="detached")
    page.wait_for_function(f"() => ({MARKED})({still!r}).length > 0")
    marked = page.evaluate(MARKED, still)
    assert 0 < len(marked) < 60
    page.get_by_text(f"{len(marked)} chosen", exact=True).wait_for()
    later(2)
    assert page.evaluate(MARKED, moving) == marked, "the same items, wherever they are by now"
    assert seen.errors == []


def test_a_click_opens_what_the_card_shows(served: str, visit: Callable[..., Visit]) -> None:
    """Among dots that overlap, and over what stands beside the map."""
    seen = visit(f"{served}/?points=6000")
    page = seen.page
    left, top, width, height = ready(page)
    dots = page.evaluate(DOTS, MAP)
    middle = left + width / 2, top + height / 2
    crowded = sorted(dots, key=lambda dot: (dot[1] - middle[0]) ** 2 + (dot[2] - middle[1]) ** 2)[:4]
    for _, x, y in crowded:
        spot = round(x) + 0.5, round(y) + 0.5
        page.mouse.move(left + 2, top + 2)
        page.locator(".cpc-card").wait_for(state="detached")
        page.mouse.move(*spot)
        card = page.locator(".cpc-card", has_text="point")
        card.wait_for()
        told = card.inner_text().removeprefix("point ")
        nearest = min(dots, key=lambda dot: (dot[1] - spot[0]) ** 2 + (dot[2] - spot[1]) ** 2)
        assert int(told) == nearest[0]
        page.mouse.down()
        page.mouse.up()
        page.get_by_text(f"clicked {told}", exact=True).wait_for()
    assert page.evaluate("document.querySelector('.cpc-card').matches(':popover-open')"), "nothing lies over the card"
    assert seen.errors == []
