"""Pages of the app without a browser: a folder of runs that the app uses, a finished run, and what opens a page.

A test module takes the fixtures with `pytest_plugins = ["tests.support.pages"]`.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any
from urllib.parse import parse_qsl

import pytest
import streamlit as st
from streamlit.runtime.pages_manager import PagesManager
from streamlit.testing.v1 import AppTest

from cpc_engine import RunConfig, manager_for
from cpc_engine.execution.execute import execute
from cpc_engine.storage.folder import RunFolder
from cpc_engine.training.control import Control
from tests.support import installed, paths  # noqa: F401  (installed: before the first page)

START = "pages/start.py"
PAGES = (START, "pages/train.py", "pages/runs.py")
SMALL = {
    "data.train_items": 64,
    "data.test_items": 48,
    "audio.sample_rate": 4000,
    "audio.clip_seconds": 0.5,
    "audio.mel_bands": 16,
    "audio.width": 8,
    "context.hidden_dim": 16,
    "context.latent_dim": 8,
    "optimizer.batch_size": 8,
    "optimizer.steps": 3,
    "evaluation.items": 16,
    "evaluation.map_items": 48,
}


@pytest.fixture(scope="session")
def finished(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A finished run's folder, to be copied."""
    folder = RunFolder.create(tmp_path_factory.mktemp("runs"), RunConfig().replace(SMALL))
    execute(folder, Control())
    assert folder.info().status == "finished"
    return folder.path


@pytest.fixture
def runs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """An empty folder of runs that the app uses; its manager ends with the test."""
    root = tmp_path / "runs"
    monkeypatch.setenv("CPC_RUNS", str(root))
    # AppTest begins every run as if `st.navigation` was never called, which makes a page forget what was clicked.
    original = PagesManager.__init__

    def begin(self: PagesManager, *args: Any, **kwargs: Any) -> None:
        original(self, *args, **kwargs)
        PagesManager.uses_pages_directory = False

    monkeypatch.setattr(PagesManager, "__init__", begin)
    yield root
    manager_for(root).close(120)  # a thread that trains on while Python ends would abort it
    st.cache_data.clear()
    st.cache_resource.clear()


def open_page(page: str = START, **address: str | list[str]) -> AppTest:
    """That page of the app, with these parameters in its address."""
    test = AppTest.from_file(str(paths.APP), default_timeout=90)
    if page != START:
        test.switch_page(page)  # without running the start page: a page's address is the name of its file
    for name, value in address.items():
        test.query_params[name] = value
    return test.run()


def links(test: AppTest) -> dict[str, list[tuple[str, str]]]:
    """{label: what its address asks for} of the links to pages."""
    return {one.proto.label: parse_qsl(one.proto.query_string) for one in test.get("page_link")}


def tell_data(test: AppTest, run: str, place: Path) -> None:
    """Say on a page where the data of a run are now."""
    test.text_input(key=f"path-{run}").set_value(str(place))
    [use] = [button for button in test.button if button.label == "Use them"]
    use.click().run()
