"""The whole app without a browser: good runs, none, broken ones, addresses that lie, and two sessions at once."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import pytest

from tests.support.pages import PAGES, open_page
from ui.shell.errors import BROKE

pytest_plugins = ["tests.support.pages"]


@pytest.mark.parametrize("page", PAGES)
def test_without_runs_every_page_says_what_to_do(runs: Path, page: str) -> None:
    test = open_page(page)
    assert not test.exception
    assert not test.error
    assert test.title
    assert test.button, "one click leads on"


@pytest.mark.parametrize("page", PAGES)
def test_every_page_shows_a_finished_run(runs: Path, finished: Path, page: str) -> None:
    shutil.copytree(finished, runs / finished.name)
    test = open_page(page, run=finished.name)
    assert not test.exception
    assert not test.error
    assert not test.warning


@pytest.mark.parametrize("page", PAGES)
@pytest.mark.parametrize("asked", ["nothing-here", "../../etc/passwd", "/etc", "..", "a" * 300, "<script>", ""])
def test_an_address_that_names_no_run_is_told_and_dropped(runs: Path, page: str, asked: str) -> None:
    test = open_page(page, run=asked)
    assert not test.exception
    assert not test.error


@pytest.mark.parametrize("page", PAGES)
@pytest.mark.parametrize("broken", ["run.json", "config.json", "metrics.jsonl", "map.json", "map.safetensors"])
@pytest.mark.parametrize("how", ["half", "gone", "other"])
def test_a_broken_folder_never_breaks_a_page(runs: Path, finished: Path, page: str, broken: str, how: str) -> None:
    folder = Path(shutil.copytree(finished, runs / finished.name))
    if how == "gone":
        (folder / broken).unlink()
    elif how == "half":
        content = (folder / broken).read_bytes()
        (folder / broken).write_bytes(content[: len(content) // 2])
    else:
        (folder / broken).write_text(json.dumps({"unknown": 1}) + "\n")
    test = open_page(page, run=finished.name)
    assert not test.exception
    assert not any(BROKE in error.value for error in test.error)


@pytest.mark.parametrize(("page", "title"), zip(PAGES, ("Start", "Train", "Runs"), strict=True))
def test_a_title_names_its_page(runs: Path, page: str, title: str) -> None:
    assert open_page(page).title[0].value == title


def test_two_sessions_see_the_same_runs_each_with_its_own_choice(runs: Path, finished: Path) -> None:
    for name in ("one", "two"):
        shutil.copytree(finished, runs / name)
    first, second = (open_page("pages/compare.py", runs=name) for name in ("one", "two"))
    for test in (first, second):
        assert not test.exception
        assert len(test.multiselect(key="compare-runs").options) == 2, "both know both"
    first.multiselect(key="compare-runs").set_value(["one", "two"]).run()
    second.run()
    assert first.multiselect(key="compare-runs").value == ["one", "two"]
    assert second.multiselect(key="compare-runs").value == ["two"]
    here, there = open_page("pages/train.py", run="one"), open_page("pages/runs.py")
    here.button(key="delete").click().run()
    there.run()
    assert not there.exception
    assert [one.key for one in there.button if one.key and one.key.startswith("restore-")] == ["restore-one"]


def test_presentation_mode_is_left_by_escape_too(runs: Path) -> None:
    test = open_page()
    assert "leave" not in [button.key for button in test.button]
    test.button(key="present").click().run()
    assert test.button(key="leave").proto.shortcut == "escape"
    test.button(key="leave").click().run()
    assert not test.exception
    assert test.button(key="present").label == "Present"
