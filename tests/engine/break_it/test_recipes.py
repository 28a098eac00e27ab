"""The recipes of what breaks training: possible, one change each, and small."""

from __future__ import annotations

import pytest

from cpc_engine.break_it.recipe import Recipe
from cpc_engine.break_it.recipes import RECIPES
from cpc_engine.comparison.arms import arm_key
from cpc_engine.comparison.judge import is_tested
from cpc_engine.config import unread
from cpc_engine.datasets import DATASETS
from cpc_engine.training.plan import diagnostics

WANTED = {
    "temperature",
    "sigma",
    "plain_queue",
    "queue_beyond_data",
    "shuffled_only",
    "cross_modal_only",
    "batch_norm",
    "overlapping_fields",
}


def test_all_that_were_asked_for_are_there() -> None:
    assert set(RECIPES) == WANTED


@pytest.mark.parametrize("recipe", RECIPES.values(), ids=RECIPES)
def test_a_recipe_can_be_trained_anywhere_and_differs_from_its_control_in_its_change_alone(recipe: Recipe) -> None:
    control, broken = recipe.configs(seed=2)
    differing = broken.replace({"run.name": control.run.name}).differences(control)
    assert {path: new for path, (new, _) in differing.items()} == recipe.changes
    assert not set(recipe.changes) & unread(broken), "a change without effect"
    for config in (control, broken):
        assert DATASETS[config.data.dataset].origin == "generated"
        assert not any(found.stops for found in diagnostics(config))
        assert config.run.seed == 2


@pytest.mark.parametrize("recipe", RECIPES.values(), ids=RECIPES)
def test_a_prediction_is_about_a_metric_that_gets_verdicts(recipe: Recipe) -> None:
    assert is_tested(recipe.prediction.metric)
    assert recipe.prediction.words.endswith(".")
    assert "Way out:" in recipe.why


def test_controls_are_shared() -> None:
    keys = {recipe.control.name: arm_key(recipe.control.config()) for recipe in RECIPES.values()}
    assert len(set(keys.values())) == len(keys) == 5
