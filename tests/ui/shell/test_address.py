"""Old names in an address are read as those of today."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest
import streamlit as st

from cpc_engine.storage.folder import RunFolder
from tests.support.pages import open_page
from ui.shell.address import VALUES, base_path

pytest_plugins = ["tests.support.pages"]


def test_old_names_of_parameters_are_renamed_before_a_page_reads_them(runs: Path, finished: Path) -> None:
    for name in ("one", "two"):
        shutil.copytree(finished, runs / name)
    RunFolder(runs / "two").save_json(
        "config", RunFolder(runs / "two").config().replace({"loss.temperature": 1.0}).to_dict()
    )
    test = open_page("pages/explore.py", run="one", colour="neighbours of its own class")
    assert not test.exception
    assert test.selectbox(key="color").value == "purity"
    assert test.query_params["color"] == "neighbors of its own class"
    assert "colour" not in test.query_params
    test = open_page("pages/compare.py", runs="one,two", **{"all-knobs": "true", "all-measures": "true"})
    assert not test.exception
    assert test.toggle(key="all-settings").value is True
    assert test.toggle(key="all-metrics").value is True
    assert not {"all-knobs", "all-measures"} & set(test.query_params)


def test_every_renamed_value_is_one_of_today() -> None:
    from ui.explore.view import COLORS

    assert {value for (name, _), value in VALUES.items() if name == "color"} <= set(COLORS.values())


@pytest.mark.parametrize(
    ("option", "path"), [("", ""), (None, ""), ("lab", "/lab"), ("/lab/", "/lab"), ("a/b", "/a/b")]
)
def test_paths_begin_where_the_app_is_served(option: str | None, path: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(st, "get_option", {"server.baseUrlPath": option}.__getitem__)
    assert base_path() == path
