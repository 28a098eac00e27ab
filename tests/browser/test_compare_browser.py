"""Two arms compared in a real browser: the linked lasso, curves that stay in place, and the report on its own."""

from __future__ import annotations

import math
import re
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from cpc_engine.execution.execute import execute
from cpc_engine.storage.folder import RunFolder
from cpc_engine.storage.listing import list_runs
from cpc_engine.training.control import Control
from tests.support.paths import APP
from tests.support.tiny import tiny

if TYPE_CHECKING:
    from tests.support.browser import Visit

pytest_plugins = ["tests.support.browser"]
pytestmark = pytest.mark.browser

LEFT, RIGHT = ".st-key-pair-left-chart .cpc-scatter", ".st-key-pair-right-chart .cpc-scatter"
LOSS = ".st-key-compare-loss .cpc-live-chart"
ACCURACY = ".st-key-compare-accuracy .cpc-live-chart"
# The middle of a chart's plot, and the step that its hover label names.
MIDDLE = """(chart) => {
  const box = document.querySelector(chart + " .nsewdrag").getBoundingClientRect();
  return [box.left + box.width / 2, box.top + box.height / 2];
}"""
READ = "(chart) => document.querySelector(chart + ' .hoverlayer .legendtitletext')?.textContent ?? ''"
# Where on the page the first dot of the first class is.
SPOT = """(chart) => {
    const node = document.querySelector(chart), box = node.getBoundingClientRect();
    const { xaxis, yaxis } = node._fullLayout, { x, y } = node._fullData[0];
    return [box.left + xaxis._offset + xaxis.d2p(x[0]), box.top + yaxis._offset + yaxis.d2p(y[0])];
}"""
MARKED = """(chart) => document.querySelector(chart)._fullData.flatMap(
    (trace) => [...(trace.selectedpoints ?? [])].map((row) => trace.customdata[row])).sort((a, b) => a - b)"""


