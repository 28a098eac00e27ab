"""The Start page without a browser: its button, and the examples in their order."""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import Any

import pytest
from streamlit.testing.v1 import AppTest

from cpc_engine import manager_for
from cpc_engine.storage.folder import RunFolder
from tests.support.pages import open_page
from tests.support.paths import REPOSITORY
from tests.support.tiny import tiny, wait_until
from ui.shell.address import split_ids
from ui.start.lesson import ANY_TWO, WATCH, outcome

pytest_plugins = ["tests.support.pages"]


def ended(runs: Path) -> None:
    wait_until(lambda: not manager_for(runs).active(), "the runs to end", 120)


def told(test: AppTest) -> tuple[str, ...]:
    """What the page says above two runs."""
    return tuple(one.value for one in test.markdown if one.value in WATCH + ANY_TWO)


def test_the_start_button_trains_two_runs_that_differ_in_the_queue_and_one_click_mends_it(runs: Path) -> None:
    test = open_page(steps="8")
    test.button(key="go").click().run()
    assert not test.exception
    first, second = split_ids("".join(test.query_params["runs"]))
    assert {first, second} == {path.name for path in runs.iterdir()}
    configs = [RunFolder(runs / run).config() for run in (first, second)]
    assert set(configs[1].differences(configs[0])) == {"run.name", "sampler.queue_size"}
    ended(runs)
    test.run()
    assert not test.exception
    assert not test.error
    assert told(test) == WATCH
    test.button(key="mend-it").click().run()
    assert not test.exception
    kept, mended = split_ids("".join(test.query_params["runs"]))
    assert kept == first
    differences = RunFolder(runs / mended).config().differences(configs[1])
    assert set(differences) == {"run.name", "sampler.key_momentum"}
    assert "mend-it" not in [one.key for one in test.button]
    assert told(test) == ANY_TWO, "what a queue without a momentum encoder does is not what this one does"
    ended(runs)


OTHERS = ({}, {"context__latent_dim": 6}, {"sampler__perturbed": True}, {"loss__temperature": 0.5})


@pytest.mark.parametrize("changes", OTHERS)
def test_other_runs_that_differ_in_a_queue_are_mended_from_their_own_settings(
    runs: Path, changes: dict[str, Any]
) -> None:
    left = RunFolder.create(runs, tiny(**changes))
    right = RunFolder.create(runs, left.config().replace({"sampler.queue_size": 64, "run.seed": 3}))
    for folder in (left, right):
        folder.update(status="stopped")
    live = {"sampler.sigma": 0.7, "loss.temperature": 0.3}
    for folder in (left, right):
        for path, value in live.items():
            folder.append_event(
                {"kind": "change", "setting": path, "value": value, "step": 1, "seconds": 0.1, "old": 0}
            )
    test = open_page(runs=f"{left.id},{right.id}")
    assert not test.exception
    assert told(test) == ANY_TWO, "what the lesson says was measured on its own runs"
    test.button(key="mend-it").click().run()
    assert not test.exception
    _, mended = split_ids("".join(test.query_params["runs"]))
    now = right.config().replace(live)
    assert set(RunFolder(runs / mended).config().differences(now)) == {"run.name", "sampler.key_momentum"}
    ended(runs)


def test_a_run_that_the_address_names_twice_counts_once(runs: Path, finished: Path) -> None:
    for name in ("one", "two"):
        shutil.copytree(finished, runs / name)
    for asked, shown in {"one,one": ["one"], "one,one,two": ["one", "two"]}.items():
        test = open_page(runs=asked)
        assert not test.exception
        assert not test.error
        assert test.session_state["beside"] == shown


@pytest.mark.parametrize("asked", ["nothing", "../../etc,x", ",,", "a,b,c"])
def test_an_address_of_runs_that_are_not_there_is_the_plain_page(runs: Path, asked: str) -> None:
    test = open_page(runs=asked)
    assert not test.exception
    assert not test.error
    assert test.button(key="go").label == "Train two runs"


def test_two_runs_that_train_can_be_held_still_where_they_are_shown(runs: Path) -> None:
    """The bar below the page, which has the switch elsewhere, is not there."""
    folders = [RunFolder.create(runs, tiny()) for _ in range(2)]
    for status in ("running", "stopped"):
        for folder in folders:
            folder.update(status=status)
        test = open_page(runs=",".join(folder.id for folder in folders))
        assert not test.exception
        assert ("held" in [one.key for one in test.toggle]) == (status == "running")


def test_an_address_may_name_any_two_runs(runs: Path) -> None:
    for example in ("example-tones-bars", "example-tones"):
        shutil.copytree(REPOSITORY / "checkpoints" / example, runs / example)
    test = open_page(runs="example-tones-bars,example-tones")
    assert not test.exception
    assert [error.value for error in test.error] == []
    assert "mend-it" not in [one.key for one in test.button], "these runs are not the lesson's: nothing to mend"
    words = " ".join(one.value for one in test.markdown)
    assert "Spread" in words
    assert not any(claim in words for claim in ("Left", "right it falls", "The queue soon"))


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
    for page in ("pages/train.py", "pages/runs.py"):
        assert not open_page(page, run="early").error


def test_a_waiting_or_broken_mark_makes_no_example(runs: Path, finished: Path) -> None:
    folder = RunFolder(Path(shutil.copytree(finished, runs / "odd")))
    for mark in (True, {"place": 1}, {"teaches": ""}, ["teaches"]):
        folder.update(data=folder.info().data | {"example": mark})
        test = open_page()
        assert not test.exception
        assert "Trained examples" not in [one.value for one in test.header]


@pytest.mark.parametrize(
    ("left", "right", "says"),
    [
        (0.9, 0.2, "below the alarm of 0.3: collapsed"),
        (0.9, 0.45, "lower, not collapsed"),
        (0.9, 0.88, "about as high"),
        (None, 0.5, ""),
    ],
)
def test_the_lesson_says_what_was_measured(left: float | None, right: float, says: str) -> None:
    assert says in outcome(left, right)
    assert bool(outcome(left, right)) == bool(says)
