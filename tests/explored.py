"""A small evaluated run on sounds and pictures, and an app that looks at it: fixtures of the Explore and Place pages.

A test module takes them with `pytest_plugins = ["tests.explored"]`.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import streamlit as st
from streamlit.runtime.pages_manager import PagesManager
from streamlit.testing.v1 import AppTest

from cpc_engine import RunFolder, manager_for
from cpc_engine.runs.evaluate import evaluate_run
from cpc_engine.runs.execute import execute
from cpc_engine.training.control import Control
from tests.tiny import tiny

APP = str(Path(__file__).resolve().parents[1] / "app.py")


@pytest.fixture(scope="session")
def keypad(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of a run on telephone keys, sounds and pictures."""
    changes = {"data__dataset": "keypad", "data__train_items": 200, "data__test_items": 60, "optimiser__steps": 12}
    config = tiny(evaluation__map_items=60, run__name="Keys", **changes)
    folder = RunFolder.create(tmp_path_factory.mktemp("keypad"), config)
    assert execute(folder, Control()).status == "finished"
    evaluate_run(folder)
    return folder.path


@pytest.fixture
def runs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """An empty folder of runs that the app uses; its manager ends with the test."""
    root = tmp_path / "runs"
    monkeypatch.setenv("CPC_RUNS", str(root))
    # AppTest takes every run for the first of a fresh server, where `inside_app` begins again and a click is lost.
    made = PagesManager.__init__

    def known(self: PagesManager, *arguments: Any, **options: Any) -> None:
        made(self, *arguments, **options)
        PagesManager.uses_pages_directory = False

    monkeypatch.setattr(PagesManager, "__init__", known)
    yield root
    manager_for(root).close()
    st.cache_data.clear()
    st.cache_resource.clear()


@pytest.fixture
def page(runs: Path) -> Callable[..., AppTest]:
    """`page(path, **address)` → that page of the app over `runs`."""

    def open_page(path: str, **address: str) -> AppTest:
        test = AppTest.from_file(APP, default_timeout=90).run().switch_page(path)
        for name, value in address.items():
            test.query_params[name] = value
        return test.run()

    return open_page
