"""Forks on the Compare page: zero without a change, a band and a verdict of five pairs, and their figures."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from streamlit.testing.v1 import AppTest

from cpc_engine.comparison.collect import load_compared
from cpc_engine.comparison.forks import Difference, paired
from cpc_engine.execution.execute import execute
from cpc_engine.execution.fork import Forks, fork
from cpc_engine.storage.folder import RunFolder
from cpc_engine.training.control import Control
from tests.support.pages import open_page
from tests.support.tiny import tiny
from ui.compare.curves import differences_figure
from ui.compare.forks import fork_figures
from ui.drawing.curves import spoken, table
from ui.drawing.figure_file import Look, figure_file
from ui.drawing.palette import series_style

pytest_plugins = ["tests.support.pages"]


@pytest.fixture
def parent(runs: Path) -> RunFolder:
    folder = RunFolder.create(runs, tiny(sampler__queue_size=60, sampler__perturbed=True, run__name="Mine"))
    assert execute(folder, Control()).status == "finished"
    return folder


def trained(made: list[Forks]) -> list[str]:
    folders = [folder for forks in made for folder in (forks.child, forks.control)]
    assert all(execute(folder, Control(), resume=True).status == "finished" for folder in folders)
    return [folder.id for folder in folders]


def shown(ids: list[str]) -> AppTest:
    test = open_page("pages/compare.py", runs=",".join(ids))
    assert not test.exception
    assert not test.error
    return test


def test_a_fork_without_a_change_is_zero_in_every_chart(parent: RunFolder, runs: Path) -> None:
    ids = trained([fork(parent, {}, runs, steps=2, pair=pair) for pair in range(2)])
    figures = fork_figures(paired(load_compared(RunFolder(runs / run)) for run in ids))
    assert {"loss", "accuracy", "alignment", "spread", "share.queue"} <= figures.keys()
    for figure in figures.values():
        assert {y for trace in figure["data"] for y in trace["y"]} == {0}
    test = shown(ids)
    assert "Forks against their controls" in [one.value for one in test.header]
    assert any("2 pairs from step 3 of Mine" in one.value for one in test.markdown)
    assert "# forks that began at step 3" in test.code[0].value


def test_five_pairs_have_a_band_and_a_verdict(parent: RunFolder, runs: Path) -> None:
    ids = trained([fork(parent, {"loss.temperature": 1.0}, runs, steps=3, pair=pair) for pair in range(5)])
    test = shown(ids)
    words = next(one.value for one in test.markdown if "5 pairs from step 3" in one.value)
    assert "**Temperature τ 1**" in words
    assert "Told apart by Loss" in words
    test.selectbox(key="primary").set_value("alignment").run()
    words = next(one.value for one in test.markdown if "5 pairs from step 3" in one.value)
    assert "Alignment: " in words
    assert "fork − control = **" in words
    [found] = paired(load_compared(RunFolder(runs / run)) for run in ids)
    loss = fork_figures([found])["loss"]
    assert [trace["name"] for trace in loss["data"]] == [
        "Temperature τ 1: 95 % interval from",
        "Temperature τ 1: 95 % interval to",
        "control",
        "Temperature τ 1",
    ]
    assert "Temperature τ 1 from 0 at step 3" in spoken(loss)
    assert len(figure_file(loss, Look(), "SVG")) > 3000


def test_a_pair_that_has_just_begun_does_not_cut_off_the_others(parent: RunFolder, runs: Path) -> None:
    ids = trained([fork(parent, {"loss.temperature": 1.0}, runs, steps=4, pair=pair) for pair in range(2)])
    begun = fork(parent, {"loss.temperature": 1.0}, runs, steps=4, pair=2)
    for folder in (begun.child, begun.control):
        folder.append_record(RunFolder(runs / ids[0]).records()[3])
    ids += [begun.child.id, begun.control.id]
    [found] = paired(load_compared(RunFolder(runs / run)) for run in ids)
    loss = fork_figures([found])["loss"]
    assert loss["data"][-1]["x"] == [3, 4, 5, 6, 7]
    assert "2 of 3 pairs have got far enough to be drawn" in " ".join(one.value for one in shown(ids).caption)


def test_runs_that_are_no_forks_have_no_such_section(parent: RunFolder) -> None:
    assert "Forks against their controls" not in [one.value for one in shown([parent.id]).header]


def test_a_long_difference_is_drawn_at_some_of_its_steps_and_shares_in_points() -> None:
    draw = np.random.default_rng(0)
    long = Difference("share.queue", np.arange(5, 5005), draw.normal(size=(5, 5000)))
    figure = differences_figure([("more noise", series_style(0), long)])
    low, high, control, line = figure["data"]
    assert len(line["x"]) == len(low["x"]) == 300
    assert (line["x"][0], line["x"][-1]) == (5, 5004)
    assert control["y"] == [0, 0]
    assert line["y"][0] == pytest.approx(100 * long.mean[0], rel=1e-5)
    assert all(a <= b <= c for a, b, c in zip(low["y"], line["y"], high["y"], strict=True))
    assert "Share of queue" in figure["layout"]["title"]["text"]
    assert set(table(figure)) == {"step", *(trace["name"] for trace in figure["data"])}
