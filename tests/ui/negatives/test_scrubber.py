"""The slider through a run's kept steps: loss, map and line-up follow, for the same anchor; forks in pairs."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from streamlit.testing.v1 import AppTest

from cpc_engine import manager_for
from cpc_engine.comparison.collect import load_compared
from cpc_engine.comparison.forks import paired
from cpc_engine.storage.folder import RunFolder
from cpc_engine.storage.listing import list_runs
from tests.support.explored import what_if
from ui.drawing.map_figure import LIT
from ui.negatives.scrubber.figures import cursor_figure, step_figure

pytest_plugins = ["tests.support.explored"]

NEGATIVES = "pages/negatives.py"


@pytest.fixture
def run(runs: Path, keypad: Path) -> Path:
    return Path(shutil.copytree(keypad, runs / keypad.name))


def anchor_of(test: AppTest) -> str:
    assert not test.exception
    assert not test.error
    return next(one.value for one in test.markdown if one.value.startswith("**Anchor:**"))


def test_the_slider_moves_the_whole_page_and_keeps_the_anchor(page: Callable[..., AppTest], run: Path) -> None:
    test = page(NEGATIVES, run=run.name)
    slider = test.select_slider(key=f"scrubber-{run.name}")
    assert slider.options == ["1", "2", "4", "8", "12"]
    assert slider.value == 12
    answers, anchors = {}, set()
    for step in (2, 8, 12):
        test.select_slider(key=f"scrubber-{run.name}").set_value(step).run()
        anchors.add(anchor_of(test))
        assert test.selectbox(key=f"negatives-step-{run.name}").value == step
        assert test.select_slider(key=f"scrubber-{run.name}").value == step
        answers[step] = next(one.value for one in test.markdown if "pull hardest on this anchor" in one.value)
    assert len(anchors) == 1, "the same anchor at every step"
    assert len(set(answers.values())) == 3, "among other negatives"
    test.selectbox(key=f"negatives-step-{run.name}").set_value(4).run()
    assert anchor_of(test) in anchors
    assert test.select_slider(key=f"scrubber-{run.name}").value == 4, "the choice above moves it too"


def test_a_run_with_its_present_weights_only_has_no_slider(page: Callable[..., AppTest], run: Path) -> None:
    for path in run.glob("snapshot-*"):
        path.unlink()
    test = page(NEGATIVES, run=run.name)
    anchor_of(test)
    assert all(one.key != f"scrubber-{run.name}" for one in test.select_slider)


def test_five_pairs_are_forked_with_one_click(page: Callable[..., AppTest], run: Path, runs: Path) -> None:
    test = page(NEGATIVES, run=run.name)
    what_if(test, "loss.temperature").set_value(1.0).run()
    test.segmented_control(key=f"fork-pairs-{run.name}").set_value(5).run()
    test.button(key=f"fork-{run.name}").click().run()
    made = [info.id for info in list_runs(runs) if info.id != run.name]
    assert len(made) == 10
    [found] = paired(load_compared(RunFolder(runs / name)) for name in made)
    assert found.title == "Temperature τ 1"
    assert len(found.pairs) == len({child.seed for child, _ in found.pairs}) == 5
    assert set(manager_for(runs).active()) <= set(made), "they train; the end of the test stops them"


def test_the_cursor_stands_at_the_step_and_the_anchor_among_the_items() -> None:
    parts = [(step, {"loss": 5.0 - step / 10}) for step in range(1, 13)]
    figure = cursor_figure(parts, [1, 4, 12], 4)
    assert figure["data"][1]["x"] == [1, 4, 12]
    assert (figure["data"][2]["x"], figure["data"][2]["y"]) == ([4], [4.6])
    assert figure["layout"]["shapes"][0]["x0"] == 4
    layouts, way = np.zeros((3, 5, 2)), np.array([[0.0, 0.0], [1.0, 2.0], [3.0, -1.0]])
    frames = []
    for index in range(3):
        drawn = step_figure(layouts, way, index, [0, 0, 1, 1, 1], ["a", "b"], list("vwxyz"))
        path, star = drawn["data"][-2:]
        assert (star["x"], star["y"], star["marker"]["color"]) == ([way[index, 0]], [way[index, 1]], LIT)
        assert path["x"] == way[: index + 1, 0].tolist()
        frames.append(drawn["layout"]["xaxis"]["range"] + drawn["layout"]["yaxis"]["range"])
    assert frames[0] == frames[1] == frames[2], "the frame stays put"
    assert frames[0][0] < 0 < 3 < frames[0][1]
