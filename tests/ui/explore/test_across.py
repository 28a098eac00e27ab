"""Sounds and pictures over the snapshots of a run: the nearest at each step, their curves, and data that have gone."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from pathlib import Path

import pytest
from streamlit.testing.v1 import AppTest

from cpc_engine.storage.folder import RunFolder
from tests.support.paths import REPOSITORY
from ui.explore.across import across_figures

pytest_plugins = ["tests.support.explored"]

EXPLORE = "pages/explore.py"
Page = Callable[..., AppTest]


@pytest.fixture
def run(runs: Path, keypad: Path) -> Path:
    return Path(shutil.copytree(keypad, runs / keypad.name))


def said(test: AppTest) -> str:
    assert not test.exception
    assert not test.error
    return " ".join(one.value for one in test.markdown)


def test_the_nearest_pictures_of_a_sound_follow_the_steps(page: Page, run: Path) -> None:
    test = page(EXPLORE, run=run.name)
    assert "Sounds and pictures over the training" in [one.value for one in test.subheader]
    assert "nearest pictures" not in said(test), "nothing is loaded before an item is chosen"
    slider = test.select_slider(key="snapshots-step")
    test.selectbox(key=f"across-{run.name}").set_value(0).run()
    assert f"At step {slider.value}, **" in said(test)
    assert "of its 6 nearest pictures** have its class" in said(test)
    words = [one.value for one in test.caption]
    assert sum("cosine" in line for line in words) == 6
    assert not any("not those" in line for line in words), "the items themselves are shown"
    first = int(slider.options[0])
    test.select_slider(key="snapshots-step").set_value(first).run()
    assert f"At step {first}, **" in said(test)
    last = len(test.selectbox(key=f"across-{run.name}").options) - 1
    test.selectbox(key=f"across-{run.name}").set_value(last).run()
    assert "of its 6 nearest sounds** have its class" in said(test)


def test_a_run_of_one_modality_has_no_such_part(page: Page, runs: Path) -> None:
    shutil.copytree(REPOSITORY / "checkpoints" / "example-tones", runs / "example-tones")
    test = page(EXPLORE, run="example-tones")
    said(test)
    assert "Sounds and pictures over the training" not in [one.value for one in test.subheader]


def test_the_curves_are_those_that_were_recorded() -> None:
    records = RunFolder(REPOSITORY / "checkpoints" / "example-keypad").records()
    measured = [row for row in records if row.get("geometry")]
    figures = across_figures(records, measured[2]["step"], {"audio": 0.1, "image": 0.1})
    traces = {trace["name"]: trace for trace in figures["retrieval"]["data"]}
    sounds, by_chance = traces["nearest picture of a sound"], traces["chance"]
    assert sounds["x"] == [row["step"] for row in measured]
    assert sounds["y"] == pytest.approx([100 * row["geometry"]["retrieval_class"] for row in measured], rel=1e-5)
    # Runs of earlier versions did not measure the reverse.
    assert ("nearest sound of a picture" in traces) == ("retrieval_class_reverse" in measured[-1]["geometry"])
    assert by_chance["y"] == [10, 10]
    assert figures["gap"]["data"][0]["y"] == [row["geometry"]["modality_gap"] for row in measured]
    assert figures["gap"]["layout"]["shapes"][0]["x0"] == measured[2]["step"]
    assert across_figures([{"step": 1}], 1, {}) == {}
