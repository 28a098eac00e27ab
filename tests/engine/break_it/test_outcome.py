"""What runs say of a prediction: as predicted, the opposite, or that it cannot be told."""

from __future__ import annotations

from collections.abc import Sequence

import pytest

from cpc_engine.break_it.outcome import Outcome, outcome
from cpc_engine.break_it.recipe import Recipe
from cpc_engine.break_it.recipes import RECIPES
from cpc_engine.comparison.arms import ComparedRun
from cpc_engine.comparison.verdicts import compare


def runs(recipe: Recipe, control: Sequence[float], broken: Sequence[float]) -> list[ComparedRun]:
    found = []
    for name, values, side in (("control", control, 0), ("broken", broken, 1)):
        for seed, value in enumerate(values):
            metrics = {recipe.prediction.metric: value, "probe": 0.5 + seed * value}
            config = recipe.configs(seed)[side]
            found.append(ComparedRun(f"{recipe.name}-{name}-{seed}", config, "finished", True, metrics))
    return found


HIGH, LOW = [0.8, 0.81, 0.79, 0.8, 0.82], [0.3, 0.31, 0.35, 0.3, 0.3]


@pytest.mark.parametrize("recipe", RECIPES.values(), ids=RECIPES)
def test_the_kind_follows_from_the_data_alone(recipe: Recipe) -> None:
    falls, rises = outcome(recipe, runs(recipe, HIGH, LOW)), outcome(recipe, runs(recipe, LOW, HIGH))
    lower = recipe.prediction.direction == "lower"
    assert (falls.kind, rises.kind) == (("as predicted", "the opposite") if lower else ("the opposite", "as predicted"))
    assert "is lower, by 0.49 (" in falls.words
    assert falls.words.startswith(falls.kind.capitalize())
    assert "is higher, by 0.49 (" in rises.words
    assert "; n = 5)." in falls.words


def test_lower_spread_is_not_yet_collapse() -> None:
    recipe = RECIPES["shuffled_only"]
    few = outcome(recipe, runs(recipe, HIGH, [0.6, 0.5, 0.29, 0.31, 0.6]))
    assert few.words.endswith("n = 5). Collapsed (below 0.3): 1 of 5.")
    other = RECIPES["temperature"]
    assert outcome(other, runs(other, HIGH, LOW)).collapsed == ""


def kind(found: Outcome) -> str:
    return f"{found.kind}: {found.verdict.outcome}"


def test_what_cannot_be_told() -> None:
    recipe = RECIPES["plain_queue"]
    assert kind(outcome(recipe, [])) == "cannot be told: not_measured"
    assert kind(outcome(recipe, runs(recipe, HIGH, []))) == "cannot be told: not_measured"
    assert kind(outcome(recipe, runs(recipe, HIGH[:1], LOW[:1]))) == "cannot be told: too_few_seeds"
    assert outcome(recipe, runs(recipe, HIGH[:1], LOW[:1])).words == "Cannot be told: one seed each: no verdict."
    assert kind(outcome(recipe, runs(recipe, HIGH[:4], LOW[:4]))) == "cannot be told: too_few_seeds"
    same = outcome(recipe, runs(recipe, HIGH, HIGH[::-1]))
    assert kind(same) == "cannot be told: not_distinguishable"
    assert same.words.startswith("Cannot be told: spread differs by ")


def test_the_verdict_is_that_of_a_comparison_by_the_predicted_metric_alone() -> None:
    recipe = RECIPES["temperature"]
    found = outcome(recipe, runs(recipe, LOW, HIGH)).verdict
    alone = compare(dict(enumerate(LOW)), dict(enumerate(HIGH)), "lower")
    assert (found.difference, found.low, found.high, found.p) == (alone.difference, alone.low, alone.high, alone.p)
    assert found.adjusted == pytest.approx(alone.p), "no other metric shares the allowed error"
    assert found.method == "paired t"


def test_runs_of_other_recipes_and_those_that_broke_off_do_not_count() -> None:
    recipe = RECIPES["plain_queue"]
    others = runs(RECIPES["sigma"], HIGH, HIGH)
    stopped = [
        ComparedRun("s", recipe.configs(9)[1], "stopped", False, {recipe.prediction.metric: 9.0}),
        ComparedRun("live", recipe.configs(8)[1], "finished", True, {"spread": 9.0}, ((3, "loss.temperature", "0.1"),)),
    ]
    plain = outcome(recipe, runs(recipe, HIGH, LOW))
    assert outcome(recipe, [*others, *runs(recipe, HIGH, LOW), *stopped]).verdict == plain.verdict
