"""Tests of the configuration: round trips, and one-line errors that name the setting that does not fit."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from cpc_engine.config import RunConfig
from cpc_engine.errors import ConfigError
from cpc_engine.settings import Setting, describe
from cpc_engine.training.control import Control, live_settings

SETTINGS = list(describe(RunConfig))
NUMBERS = [setting for setting in SETTINGS if setting.kind in ("int", "float")]
# Settings whose valid values depend on others of their section, and text with a fixed pattern.
DEPENDENT = {"image.size", "image.grid", "image.encoder", "loss.temperature_min", "loss.temperature_max"}
DEPENDENT |= {"loss.learnable_temperature", "run.device"}
DEPENDENT |= {"audio.sample_rate", "audio.clip_seconds", "image.view_share"}


def values(setting: Setting) -> st.SearchStrategy[Any]:
    """Values that fit one setting."""
    if setting.kind == "bool":
        return st.booleans()
    if setting.kind == "int":
        return st.integers(int(setting.minimum or 0), int(setting.maximum or 0))
    if setting.kind == "float":
        return st.floats(setting.minimum, setting.maximum)
    if setting.kind == "choice":
        return st.sampled_from(setting.choices)
    if setting.path == "context.horizons":
        return st.lists(st.integers(1, 1024), min_size=1, max_size=16, unique=True)
    if setting.path == "context.horizon_seconds":
        return st.none() | st.lists(st.floats(0.01, 10), max_size=5)
    if setting.path == "evaluation.strengths":
        return st.lists(st.floats(1e-6, 1e6), min_size=1, max_size=32)
    if setting.path == "data.groups":
        return st.sampled_from(["", "folder", "*_{group}", "{group}-*-*"])
    if setting.kind == "list":
        return st.none() | st.lists(st.text(max_size=10), max_size=5)
    return st.text(max_size=20).filter(lambda text: not setting.optional or text.strip().lower() not in UNSET)


UNSET = ("", "none", "null")
CHANGES = st.lists(
    st.sampled_from([setting for setting in SETTINGS if setting.path not in DEPENDENT]).flatmap(
        lambda setting: st.tuples(st.just(setting.path), values(setting))
    ),
    max_size=12,
).map(dict)


@given(CHANGES)
@settings(max_examples=60)
def test_json_round_trip_gives_the_same_configuration(changes: dict[str, Any]) -> None:
    config = RunConfig().replace(changes)
    loaded = RunConfig.from_json(config.to_json())
    assert loaded == config
    assert loaded.to_json() == config.to_json()
    for path, value in changes.items():
        section, name = path.split(".")
        assert config.to_dict()[section][name] == value


@given(CHANGES, CHANGES)
@settings(max_examples=30)
def test_differences_turn_one_configuration_into_the_other(
    changes: dict[str, Any], other_changes: dict[str, Any]
) -> None:
    first, second = RunConfig().replace(changes), RunConfig().replace(other_changes)
    differences = first.differences(second)
    assert first.replace({path: value for path, (_, value) in differences.items()}) == second
    assert all(before != after for before, after in differences.values())


def test_every_setting_is_described() -> None:
    for setting in SETTINGS:
        assert setting.help.endswith("."), setting.path
        assert len(setting.help.split()) >= 3, setting.path


@pytest.mark.parametrize("setting", NUMBERS, ids=lambda setting: setting.path)
def test_a_number_is_accepted_up_to_its_bounds_and_not_beyond(setting: Setting) -> None:
    """A form offers exactly minimum to maximum, so both must fit and nothing outside."""
    assert setting.minimum is not None
    assert setting.maximum is not None
    step = 1 if setting.kind == "int" else max(abs(setting.maximum), 1.0) * 1e-6
    for value, fits in (
        (setting.minimum, True),
        (setting.maximum, True),
        (setting.minimum - step, False),
        (setting.maximum + step, False),
    ):
        refused = ""
        try:
            RunConfig().replace({setting.path: value})
        except ConfigError as error:
            refused = str(error)
        # A conflict with another setting is reported with the name of the section only.
        assert refused.startswith(f"{setting.path}: ") is not fits, (value, refused)
    assert setting.minimum <= setting.default <= setting.maximum


@pytest.mark.parametrize(
    ("path", "nearest"),
    [
        ("optimizer.stps", "optimizer.steps"),
        ("optimzer.steps", "optimizer"),
        ("loss.temprature", "loss.temperature"),
        ("smapler.sigma", "sampler"),
    ],
)
def test_an_unknown_name_suggests_the_nearest(path: str, nearest: str) -> None:
    section, name = path.split(".")
    for refuse in (
        lambda: RunConfig().replace({path: 1}),
        lambda: RunConfig.from_dict({section: {name: 1}}),
        lambda: RunConfig.from_json(json.dumps({section: {name: 1}})),
    ):
        with pytest.raises(ConfigError, match=f"did you mean '{nearest}'") as error:
            refuse()
        assert "\n" not in str(error.value)


@pytest.mark.parametrize(
    ("path", "value", "message"),
    [
        ("optimizer.steps", 0, "greater than or equal to 1, not 0"),
        ("optimizer.steps", 2.5, "whole|integer"),
        ("optimizer.steps", "many", "integer"),
        ("optimizer.steps", None, "integer"),
        ("optimizer.steps", True, "a number is needed, not true"),
        ("sampler.sigma", False, "a number is needed, not false"),
        ("sampler.sigma", float("nan"), "finite"),
        ("sampler.sigma", float("inf"), "finite|less than"),
        ("sampler.sigma", [1], "number"),
        ("image.flip", 3, "bool"),
        ("run.name", 7, "string"),
        ("run.name", "x" * 121, "120 characters"),
        ("run.device", "gpu", "pattern"),
        ("sampler.mode", "Seed", "'exclude_positives' or 'reference'"),
        ("context.horizons", [], "at least 1 item"),
        ("context.horizons", [1, 1], "differ"),
        ("context.horizons", [0], "greater than or equal to 1"),
        ("context.horizons", ["one"], "integer"),
        ("evaluation.strengths", [0.0], "greater than"),
        ("data.classes", [1], "string"),
        ("data.groups", "no wildcard", "needs {group} once"),
        ("data.groups", "{group}_{group}", "needs {group} once"),
        ("data.groups", "*_*_*_*_*_{group}", "at most 4 stars"),
        ("data.groups", "*{group}", "text between two wildcards"),
        ("image.size", 100, "multiple|too small"),
        ("image.grid", 3, "multiple"),
        ("loss.temperature_min", 1.0, "below temperature_max"),
    ],
)
def test_invalid_values_are_refused_in_one_line(path: str, value: object, message: str) -> None:
    section, name = path.split(".")
    with pytest.raises(ConfigError, match=message) as error:
        RunConfig.from_dict({section: {name: value}})
    assert str(error.value).startswith(section)
    assert "\n" not in str(error.value)
    assert len(str(error.value)) <= 400


@pytest.mark.parametrize("shuffled", ["batch", "time"])
def test_permuted_negatives_need_those_that_they_permute(shuffled: str) -> None:
    with pytest.raises(ConfigError, match="in-batch negatives again"):
        RunConfig().replace({"sampler.in_batch": False, "sampler.shuffled": shuffled})


@pytest.mark.parametrize(
    "text",
    [
        "",
        "{",
        "null",
        "5",
        "[]",
        '"tones"',
        '{"data": 5}',
        '{"data": null}',
        "[" * 100_000,
        '{"optimizer": {"steps": ' + "9" * 5000 + "}}",
        '{"sampler": {"sigma": NaN}}',
        '{"5": {}}',
        "\ufeff{}",
    ],
)
def test_invalid_json_is_refused_in_one_line(text: str) -> None:
    with pytest.raises(ConfigError) as error:
        RunConfig.from_json(text)
    assert "\n" not in str(error.value)


@given(
    st.recursive(
        st.none() | st.booleans() | st.floats() | st.text(), lambda x: st.lists(x) | st.dictionaries(st.text(), x)
    )
)
@settings(max_examples=60)
def test_any_json_is_either_accepted_or_refused(value: object) -> None:
    for candidate in (value, {"data": value}, {"data": {"train_items": value}}, {"context": {"horizons": value}}):
        try:
            config = RunConfig.from_json(json.dumps(candidate))
        except ConfigError:
            continue
        assert RunConfig.from_json(config.to_json()) == config


@pytest.mark.parametrize(
    ("assignment", "value"),
    [
        ("run.name=7", "7"),
        ("run.name=true", "true"),
        ("run.name=none", "none"),
        ("run.name=a=b, c", "a=b, c"),
        ('data.classes=["cat","dog"]', ("cat", "dog")),
        ("data.classes=cat,dog", ("cat", "dog")),
        ("data.classes=cat, dog", ("cat", "dog")),
        ("data.classes=7", ("7",)),
        ("data.classes=none", None),
        ("data.classes=null", None),
        ("data.classes=", None),
        ("data.path=7", "7"),
        ("data.path=None", None),
        ("data.path=[a]/b.npz", "[a]/b.npz"),
        ("context.horizons=1,2", (1, 2)),
        ("context.horizons=[1, 2]", (1, 2)),
        ("context.horizons=3", (3,)),
        ("evaluation.strengths=0.1,1e-2", (0.1, 0.01)),
        ("image.flip=false", False),
        ("image.flip=False", False),
        ("image.flip=no", False),
        ("image.flip=1", True),
        ("optimizer.steps=12", 12),
        ("optimizer.steps=1e3", 1000),
        ("loss.temperature=.5", 0.5),
        ("sampler.shuffled=off", "off"),
        ("run.device=cuda:1", "cuda:1"),
    ],
)
def test_text_is_parsed_by_the_kind_of_its_setting(assignment: str, value: object) -> None:
    path, _, text = assignment.partition("=")
    section, name = path.split(".")
    assert getattr(getattr(RunConfig().replace({path: text}), section), name) == value


@pytest.mark.parametrize(
    "assignment", ["optimizer.steps=true", "optimizer.steps=", "context.horizons=", "image.flip=maybe", "data=x", "=1"]
)
def test_text_that_does_not_fit_is_refused(assignment: str) -> None:
    path, _, text = assignment.partition("=")
    with pytest.raises(ConfigError):
        RunConfig().replace({path: text})


def test_the_configuration_is_immutable() -> None:
    config = RunConfig()
    with pytest.raises(ValueError, match="frozen"):
        config.optimizer.steps = 5  # type: ignore[misc]


def test_settings_of_data_and_network_are_not_live() -> None:
    assert "loss.temperature" in live_settings()
    fixed = {
        setting.path
        for setting in SETTINGS
        if setting.path.startswith(("data.", "audio.", "image.", "context.", "run."))
    }
    assert not live_settings() & fixed


@pytest.mark.parametrize("change", [{"sampler.cross_modal": True}, {"loss.pair_weight": 1.0}])
def test_a_live_change_that_the_data_do_not_allow_is_refused(change: dict[str, object]) -> None:
    path, value = next(iter(change.items()))
    with pytest.raises(ConfigError, match="only one"):
        Control().change(RunConfig(), path, value)
    Control().change(RunConfig().replace({"data.dataset": "keypad"}), path, value)


def test_a_live_setting_may_be_called_by_its_old_name() -> None:
    control = Control()
    control.change(RunConfig(), "optimiser.learning_rate", 0.01)
    assert control.take_changes() == {"optimizer.learning_rate": 0.01}


@pytest.mark.parametrize("old", ["optimiser.steps", "audio.centre", "evaluation.neighbours"])
def test_old_names_are_accepted_wherever_a_setting_is_named(old: str) -> None:
    section, _, name = old.partition(".")
    value = {"optimiser.steps": 7, "audio.centre": True, "evaluation.neighbours": 9}[old]
    by_path = RunConfig().replace({old: value})
    by_section = RunConfig.from_dict({section: {name: value}})
    assert by_path == by_section != RunConfig()
    assert old not in by_path.flat()
