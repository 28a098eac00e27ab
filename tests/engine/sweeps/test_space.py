"""The settings that a sweep tries."""

from __future__ import annotations

from itertools import product
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cpc_engine.config import RunConfig
from cpc_engine.errors import ConfigError
from cpc_engine.sweeps.space import Space

optuna = pytest.importorskip("optuna")


@given(
    temperatures=st.lists(st.floats(0.01, 10), min_size=1, max_size=4, unique=True),
    sizes=st.lists(st.integers(0, 5000), min_size=1, max_size=3, unique=True),
)
def test_a_grid_holds_every_combination_once(temperatures: list[float], sizes: list[int]) -> None:
    texts = [",".join(map(repr, temperatures)), ",".join(map(str, sizes))]
    space = Space.of_grid([f"loss.temperature={texts[0]}", f"sampler.queue_size={texts[1]}"])
    assert [tuple(cell.values()) for cell in space.cells()] == list(product(temperatures, sizes))


def test_lists_are_divided_by_semicolons() -> None:
    space = Space.of_grid(["context.horizons=1,2;[1,2,4]"])
    space.check(RunConfig())
    configs = [RunConfig().replace(cell) for cell in space.cells()]
    assert [config.context.horizons for config in configs] == [(1, 2), (1, 2, 4)]


@given(
    low=st.floats(0.01, 1),
    share=st.floats(1, 9),
    log=st.booleans(),
    whole=st.integers(0, 10),
    step=st.integers(1, 5),
    number=st.integers(0, 50),
)
def test_tpe_draws_within_its_ranges(low: float, share: float, log: bool, whole: int, step: int, number: int) -> None:
    document = {
        "loss.temperature": {"low": low, "high": low * share, "log": log},
        "sampler.queue_size": {"low": whole, "high": whole + 4 * step, "step": step},
        "sampler.shuffled": ["off", "input"],
    }
    space = Space.of_document(document)
    space.check(RunConfig())
    assert space.cells() == []
    trial = optuna.create_study(sampler=optuna.samplers.RandomSampler(seed=number)).ask()
    drawn = space.suggest(trial)
    assert low <= drawn["loss.temperature"] <= low * share  # type: ignore[operator]
    assert drawn["sampler.queue_size"] in range(whole, whole + 4 * step + 1, step)
    RunConfig().replace(drawn)


@pytest.mark.parametrize(
    ("grid", "says"),
    [
        ("loss.temprature=1", "did you mean 'loss.temperature'"),
        ("loss.temperature", "takes section.setting=value,value"),
        ("loss.temperature=", "takes section.setting=value,value"),
        ("run.seed=1,2", "--seeds gives seeds"),
        ("run.threads=1,2", "does not change what a run learns"),
        ("loss.temperature=0.1,hot", "loss.temperature"),
        ("loss.temperature=-1", "loss.temperature"),
    ],
)
def test_a_grid_that_does_not_fit_is_told(grid: str, says: str) -> None:
    with pytest.raises(ConfigError, match=says):
        Space.of_grid([grid]).check(RunConfig())


@pytest.mark.parametrize(
    "document",
    [
        [],
        {},
        {"loss.temperature": 3},
        {"loss.temperature": []},
        {"loss.temperature": {"low": 1}},
        {"loss.temperature": {"low": 1, "high": 0.5}},
        {"loss.temperature": {"low": 0, "high": 1, "log": True}},
        {"loss.temperature": {"low": 0.1, "high": "1"}},
        {"loss.temperature": {"low": 0.1, "high": 1e9}},
        {"sampler.queue_size": {"low": 0, "high": 8, "step": 0}},
        {"sampler.shuffled": {"low": 0, "high": 1}},
    ],
)
def test_a_space_that_does_not_fit_is_told(document: Any) -> None:
    with pytest.raises(ConfigError):
        Space.of_document(document).check(RunConfig())


def test_a_grid_has_a_limit() -> None:
    many = ",".join(map(str, range(101)))
    with pytest.raises(ConfigError, match="10,201 combinations"):
        Space.of_grid([f"sampler.queue_size={many}", f"optimizer.warmup_steps={many}"]).cells()
