"""From Start to which source pulled hardest on an anchor, and whether its negative was a false one, in a few clicks."""

from __future__ import annotations

import re
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import pytest
from PIL import Image

from cpc_engine.execution.execute import execute
from cpc_engine.storage.folder import RunFolder
from cpc_engine.training.control import Control
from tests.support.paths import APP, REPOSITORY
from tests.support.tiny import tiny

if TYPE_CHECKING:
    from playwright.sync_api import Page

    from tests.support.browser import Visit

pytest_plugins = ["tests.support.browser"]
pytestmark = pytest.mark.browser


@pytest.fixture(scope="module")
def lab(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder of runs: a shipped example, and a run on a folder of one's own pictures, which is the newest."""
    root = tmp_path_factory.mktemp("lab")
    shutil.copytree(REPOSITORY / "checkpoints" / "example-tones", root / "example-tones")
    draw = np.random.default_rng(0)
    for name in ("cats", "dogs"):
        (root / "photos" / name).mkdir(parents=True)
        for number in range(16):
            pixels = draw.integers(0, 255, (32, 32, 3), dtype=np.uint8)
            Image.fromarray(pixels).save(root / "photos" / name / f"{name}_{number}.png")
    changes = {"data__dataset": "image_folder", "data__path": str(root / "photos"), "run__name": "My pictures"}
    folder = RunFolder.create(root, tiny(**changes, optimizer__batch_size=8, sampler__queue_size=64))
    assert execute(folder, Control()).status == "finished"
    return root


def said(page: Page) -> str:
    """The page's answer, once no script runs any more."""
    page.locator(".st-key-answer").get_by_text("on this anchor").wait_for(timeout=120_000)
    page.locator("[data-testid=stApp][data-test-script-state=notRunning]").wait_for(timeout=120_000)
    return page.locator(".st-key-answer").inner_text()


def test_a_newcomer_finds_the_answer_within_five_clicks(
    serve: Callable[..., str], visit: Callable[..., Visit], lab: Path
) -> None:
    seen = visit(serve(APP, env={"CPC_RUNS": str(lab)}))
    page, clicks = seen.page, 0

    def click(name: str, role: str) -> None:
        nonlocal clicks
        clicks += 1
        page.get_by_role(role, name=name).first.click()  # type: ignore[arg-type]

    click("Negatives", "link")
    answer = said(page)
    assert re.search(r"(Queue|In-batch) negatives pull hardest on this anchor: \d+% of the gradient", answer)
    assert "a false negative" in answer
    assert clicks == 1, "a run of one's own folder: one click"

    seen.settle()
    page.locator(".st-key-negatives-run [data-baseweb=select], [data-testid=stSelectbox]").first.click()
    page.get_by_role("option", name=re.compile("Tones")).click()
    clicks += 2
    page.wait_for_function("document.querySelector('.st-key-answer')?.innerText.includes('Hz')", timeout=120_000)
    assert "In-batch negatives pull hardest on this anchor" in said(page)
    assert clicks <= 5, "the shipped example: three"
    words = re.compile("Shuffled: cosine to the original.*input shuffled: on average 0.98")
    steady = page.get_by_role("figure", name=words)
    steady.scroll_into_view_if_needed(timeout=120_000)
    drawn = steady.locator(".scatterlayer .js-line").first
    drawn.wait_for(state="attached")  # a tone is the same in any order
    assert seen.errors == []
    assert seen.foreign == []


def test_the_address_follows_the_anchor_and_back_leads_to_the_one_before(
    serve: Callable[..., str], visit: Callable[..., Visit], lab: Path
) -> None:
    server = serve(APP, env={"CPC_RUNS": str(lab)})
    seen = visit(f"{server}/negatives?run=example-tones", viewport={"width": 1440, "height": 900})
    page = seen.page
    chosen = "document.querySelector('.st-key-negatives-way [aria-checked=true]')?.innerText === '{}'"
    first = said(page)
    seen.settle()
    page.locator(".st-key-negatives-way").get_by_role("radio", name="most mistaken").click()
    page.wait_for_function("location.search.includes('anchor=margin')")
    seen.settle()
    other, address = said(page), page.url
    page.go_back()
    page.wait_for_function(chosen.format("hardest"))
    seen.settle()
    assert said(page) == first
    copied = visit(address)
    assert said(copied.page) == other
    copied.page.wait_for_function(chosen.format("most mistaken"))
