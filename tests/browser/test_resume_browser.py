"""A run that was resumed on its page is followed there."""

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


def test_a_resumed_run_is_followed(serve: Callable[..., str], visit: Callable[..., Visit], tmp_path: Path) -> None:
    folder = RunFolder.create(tmp_path / "runs", tiny(optimizer__steps=20))
    control = Control()
    assert execute(folder, control, lambda seen: control.stop() if isinstance(seen, dict) else None).status == "stopped"
    page = visit(f"{serve(APP, env={'CPC_RUNS': str(tmp_path / 'runs')})}/train?run={folder.id}").page
    page.get_by_role("button", name="Resume").click(timeout=120_000)
    page.get_by_text("20 of 20 steps").wait_for(timeout=120_000)
