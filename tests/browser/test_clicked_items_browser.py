"""From a dot of any map to the negatives of its item: named in the place of the words, without anything moving."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import parse_qs, urlsplit

import pytest

import cpc_engine
from tests.support.paths import APP

if TYPE_CHECKING:
    from playwright.sync_api import Page

    from tests.support.browser import Visit

pytest_plugins = ["tests.support.browser", "tests.support.explored"]
pytestmark = pytest.mark.browser

SIZES = {"desk": {"width": 1440, "height": 900}, "phone": {"width": 390, "height": 844}}
MOVES = 8  # pixels
# Id and place on the page of the row-th dot of the trace whose name ends so.
DOT = """([map, kind, row]) => {
    const node = document.querySelector(map), { xaxis, yaxis } = node._fullLayout, box = node.getBoundingClientRect();
    const traces = node._fullData.filter((trace) => trace.customdata && trace.marker.symbol.endsWith("-open") === kind);
    const { x, y, customdata } = traces[0];
    return [customdata[row], box.left + xaxis._offset + xaxis.d2p(x[row]), box.top + yaxis._offset + yaxis.d2p(y[row])];
}"""
# The tops of what can be pressed and of what is drawn; not of what a click brings.
PLACES = """() => Object.fromEntries([...document.querySelectorAll("button, input, .cpc-scatter, .cpc-live-chart, h2")]
    .filter((node) => node.getClientRects().length && !node.closest("[class*='st-key-clicked-']"))
    .map((node, at) => [`${at} ${node.tagName}`, node.getBoundingClientRect().top]))"""


@pytest.fixture
def lab(keypad: Path, tmp_path: Path) -> Path:
    """Two runs on the same sounds and pictures."""
    for name in ("one", "two"):
        folder = Path(shutil.copytree(keypad, tmp_path / "runs" / name))
        facts = json.loads((folder / "run.json").read_text())
        (folder / "run.json").write_text(json.dumps(facts | {"id": name}))
    return tmp_path / "runs"


def click(page: Page, chart: str, row: int, picture: bool = True) -> int:
    """Click a dot, once the map stands still; its id."""
    page.locator(chart).scroll_into_view_if_needed()
    before, spot = None, page.evaluate(DOT, [chart, picture, row])
    while before != spot:
        page.wait_for_timeout(400)
        before, spot = spot, page.evaluate(DOT, [chart, picture, row])
    id, x, y = spot
    page.mouse.click(x, y, delay=60)
    return int(id)


def moved(before: dict[str, float], after: dict[str, float]) -> dict[str, float]:
    assert before.keys() == after.keys()
    return {name: after[name] - top for name, top in before.items() if abs(after[name] - top) > MOVES}


def chosen(page: Page) -> dict[str, Any]:
    """What the Negatives page shows."""
    page.wait_for_function("location.pathname.endsWith('negatives')")
    page.locator(".st-key-answer").get_by_text("on this anchor").wait_for(timeout=120_000)
    return {name: values[0] for name, values in parse_qs(urlsplit(page.url).query).items()}


@pytest.mark.parametrize("size", list(SIZES))
def test_a_dot_of_the_train_pages_map_leads_to_its_negatives(
    serve: Callable[..., str], visit: Callable[..., Visit], lab: Path, size: str
) -> None:
    seen = visit(f"{serve(APP, env={'CPC_RUNS': str(lab)})}/train?run=one", viewport=SIZES[size])
    page, chart = seen.page, ".st-key-map-place .cpc-scatter[role=figure]"
    seen.come_to(chart)
    seen.settle()
    page.evaluate(f"document.querySelector({chart!r}).mark = 'same'")
    before = page.evaluate(PLACES)
    id = click(page, chart, 3)
    named = page.locator(".st-key-clicked-one")
    named.get_by_role("link", name="Its negatives").wait_for()
    seen.settle()
    assert moved(before, page.evaluate(PLACES)) == {}
    assert page.evaluate(f"document.querySelector({chart!r}).mark") == "same", "the map is not drawn anew"
    items = cpc_engine.open("one", lab).stored_map()
    assert items.modalities[id] == "image"
    words = f"{items.names[id]} · {items.classes[int(items.labels[id])]} · picture"
    assert named.get_by_text(words).is_visible()
    other = click(page, chart, 1, picture=False)
    named.get_by_text(f"{items.names[other]} · ").wait_for()
    named.get_by_text("· sound").wait_for()
    click(page, chart, 3)
    named.get_by_text("· picture").wait_for()
    seen.settle()
    named.get_by_role("link", name="Its negatives").click()
    address = chosen(page)
    assert (address["run"], address["item"], address["loss"]) == ("one", str(id), "prediction-image")
    assert seen.errors == []


def test_a_dot_of_compared_maps_leads_to_its_negatives_in_both_runs(
    serve: Callable[..., str], visit: Callable[..., Visit], lab: Path
) -> None:
    address = f"{serve(APP, env={'CPC_RUNS': str(lab)})}/compare?runs=one,two&pair-left=one&pair-right=two"
    seen = visit(address, viewport={"width": 1280, "height": 900})
    page = seen.page
    left, right = (f".st-key-pair-{place}-chart .cpc-scatter[role=figure]" for place in ("left", "right"))
    page.get_by_role("heading", name="Export").wait_for(timeout=120_000)  # the last part of the page
    for chart in (left, right):
        seen.come_to(chart)
    seen.settle()
    before = page.evaluate(PLACES)
    id = click(page, right, 2)
    named = page.locator(".st-key-clicked-pair")
    for place in ("left", "right"):
        named.get_by_role("link", name=f"Its negatives, {place}").wait_for()
    stars = "(map) => document.querySelector(map)._fullData.filter((trace) => trace.name === 'lit').length"
    for chart in (left, right):
        page.wait_for_function(f"({stars})({chart!r}) === 1")
    seen.settle()
    page.locator(right).scroll_into_view_if_needed()
    assert moved(before, page.evaluate(PLACES)) == {}
    assert named.get_by_text("· picture").is_visible()
    named.get_by_role("link", name="Its negatives, right").click()
    address_of = chosen(page)
    assert (address_of["run"], address_of["item"]) == ("two", str(id))
    assert seen.errors == []


def test_a_dot_of_the_negatives_pages_own_map_becomes_the_anchor(
    serve: Callable[..., str], visit: Callable[..., Visit], lab: Path
) -> None:
    seen = visit(f"{serve(APP, env={'CPC_RUNS': str(lab)})}/negatives?run=one&anchor=map")
    page, chart = seen.page, ".st-key-negatives-map .cpc-scatter[role=figure]"
    seen.come_to(chart)
    chosen(page)
    seen.settle()
    id = click(page, chart, 4, picture=False)
    page.wait_for_function(f"new URL(location).searchParams.get('item') === '{id}'")
    assert seen.errors == []
