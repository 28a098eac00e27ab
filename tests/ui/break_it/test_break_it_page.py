"""The Break it page without a browser: the prediction, two runs from one click, and what was measured."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from streamlit.testing.v1 import AppTest

from cpc_engine import manager_for
from cpc_engine.break_it import measured as measured_module
from cpc_engine.break_it.outcome import outcome
from cpc_engine.break_it.recipe import Recipe
from cpc_engine.break_it.recipes import RECIPES
from cpc_engine.config import RunConfig
from cpc_engine.config.words import with_labels
from cpc_engine.storage.folder import RunFolder
from tests.support.pages import SMALL, links, open_page
from tests.support.tiny import wait_until
from ui.break_it import found as found_module
from ui.shell.address import split_ids

pytest_plugins = ["tests.support.pages"]
PAGE = "pages/break_it.py"
PITCHES = {"audio.sample_rate": 8000}  # those of chirps reach 2 kHz


@pytest.fixture(autouse=True)
def tiny_runs(monkeypatch: pytest.MonkeyPatch) -> None:
    """Every recipe at a size that trains at once."""
    whole = Recipe.configs

    def configs(self: Recipe, seed: int = 0) -> tuple[RunConfig, RunConfig]:
        control, broken = (config.replace({**SMALL, **PITCHES, **kept(self)}) for config in whole(self, seed))
        return control, broken.replace(self.changes)

    monkeypatch.setattr(Recipe, "configs", configs)


def kept(recipe: Recipe) -> dict[str, Any]:
    return {path: value for path, value in recipe.control.changes.items() if path.startswith("sampler.")}


def said(test: AppTest) -> str:
    return "\n".join(one.value for one in (*test.markdown, *test.caption))


def test_one_click_trains_both_and_then_the_outcome_is_there(runs: Path) -> None:
    recipe = RECIPES["plain_queue"]
    test = open_page(PAGE, recipe="plain_queue")
    assert not test.exception
    assert recipe.prediction.words in said(test), "the prediction comes first"
    assert recipe.why not in said(test)
    test.button(key="break").click().run()
    assert not test.exception
    control, broken = split_ids("".join(test.query_params["runs"]))
    assert {control, broken} == {path.name for path in runs.iterdir() if not path.name.startswith(".")}
    differing = RunFolder(runs / broken).config().differences(RunFolder(runs / control).config())
    assert set(differing) == {"run.name", *recipe.changes}
    wait_until(lambda: not manager_for(runs).active(), "the runs to end", 120)
    test.run()
    assert not test.exception
    assert not test.error
    assert "These two** (one seed, no verdict): spread" in said(test)
    assert with_labels(recipe.why) in said(test)
    addresses = links(test)
    assert addresses["Compare"][-1] == ("runs", f"{control},{broken}")
    assert addresses["Negatives: control"] == [("run", control)]
    assert addresses["Negatives: change"] == [("run", broken)]

    for recipe_now, expected in (("temperature", ""), ("plain_queue", f"{control},{broken}")):
        test.session_state["chosen-recipe"] = recipe_now
        test.run()
        assert not test.exception
        runs_now = "".join(test.query_params["runs"]) if "runs" in test.query_params else ""
        assert (runs_now, "".join(test.query_params["recipe"])) == (expected, recipe_now)
    test.query_params["recipe"] = "temperature"  # as Back does
    test.run()
    assert test.session_state["chosen-recipe"] == "temperature"

    again = open_page(PAGE, recipe="plain_queue", runs=f"{control},{broken}")
    assert "These two**" in said(again)
    other = open_page(PAGE, recipe="temperature", runs=f"{control},{broken}")
    assert not other.exception
    assert "runs" not in other.query_params, "runs of another recipe"
    assert RECIPES["temperature"].prediction.words in said(other)


@pytest.mark.parametrize("asked", ["", "no such recipe", "../../etc"])
def test_an_unknown_recipe_is_the_first(runs: Path, asked: str) -> None:
    test = open_page(PAGE, recipe=asked, runs="../x,y")
    assert not test.exception
    assert not test.error
    assert RECIPES["temperature"].prediction.words in said(test)
    assert "".join(test.query_params["recipe"]) == "temperature"


def test_runs_that_broke_off_are_not_compared(runs: Path) -> None:
    for config in RECIPES["temperature"].configs():
        RunFolder.create(runs, config).update(status="stopped")
    ids = sorted(path.name for path in runs.iterdir())
    ids.sort(key=lambda run: RunFolder(runs / run).config().run.name != RECIPES["temperature"].control.title)
    test = open_page(PAGE, recipe="temperature", runs=",".join(ids))
    assert not test.exception
    assert "nothing to compare" in said(test)


def test_without_a_stored_measurement_the_page_says_so(
    runs: Path, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setattr(found_module, "RESULTS", tmp_path / "missing.json")
    monkeypatch.setattr(found_module, "measured", lambda: measured_module.measured(tmp_path / "missing.json"))
    test = open_page(PAGE, measured="true")
    assert not test.exception
    assert [one.value for one in test.info] == ["No measurement comes with this copy of the app."]


@pytest.mark.parametrize("name", RECIPES)
def test_a_failed_prediction_is_said_to_have_failed(runs: Path, monkeypatch: pytest.MonkeyPatch, name: str) -> None:
    from tests.engine.break_it.test_outcome import HIGH, LOW
    from tests.engine.break_it.test_outcome import runs as values

    recipe = RECIPES[name]
    lower = recipe.prediction.direction == "lower"
    found = outcome(recipe, values(recipe, LOW if lower else HIGH, HIGH if lower else LOW))
    monkeypatch.setattr(found_module, "measured", lambda: ({name: found}, "python -m somewhere"))
    test = open_page(PAGE, recipe=name, measured="true")
    assert not test.exception
    assert "The opposite: " in said(test).replace("\\", "")
    assert "The prediction failed." in said(test)
    assert [one.value for one in test.code] == ["python -m somewhere"]
