"""What runs of a recipe say of its prediction, by the rules of every comparison."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, replace
from typing import Literal

from ..comparison.arms import Arm, ComparedRun, arm_key
from ..comparison.judge import judge
from ..comparison.verdicts import Verdict, compare
from ..evaluation.alarms import COLLAPSED
from ..evaluation.metric_info import describe_metric
from .recipe import Recipe

Kind = Literal["as predicted", "the opposite", "cannot be told"]
CONTROL, BROKEN = "A", "B"


@dataclass(frozen=True)
class Outcome:
    """What was found of a recipe's prediction.

    Attributes:
        kind: "cannot be told" unless control and broken runs differ by the rules of a comparison.
        arms: control and broken runs, letters A and B, with all their metrics; without those that have no runs.
        verdict: of the predicted metric; its difference is control minus broken.
    """

    recipe: Recipe
    kind: Kind
    arms: tuple[Arm, ...]
    verdict: Verdict

    @property
    def words(self) -> str:
        """One sentence, such as "The opposite: spread is higher, by 0.2 (0.1 to 0.3; n = 5)." """
        title, found = describe_metric(self.recipe.prediction.metric).title.lower(), self.verdict
        n = min(found.counts)
        if found.outcome == "too_few_seeds" or found.difference is None or found.low is None or found.high is None:
            return f"Cannot be told: {found.text}."
        apart = "higher" if found.difference < 0 else "lower"
        if self.kind == "cannot be told":
            low, high = -found.high, -found.low
            return f"Cannot be told: {title} differs by {-found.difference:+.2g} ({low:+.2g} to {high:+.2g}; n = {n})."
        low, high = sorted((abs(found.low), abs(found.high)))
        by = f"by {abs(found.difference):.2g} ({low:.2g} to {high:.2g}; n = {n})"
        return " ".join(filter(None, [f"{self.kind.capitalize()}: {title} is {apart}, {by}.", self.collapsed]))

    @property
    def collapsed(self) -> str:
        """How many of the broken runs have collapsed by the alarm's level; empty where spread is not the metric."""
        values = [value for arm in self.arms if arm.letter == BROKEN for value in arm.values("spread").values()]
        if self.recipe.prediction.metric != "spread" or not values:
            return ""
        return f"Collapsed (below {COLLAPSED:g}): {sum(value < COLLAPSED for value in values)} of {len(values)}."


def outcome(recipe: Recipe, runs: Iterable[ComparedRun]) -> Outcome:
    """Compare broken runs with controls by the predicted metric alone, paired by seed where the seeds are the same.

    Args:
        runs: of any recipes; those of this one's two configurations count, at any seed.

    Example:
        >>> from cpc_engine.break_it.recipes import RECIPES
        >>> recipe = RECIPES["plain_queue"]
        >>> runs = [ComparedRun(f"{name}-{seed}", config, "finished", True, {"spread": spread + seed / 100})
        ...         for seed in range(5)
        ...         for name, spread, config in zip("ab", (0.8, 0.1), recipe.configs(seed))]
        >>> outcome(recipe, runs).words
        'As predicted: spread is lower, by 0.7 (0.7 to 0.7; n = 5). Collapsed (below 0.3): 5 of 5.'
    """
    metric = recipe.prediction.metric
    given, arms = list(runs), []
    for letter, config in zip((CONTROL, BROKEN), recipe.configs(), strict=True):
        members = [run for run in given if arm_key(run.config, run.changes) == arm_key(config)]
        if members:
            arms.append(Arm(letter, tuple(sorted(members, key=lambda run: run.seed))))
    alone = [
        replace(arm, runs=tuple(replace(run, metrics={metric: run.metrics.get(metric)}) for run in arm.runs))
        for arm in arms
    ]
    found = judge(alone, alone[0], metric).get((metric, BROKEN)) if len(alone) == 2 else None
    if found is None:
        found = compare({}, {}, describe_metric(metric).better, (CONTROL, BROKEN))
    kind: Kind = "cannot be told"
    if found.winner is not None and found.difference is not None:
        apart = "higher" if found.difference < 0 else "lower"
        kind = "as predicted" if apart == recipe.prediction.direction else "the opposite"
    return Outcome(recipe, kind, tuple(arms), found)
