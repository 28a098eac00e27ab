"""The Runs page: a run is packed as one file, and a zip file of a run is offered a place."""

from __future__ import annotations

import io
import shutil
import zipfile
from pathlib import Path

import pytest

from tests.support.pages import open_page
from ui.runs.bring import _packed

pytest_plugins = ["tests.support.pages"]


def test_a_run_goes_and_comes_back(runs: Path, finished: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    shutil.copytree(finished, runs / finished.name)
    test = open_page("pages/runs.py")
    assert not test.exception
    assert test.selectbox(key="take").value == finished.name
    content = _packed(finished.name)
    assert f"{finished.name}/weights.safetensors" in zipfile.ZipFile(io.BytesIO(content)).namelist()
    test.file_uploader(key="bring").upload(f"{finished.name}.zip", content, "application/zip").run()
    test.button(key="bring-in").click().run()
    assert not test.exception
    assert "It is here" in test.success[0].value
    assert (runs / f"{finished.name}-2" / "weights.safetensors").is_file()
    test.file_uploader(key="bring").upload("x.zip", b"no zip", "application/zip").run()
    test.button(key="bring-in").click().run()
    assert not test.exception
    assert "neither a run" in test.error[0].value
