"""Break it in a browser: a recipe, its prediction, two runs that show curves side by side, and what was measured."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from cpc_engine.break_it.recipes import RECIPES
from tests.support.paths import APP

if TYPE_CHECKING:
    from tests.support.browser import Visit

pytest_plugins = ["tests.support.browser"]
pytestmark = pytest.mark.browser

RECIPE = RECIPES["plain_queue"]
# The charts of both runs, and whether each has a curve of its own.
CURVES = """() => {
  const charts = [...document.querySelectorAll("[class*='st-key-loss-'] .cpc-live-chart")];
  return charts.length === 2 && charts.every((chart) => (chart.data ?? []).some((trace) => trace.x?.length > 1));
}"""


def test_from_a_recipe_to_both_curves_and_the_outcome(
    serve: Callable[..., str], visit: Callable[..., Visit], tmp_path: Path
) -> None:
    url = serve(APP, env={"CPC_RUNS": str(tmp_path / "runs")})
    seen = visit(f"{url}/break_it", viewport={"width": 1440, "height": 900})
    page = seen.page
    page.get_by_role("radio", name=RECIPE.title).or_(page.get_by_role("button", name=RECIPE.title)).first.click()
    page.locator(".st-key-predicted").get_by_text(RECIPE.prediction.words).wait_for()
    assert page.locator(".st-key-found-words").count() == 0, "the prediction stands alone at first"
    seen.settle()
    page.get_by_role("button", name="Train it beside a control").click()
    page.wait_for_function(CURVES, timeout=180_000)
    assert "recipe=plain_queue" in page.url
    assert "runs=" in page.url
    bottom = page.evaluate(
        "Math.max(...[...document.querySelectorAll(\"[class*='st-key-loss-'] .cpc-live-chart\")]"
        ".map((chart) => chart.getBoundingClientRect().bottom))"
    )
    assert bottom <= 900, "recipe, prediction, button and curves are on one screen"
    page.get_by_text("Show what was measured").click()
    words = page.locator(".st-key-found-words")
    words.get_by_text("Way out:").wait_for(timeout=120_000)
    told = words.inner_text()
    assert any(kind in told for kind in ("As predicted: spread", "The opposite: spread", "Cannot be told: spread"))
    assert "n = 5" in told
    assert seen.errors == []
    assert seen.foreign == []
