"""The Start page without a browser: its button, and the examples in their order."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from cpc_engine import manager_for
from cpc_engine.storage.folder import RunFolder
from tests.support.pages import open_page

pytest_plugins = ["tests.support.pages"]


def test_the_start_button_trains_and_names_its_run_in_the_address(runs: Path) -> None:
    test = open_page(steps="2")
    test.button(key="go").click().run()
    assert not test.exception
    [run] = [path.name for path in runs.iterdir()]
    assert run in test.query_params["run"]
    manager_for(runs).stop(run)


@pytest.mark.parametrize("steps", ["inf", "nan", "-1", "1e9", "two"])
def test_no_number_of_steps_in_the_address_breaks_the_page(runs: Path, steps: str) -> None:
    test = open_page(steps=steps)
    assert not test.exception
    assert test.number_input(key="steps").value >= 2


def test_a_folder_that_cannot_be_written_is_one_sentence(runs: Path) -> None:
    runs.write_text("a file")
    test = open_page()
    test.button(key="go").click().run()
    assert not test.exception
    [error] = test.error
    assert "a file stands where a folder is needed" in error.value


def test_examples_stand_on_the_start_page_in_their_order_with_what_they_teach(runs: Path, finished: Path) -> None:
    for name, teaches, place in (("late", "Second *lesson*", 12), ("early", "First lesson", 3), ("mine", "", 0)):
        folder = RunFolder(Path(shutil.copytree(finished, runs / name)))
        if teaches:
            folder.mark_example(teaches, place)
    shutil.copytree(runs / "late", runs / "broken")
    (runs / "broken" / "map.safetensors").write_bytes(b"half")
    config = RunFolder(runs / "early").config().replace({"data.dataset": "audio_folder", "data.path": "/not/here"})
    RunFolder(runs / "early").save_json("config", config.to_dict())  # its data are elsewhere
    test = open_page()
    assert not test.exception
    assert not test.error
    texts = [one.value for one in test.markdown]
    assert texts.index("First lesson") < texts.index("Second \\*lesson\\*")
    assert [one.value for one in test.header] == ["Trained examples", "Trained before", "Presets"]
    assert any("From a real run" in one.value for one in test.caption)
    for page in ("pages/watch.py", "pages/runs.py"):
        assert not open_page(page, run="early").error


def test_a_waiting_or_broken_mark_makes_no_example(runs: Path, finished: Path) -> None:
    folder = RunFolder(Path(shutil.copytree(finished, runs / "odd")))
    for mark in (True, {"place": 1}, {"teaches": ""}, ["teaches"]):
        folder.update(data=folder.info().data | {"example": mark})
        test = open_page()
        assert not test.exception
        assert "Trained examples" not in [one.value for one in test.header]
