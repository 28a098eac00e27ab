"""Configurations of further runs for a comparison: more seeds, changed settings, other sources of negatives."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from itertools import product
from typing import Any

from ..config import RunConfig, unread
from ..errors import ConfigError
from ..sources import SOURCES
from .arms import Arm

Change = tuple[Mapping[str, Any], str]  # {"section.setting": value} and what it is called

MOST_RUNS = 60  # largest number of runs queued by one click

IN_BATCH_ALONE: dict[str, Any] = {path: value for source in SOURCES.values() for path, value in source.off.items()}
# Settings for each source of negatives alone beside the in-batch source, by label; the first is in-batch only.
SAMPLERS: dict[str, dict[str, Any]] = {source.label: {**IN_BATCH_ALONE, **source.recipe} for source in SOURCES.values()}


def seed_configs(arm: Arm, seeds: Iterable[int]) -> list[RunConfig]:
    """Return the configuration of an arm at other seeds.

    Raises:
        ConfigError: settings of the arm's runs were changed during training, which a new run would not repeat.
    """
    if arm.changes:
        raise ConfigError(f"{arm.name}: its settings were changed while it went on, which no new run repeats")
    return [arm.config.replace({"run.seed": seed}) for seed in seeds]


def every_pair(base: RunConfig, first: Sequence[Change], second: Sequence[Change]) -> list[Change]:
    """Return each change of the first with each of the second; where both change the same setting the second counts.

    A change that has no effect beside the other is left out of the pair, and what is then the same as another pair is
    there once.

    Args:
        base: what they change. first, second: ({"section.setting": value}, name).

    Raises:
        ConfigError: a value does not fit.

    Example:
        >>> switch = [({"sampler.perturbed": False}, "off"), ({"sampler.perturbed": True}, "on")]
        >>> sigma = [({"sampler.sigma": 0.1}, "0.1"), ({"sampler.sigma": 0.2}, "0.2")]
        >>> [name for _, name in every_pair(RunConfig(), switch, sigma)]
        ['off', 'on, 0.1', 'on, 0.2']
    """
    found: dict[str, Change] = {}
    for (one, name), (other, beside) in product(first, second):
        idle = unread(base.replace({**one, **other}))
        parts = [(change, text) for change, text in ((one, name), (other, beside)) if not idle.issuperset(change)]
        changes = {path: value for change, _ in parts for path, value in change.items()}
        found.setdefault(base.replace(changes).to_json(), (changes, ", ".join(text for _, text in parts)))
    return list(found.values())


def changed_configs(
    base: RunConfig, changes: Sequence[Mapping[str, Any]], seeds: Sequence[int], names: Sequence[str]
) -> list[RunConfig]:
    """Return a configuration with each of several changes, at each seed.

    The order is seed by seed, so that runs to compare in pairs finish early.

    Args:
        base: the configuration to change.
        changes: {"section.setting": value} of each arm. names: of the arms, cut to 120 characters.

    Raises:
        ConfigError: a value does not fit, or there are more than `MOST_RUNS` runs.

    Example:
        >>> changes = [{"loss.temperature": 0.1}, {"loss.temperature": 0.2}]
        >>> configs = changed_configs(RunConfig(), changes, seeds=[0, 1], names=["low", "high"])
        >>> [(config.run.seed, config.run.name) for config in configs]
        [(0, 'low'), (0, 'high'), (1, 'low'), (1, 'high')]
    """
    count = len(changes) * len(seeds)
    if count > MOST_RUNS:
        raise ConfigError(f"{count} runs are too many for one click (at most {MOST_RUNS}): take fewer values or seeds")
    return [
        base.replace({**change, "run.seed": seed, "run.name": name[:120]})
        for seed, (change, name) in product(seeds, zip(changes, names, strict=True))
    ]
