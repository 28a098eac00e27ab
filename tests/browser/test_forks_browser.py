"""A what-if becomes pairs of forks with one click, held against controls; one slider goes through the training."""

from __future__ import annotations

import re
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from cpc_engine.execution.execute import execute
from cpc_engine.storage.folder import RunFolder
from cpc_engine.training.control import Control
from tests.support.paths import APP
from tests.support.tiny import tiny

if TYPE_CHECKING:
    from tests.support.browser import Visit

pytest_plugins = ["tests.support.browser"]
pytestmark = pytest.mark.browser

CURSOR, MAP = ".st-key-cursor-{} .cpc-live-chart", ".st-key-places-{} .cpc-live-chart"
LOSS = ".st-key-fork-loss .cpc-live-chart"
NAMES = "(chart) => (document.querySelector(chart)?.data ?? []).map((trace) => trace.name)"


@pytest.fixture(scope="module")
def trained(tmp_path_factory: pytest.TempPathFactory) -> RunFolder:
    """A run that keeps four earlier steps."""
    root = tmp_path_factory.mktemp("forks")
    folder = RunFolder.create(root, tiny(optimizer__steps=12, sampler__queue_size=64, run__name="Mine"))
    assert execute(folder, Control()).status == "finished"
    return folder


@pytest.fixture
def opened(trained: RunFolder, tmp_path: Path, serve: Callable[..., str], visit: Callable[..., Visit]) -> Visit:
    """Its negatives, once they are drawn."""
    root = tmp_path / "runs"
    shutil.copytree(trained.path, root / trained.id)
    seen = visit(f"{serve(APP, env={'CPC_RUNS': str(root)})}/negatives?run={trained.id}")
    seen.page.locator(".st-key-answer").get_by_text("on this anchor").wait_for(timeout=120_000)
    seen.settle(120)
    return seen


def test_a_what_if_becomes_pairs_whose_difference_has_a_band(opened: Visit, trained: RunFolder) -> None:
    page = opened.page
    page.get_by_role("slider", name="Temperature τ").press("ArrowRight")
    pairs = page.locator(f".st-key-fork-pairs-{trained.id}")
    pairs.get_by_text("5", exact=True).click()
    opened.settle()
    page.get_by_role("button", name="Train a fork with this").click()
    page.wait_for_url(re.compile("/compare"))
    page.get_by_role("heading", name="Forks against their controls").wait_for()
    page.get_by_text("5 pairs from step 12 of Mine").wait_for()
    opened.come_to(LOSS, 180)
    # The band is there when two pairs have ended, and not only when all have.
    page.wait_for_function(
        f"(chart) => ({NAMES})(chart).some((name) => / from$/.test(name))", arg=LOSS, timeout=300_000
    )
    assert "control" in page.evaluate(NAMES, LOSS)
    assert opened.errors == []
    assert opened.foreign == []


def test_one_slider_moves_the_loss_the_map_and_the_line_up(opened: Visit, trained: RunFolder) -> None:
    page = opened.page
    cursor, places = (chart.format(f"{trained.id}-prediction-audio") for chart in (CURSOR, MAP))
    places = places.replace("-prediction", "")
    opened.come_to(cursor)
    opened.come_to(places)

    def state() -> dict[str, Any]:
        found: dict[str, Any] = page.evaluate(
            """([cursor, places]) => {
                const [loss, map] = [cursor, places].map((chart) => document.querySelector(chart));
                const star = map.data.find((trace) => trace.name === "anchor");
                return {
                    at: loss.layout.shapes[0].x0, here: [star.x[0], star.y[0]], marked: [loss.mark, map.mark],
                    frame: map.layout.xaxis.range, top: loss.getBoundingClientRect().top,
                    answer: document.querySelector(".st-key-answer").innerText,
                    cards: document.querySelector("[class*=st-key-candidate-]").innerText,
                };
            }""",
            [cursor, places],
        )
        return found

    page.evaluate(
        "(charts) => charts.forEach((chart) => { document.querySelector(chart).mark = chart; })", [cursor, places]
    )
    slider = page.get_by_role("slider", name="Through the training")
    slider.focus()  # scrolls to it
    opened.settle()
    before = state()
    assert before["at"] == 12
    slider.press("ArrowLeft")
    moved = "(chart) => document.querySelector(chart)?.layout.shapes[0].x0 === 8"
    page.wait_for_function(moved, arg=cursor)
    page.wait_for_function(
        "([chart, x]) => document.querySelector(chart).data.find((t) => t.name === 'anchor').x[0] !== x",
        arg=[places, before["here"][0]],
        timeout=60_000,
    )
    opened.settle()
    after = state()
    assert after["at"] == 8
    assert after["answer"] != before["answer"]
    assert after["cards"] != before["cards"]
    assert after["marked"] == before["marked"] == [cursor, places], "drawn in the same nodes"
    assert after["frame"] == before["frame"]
    assert abs(after["top"] - before["top"]) < 60, "nothing jumps"
    assert "step=8" in page.url
    assert opened.errors == []
