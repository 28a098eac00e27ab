"""Tests of the configurations of a comparison: missing seeds, and changes seed by seed."""

from __future__ import annotations

import pytest

from cpc_engine import RunConfig
from cpc_engine.comparison.arms import group, missing_seeds
from cpc_engine.comparison.recipes import changed_configs, seed_configs
from cpc_engine.errors import ConfigError
from tests.support.compared import compared


def test_missing_seeds_give_all_arms_the_same_seeds() -> None:
    arms = group(
        [compared("a", 4), compared("b", 5), compared("c", 4, loss__temperature=0.3), compared("d", 0, "failed")]
    )
    assert missing_seeds(arms) == {"A": [0, 1, 2], "B": [0, 1, 2, 5]}
    assert missing_seeds(group([compared(str(i), i) for i in range(5)])) == {}
    (arm,) = group([compared("a", 4)])
    assert [c.run.seed for c in seed_configs(arm, [7, 8])] == [7, 8]
    (changed,) = group([compared("a", changes=[(1, "loss.temperature", "1.0")])])
    with pytest.raises(ConfigError, match="changed while it went on"):
        seed_configs(changed, [1])


def test_changed_configurations_are_ordered_seed_by_seed() -> None:
    changes = [{"sampler.perturbed": False}, {"sampler.perturbed": True, "sampler.sigma": 0.5}]
    configs = changed_configs(RunConfig(), changes, [0, 1], ["off", "on"])
    assert [(c.run.seed, c.run.name, c.sampler.sigma) for c in configs] == [
        (0, "off", 0.3),
        (0, "on", 0.5),
        (1, "off", 0.3),
        (1, "on", 0.5),
    ]
    with pytest.raises(ConfigError, match="too many"):
        changed_configs(RunConfig(), changes, range(31), ["a", "b"])
