"""Names of runs in a real browser: no request to another host, no link, no picture of one."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

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

NAME = "![t](http://example.invalid/x.png) www.example.invalid https://example.invalid $x^2$ :red[r]"


def test_a_name_is_shown_letter_by_letter(
    serve: Callable[..., str], visit: Callable[..., Visit], tmp_path: Path
) -> None:
    folder = RunFolder.create(tmp_path / "runs", tiny(run__name=NAME, run__note=NAME))
    assert execute(folder, Control()).status == "finished"
    url = serve(APP, env={"CPC_RUNS": str(tmp_path / "runs")})
    seen = visit(f"{url}/_stcore/health")  # of the same host, without the app
    for page in (
        "runs",
        "runs?look=Cards",
        f"watch?run={folder.id}",
        f"compare?runs={folder.id}",
        f"explore?run={folder.id}",
        f"negatives?run={folder.id}",
        f"negatives?run={folder.id}&view=step",
        "break_it",
        "sweeps",
    ):
        seen.page.goto(f"{url}/{page}")
        if page.startswith(("runs?", "watch")):  # elsewhere it stands in a list of choices, or in a table that is drawn
            seen.page.get_by_text("![t](http").first.wait_for()
            shown = seen.page.evaluate("document.body.innerText").replace("\u2060", "")
            assert NAME in shown
        seen.page.locator("h1").first.wait_for()
        seen.settle()
        assert seen.foreign == []
        assert seen.page.locator("a[href*='example.invalid'], img[src*='example.invalid']").count() == 0
