"""A small evaluated run on sounds and pictures, and an app that looks at it: fixtures of the Explore and Place pages.

A test module takes them with `pytest_plugins = ["tests.support.explored"]`.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from streamlit.testing.v1 import AppTest

from cpc_engine.execution.evaluate import evaluate_run
from cpc_engine.execution.execute import execute
from cpc_engine.storage.folder import RunFolder
from cpc_engine.training.control import Control
from tests.support.pages import open_page
from tests.support.tiny import tiny

pytest_plugins = ["tests.support.pages"]


@pytest.fixture(scope="session")
def keypad(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of a run on telephone keys, sounds and pictures."""
    changes = {"data__dataset": "keypad", "data__train_items": 200, "data__test_items": 60, "optimizer__steps": 12}
    config = tiny(evaluation__map_items=60, run__name="Keys", **changes)
    folder = RunFolder.create(tmp_path_factory.mktemp("keypad"), config)
    assert execute(folder, Control()).status == "finished"
    evaluate_run(folder)
    return folder.path


@pytest.fixture
def page(runs: Path) -> Callable[..., AppTest]:
    """`page(path, **address)` → that page of the app over `runs`."""
    return open_page


def what_if(test: AppTest, path: str) -> Any:
    """The control of a setting among those of a what-if on the Negatives page; that of the shuffle is "shuffled"."""
    controls = (*test.select_slider, *test.toggle, *test.selectbox)
    [one] = [one for one in controls if one.key and one.key.startswith("if-") and one.key.endswith(f"-{path}")]
    return one