@pytest.fixture(scope="module")
def finished(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Two arms with two seeds each."""
    root = tmp_path_factory.mktemp("lab") / "runs"
    for seed in (0, 1):
        for name, perturbed in (("plain", False), ("<b>noisy</b>", True)):
            changes = {"run__name": name, "run__seed": seed, "sampler__perturbed": perturbed, "evaluation__every": 1}
            folder = RunFolder.create(root, tiny(optimizer__steps=8, **changes))
            assert execute(folder, Control()).status == "finished"
    return root


@pytest.fixture
def compared(finished: Path, serve: Callable[..., str]) -> str:
    """Address of a comparison of all four."""
    runs = ",".join(info.id for info in reversed(list_runs(finished)))  # oldest first: plain is A
    return f"{serve(APP, env={'CPC_RUNS': str(finished)})}/compare?runs={runs}"


def lasso(seen: Visit, chart: str, middle: float = 0.27) -> None:
    """Draw a loop around half of a map, by default the left one; `middle` is the loop's, as a share of the width."""
    area = seen.page.locator(f"{chart} .nsewdrag")
    area.scroll_into_view_if_needed()
    box = area.bounding_box()
    assert box is not None
    x, y = box["x"] + middle * box["width"], box["y"] + box["height"] / 2
    points = [(x + 0.25 * box["width"] * math.cos(a), y + 0.48 * box["height"] * math.sin(a)) for a in _angles(24)]
    seen.page.mouse.move(*points[0])
    seen.page.mouse.down()
    for point in points[1:]:
        seen.page.mouse.move(*point)
    seen.page.mouse.up()


def _angles(count: int) -> list[float]:
    return [2 * math.pi * i / count for i in range(count + 1)]


def test_compare_lasso_and_take_the_report_home(compared: str, visit: Callable[..., Visit], tmp_path: Path) -> None:
    seen = visit(compared, viewport={"width": 1280, "height": 900}, accept_downloads=True)
    page = seen.page
    for chart in (LOSS, LEFT, RIGHT):
        seen.come_to(chart)
    page.wait_for_selector(".st-key-report button")
    page.evaluate(f"for (const c of {[LEFT, RIGHT, LOSS]!r}) document.querySelector(c).mark = c")

    seen.come_to(LOSS)
    page.mouse.move(*page.evaluate(MIDDLE, LOSS), steps=3)
    page.locator(f"{ACCURACY} .hoverlayer .legend").wait_for()  # the next chart is read at the same step
    assert page.evaluate(READ, ACCURACY) == page.evaluate(READ, LOSS) != ""
    seen.come_to(RIGHT)
    page.locator(f"{ACCURACY} .hoverlayer .legend").wait_for(state="detached")
    page.mouse.move(*page.evaluate(SPOT, RIGHT), steps=3)
    class_and_name = re.compile(r"220 Hz\s*tones/test/\d+")
    page.locator(f"{RIGHT} .hovertext", has_text=class_and_name).wait_for()
    lasso(seen, LEFT)
    page.evaluate("new Promise((done) => requestAnimationFrame(() => requestAnimationFrame(done)))")
    left = page.evaluate(MARKED, LEFT)
    assert 0 < len(left) < 32
    assert page.evaluate(MARKED, RIGHT) == left, "the other map follows at once, before the server knows"
    page.get_by_text("items chosen").wait_for()
    page.get_by_text(f"{len(left)} items chosen").wait_for()
    lasso(seen, RIGHT, 0.73)
    page.wait_for_function(
        f"() => JSON.stringify(({MARKED})({LEFT!r})) === JSON.stringify(({MARKED})({RIGHT!r}))"
        f" && JSON.stringify(({MARKED})({LEFT!r})) !== {str(left).replace(' ', '')!r}"
    )
    assert page.evaluate(f"{[LEFT, RIGHT, LOSS]!r}.every((c) => document.querySelector(c).mark === c)"), "no new nodes"
    page.locator(f"{LEFT} .nsewdrag").dblclick()
    page.get_by_text("items chosen").wait_for(state="detached")
    page.wait_for_function(f"() => ({MARKED})({RIGHT!r}).length === 0")

    page.get_by_label("Mark items").fill("/1")  # without a mouse
    page.get_by_label("Mark items").press("Enter")
    page.get_by_text("items chosen").wait_for()
    page.wait_for_function(f"() => ({MARKED})({LEFT!r}).length && ({MARKED})({RIGHT!r}).length")
    assert page.evaluate(MARKED, LEFT) == page.evaluate(MARKED, RIGHT)
    lasso(seen, LEFT)
    page.wait_for_function("document.querySelector('.st-key-pair-find input').value === ''")
    page.wait_for_function(f"() => JSON.stringify(({MARKED})({LEFT!r})) === {str(left).replace(' ', '')!r}")
    assert page.evaluate(MARKED, RIGHT) == left, "the newest word counts"

    with page.expect_download() as download:
        page.locator(".st-key-report button").click()
    file = tmp_path / "comparison.html"
    download.value.save_as(file)
    home = visit(file.as_uri(), color_scheme="dark")
    home.page.wait_for_function("document.querySelectorAll('.chart .main-svg').length >= 20")
    assert home.page.get_by_role("heading", level=2).count() == 10
    assert home.page.get_by_text("B · <b>noisy</b>").count() > 0

    phone = visit(compared, viewport={"width": 390, "height": 844})
    phone.come_to(RIGHT)
    wide = "Math.max(document.documentElement.scrollWidth, document.querySelector('[data-testid=stMain]').scrollWidth)"
    assert phone.page.evaluate(wide) <= 390
    for one in (seen, home, phone):
        assert one.foreign in ([], [file.as_uri()])
        assert one.errors == []


def test_curves_of_runs_that_go_on_grow_in_place(
    serve: Callable[..., str], visit: Callable[..., Visit], tmp_path: Path
) -> None:
    seen = visit(f"{serve(APP, env={'CPC_RUNS': str(tmp_path / 'runs')})}/compare")
    page = seen.page
    page.locator(".st-key-begin button").click()
    seen.come_to(LOSS, seconds=150)  # the first step takes as long as importing PyTorch does
    count = f"document.querySelector({LOSS!r})?.data?.at(-1)?.x.length"
    page.wait_for_function(f"{count} > 2")
    page.evaluate(f"document.querySelector({LOSS!r}).mark = 'same'")
    box = page.locator(f"{LOSS} .nsewdrag").bounding_box()
    assert box is not None
    middle = box["y"] + box["height"] / 2
    page.mouse.move(box["x"] + 0.3 * box["width"], middle)
    page.mouse.down()
    page.mouse.move(box["x"] + 0.7 * box["width"], middle, steps=6)
    page.mouse.up()
    page.wait_for_timeout(300)
    zoom = f"document.querySelector({LOSS!r})._fullLayout.xaxis.range.map(Number)"
    sizes = f"JSON.stringify(document.querySelector({LOSS!r})?.data?.map((one) => one.x.length) ?? [])"
    zoomed, before = page.evaluate(zoom), page.evaluate(sizes)
    page.wait_for_function(f"{sizes} !== '[]' && {sizes} !== '{before}'")  # another point, or another run's first
    assert page.evaluate(zoom) == pytest.approx(zoomed)
    assert page.evaluate(f"document.querySelector({LOSS!r}).mark") == "same"
    assert len(page.evaluate("new URL(location).searchParams.get('runs')").split(",")) == 10
    assert seen.errors == []
