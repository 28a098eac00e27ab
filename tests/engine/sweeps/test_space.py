"""The settings that a sweep tries."""

from __future__ import annotations

import json
from itertools import product
from typing import Any

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from cpc_engine.config import RunConfig, all_settings, unread
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


# A setting that nothing reads, what the rest of a space may be, and why it does nothing.
IDLE = [
    ({}, "sampler.sigma", [0.1, 0.2], {}, "sampler.perturbed is off"),
    ({}, "sampler.queue_max_age", [1, 2], {"loss.temperature": [0.1, 0.2]}, "sampler.queue_size is 0"),
    ({}, "sampler.mixed_pool", [16, 32], {"sampler.perturbed": [True]}, "sampler.mixed is 0"),
    ({}, "sampler.detach_synthetic", [True, False], {}, "sampler.perturbed is off and sampler.shuffled is off"),
    (
        {"sampler.perturbed": True, "sampler.key_momentum": 0.9},
        "sampler.detach_synthetic",
        [True, False],
        {},
        "no grad",
    ),
    ({}, "loss.temperature_max", [1.0, 2.0], {}, "loss.learnable_temperature is off"),
    ({}, "loss.item_temperature", [0.1, 0.2], {"loss.item_weight": [0.0]}, "loss.item_weight is 0"),
    ({}, "loss.pair_weight", [0.0, 1.0], {}, "one modality"),
    ({}, "loss.pair_temperature", [0.1, 0.2], {}, "one modality"),
    ({}, "image.width", [8, 16], {}, "have no image"),
    ({}, "audio.directions", [8, 16], {}, "audio.encoder is patches"),
    ({"audio.noise": 0.0}, "audio.noise_share", [0.1, 0.2], {}, "audio.noise is 0"),
    ({"audio.encoder": "residual"}, "context.batch_norm", [True, False], {}, "residual"),
    ({"context.horizon_seconds": [0.1]}, "context.horizons", ["[1]", "[2]"], {}, "context.horizon_seconds"),
    ({"data.dataset": "fsdd", "data.split": "official"}, "data.held_out", ["a", "b"], {}, "data.split is official"),
]


@pytest.mark.parametrize("sampler", ["grid", "tpe"])
@pytest.mark.parametrize(("changes", "path", "values", "others", "why"), IDLE)
def test_a_setting_that_nothing_reads_is_refused_with_its_reason(
    sampler: Any, changes: dict[str, Any], path: str, values: list[Any], others: dict[str, list[Any]], why: str
) -> None:
    space = Space(sampler, {name: {"choices": choices} for name, choices in {**others, path: values}.items()})
    with pytest.raises(ConfigError, match=f"{path} would change nothing in this sweep: ") as told:
        space.check(RunConfig().replace({"data.dataset": "tones", **changes}))
    assert why in str(told.value)
    assert "\n" not in str(told.value)


@given(paths=st.sets(st.sampled_from([setting.path for setting in all_settings() if setting.role == "result"])))
def test_no_space_of_one_setting_that_is_not_read_is_accepted(paths: set[str]) -> None:
    base = RunConfig()
    for path in paths & unread(base):
        choices = [json.dumps(base.flat()[path])] if isinstance(base.flat()[path], list) else [base.flat()[path]]
        with pytest.raises(ConfigError, match="would change nothing"):
            Space("grid", {path: {"choices": choices}}).check(base)


@pytest.mark.parametrize(
    "document",
    [
        {"sampler.sigma": {"low": 0.1, "high": 1.0}, "sampler.perturbed": [False, True]},
        {"sampler.mixed": {"low": 0, "high": 32}, "sampler.mixed_pool": {"low": 32, "high": 64}},
        {"loss.item_temperature": {"low": 0.1, "high": 1}, "loss.item_weight": {"low": 0.0, "high": 1.0}},
    ],
)
def test_what_one_setting_of_a_space_switches_on_counts(document: dict[str, Any]) -> None:
    Space.of_document(document).check(RunConfig())


def test_a_large_space_whose_switch_comes_last_is_accepted() -> None:
    ranges = {path: {"low": 0.1, "high": 0.2} for path in ("loss.temperature", "sampler.sigma")}
    many = {f"sampler.{name}": {"low": 2, "high": 3} for name in ("mixed", "mixed_pool", "queue_size", "queue_max_age")}
    Space.of_document({"sampler.perturbed": [False, True], **ranges, **many}).check(RunConfig())


@given(
    switches=st.lists(st.booleans(), min_size=1, max_size=2, unique=True),
    sigmas=st.lists(st.sampled_from([0.1, 0.2, 0.4]), min_size=1, max_size=4),
    sizes=st.lists(st.sampled_from([0, 64, 128]), min_size=1, max_size=3),
)
def test_cells_that_differ_only_in_what_they_do_not_read_are_there_once(
    switches: list[bool], sigmas: list[float], sizes: list[int]
) -> None:
    assume(True in switches)
    values = {"sampler.perturbed": switches, "sampler.sigma": sigmas, "sampler.queue_size": sizes}
    cells = Space("grid", {path: {"choices": choices} for path, choices in values.items()}).check(RunConfig())
    meant = [
        (cell["sampler.sigma"] if cell["sampler.perturbed"] else None, cell["sampler.queue_size"]) for cell in cells
    ]
    assert len(meant) == len(set(meant)) == (len(set(sigmas)) + (False in switches)) * len(set(sizes))
