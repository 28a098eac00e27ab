"""Configuration: what goes in comes out, and what does not fit is refused in one line that names it."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from cpc_engine.config import RunConfig
from cpc_engine.errors import ConfigError
from cpc_engine.knobs import Knob, describe
from cpc_engine.training.control import Control, live_knobs

KNOBS = list(describe(RunConfig))
NUMBERS = [knob for knob in KNOBS if knob.kind in ("int", "float")]
# Knobs that only fit together with others of their section, and text with a form of its own.
TIED = {"image.size", "image.grid", "image.encoder", "loss.temperature_min", "loss.temperature_max"}
TIED |= {"loss.learnable_temperature", "run.device"}


def values(knob: Knob) -> st.SearchStrategy[Any]:
    """Values that fit one knob."""
    if knob.kind == "bool":
        return st.booleans()
    if knob.kind == "int":
        return st.integers(int(knob.minimum or 0), int(knob.maximum or 0))
    if knob.kind == "float":
        return st.floats(knob.minimum, knob.maximum)
    if knob.kind == "choice":
        return st.sampled_from(knob.choices)
    if knob.path == "context.horizons":
        return st.lists(st.integers(1, 1024), min_size=1, max_size=16, unique=True)
    if knob.path == "evaluation.strengths":
        return st.lists(st.floats(1e-6, 1e6), min_size=1, max_size=32)
    if knob.kind == "list":
        return st.none() | st.lists(st.text(max_size=10), max_size=5)
    return st.text(max_size=20).filter(lambda text: not knob.optional or text.strip().lower() not in UNSET)


UNSET = ("", "none", "null")
CHANGES = st.lists(
    st.sampled_from([knob for knob in KNOBS if knob.path not in TIED]).flatmap(
        lambda knob: st.tuples(st.just(knob.path), values(knob))
    ),
    max_size=12,
).map(dict)


@given(CHANGES)
@settings(max_examples=60, deadline=None)
def test_json_gives_the_same_configuration_back(changes: dict[str, Any]) -> None:
    config = RunConfig().replace(changes)
    again = RunConfig.from_json(config.to_json())
    assert again == config
    assert again.to_json() == config.to_json()
    for path, value in changes.items():
        section, name = path.split(".")
        assert config.to_dict()[section][name] == value


@given(CHANGES, CHANGES)
@settings(max_examples=30, deadline=None)
def test_differences_are_what_turns_one_into_the_other(first: dict[str, Any], second: dict[str, Any]) -> None:
    one, other = RunConfig().replace(first), RunConfig().replace(second)
    found = one.differences(other)
    assert one.replace({path: theirs for path, (_, theirs) in found.items()}) == other
    assert all(mine != theirs for mine, theirs in found.values())


def test_every_knob_is_described() -> None:
    for knob in KNOBS:
        assert knob.help.endswith("."), knob.path
        assert len(knob.help.split()) >= 3, knob.path


@pytest.mark.parametrize("knob", NUMBERS, ids=lambda knob: knob.path)
def test_a_number_is_accepted_up_to_its_bounds_and_not_beyond(knob: Knob) -> None:
    """A form offers exactly minimum to maximum, so both must fit and nothing outside."""
    assert knob.minimum is not None
    assert knob.maximum is not None
    step = 1 if knob.kind == "int" else max(abs(knob.maximum), 1.0) * 1e-6
    for value, fits in (
        (knob.minimum, True),
        (knob.maximum, True),
        (knob.minimum - step, False),
        (knob.maximum + step, False),
    ):
        refused = ""
        try:
            RunConfig().replace({knob.path: value})
        except ConfigError as error:
            refused = str(error)
        # What only clashes with another knob is told with the section's name alone.
        assert refused.startswith(f"{knob.path}: ") is not fits, (value, refused)
    assert knob.minimum <= knob.default <= knob.maximum


@pytest.mark.parametrize(
    ("path", "nearest"),
    [
        ("optimiser.stps", "optimiser.steps"),
        ("optimizer.steps", "optimiser"),
        ("loss.temprature", "loss.temperature"),
        ("smapler.sigma", "sampler"),
    ],
)
def test_an_unknown_name_comes_with_the_nearest(path: str, nearest: str) -> None:
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
    ("path", "value", "says"),
    [
        ("optimiser.steps", 0, "greater than or equal to 1, not 0"),
        ("optimiser.steps", 2.5, "whole|integer"),
        ("optimiser.steps", "many", "integer"),
        ("optimiser.steps", None, "integer"),
        ("optimiser.steps", True, "a number is needed, not true"),
        ("sampler.sigma", False, "a number is needed, not false"),
        ("sampler.sigma", float("nan"), "finite"),
        ("sampler.sigma", float("inf"), "finite|less than"),
        ("sampler.sigma", [1], "number"),
        ("image.flip", 3, "bool"),
        ("run.name", 7, "string"),
        ("run.name", "x" * 121, "120 characters"),
        ("run.device", "gpu", "pattern"),
        ("sampler.mode", "Seed", "'exclude_positives' or 'seed'"),
        ("context.horizons", [], "at least 1 item"),
        ("context.horizons", [1, 1], "differ"),
        ("context.horizons", [0], "greater than or equal to 1"),
        ("context.horizons", ["one"], "integer"),
        ("evaluation.strengths", [0.0], "greater than"),
        ("data.classes", [1], "string"),
        ("image.size", 100, "multiple|too small"),
        ("image.grid", 3, "multiple"),
        ("loss.temperature_min", 1.0, "below temperature_max"),
    ],
)
def test_what_does_not_fit_is_refused_in_one_line(path: str, value: object, says: str) -> None:
    section, name = path.split(".")
    with pytest.raises(ConfigError, match=says) as error:
        RunConfig.from_dict({section: {name: value}})
    assert str(error.value).startswith(section)
    assert "\n" not in str(error.value)
    assert len(str(error.value)) <= 400


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
        '{"optimiser": {"steps": ' + "9" * 5000 + "}}",
        '{"sampler": {"sigma": NaN}}',
        '{"5": {}}',
        "\ufeff{}",
    ],
)
def test_garbage_is_no_configuration(text: str) -> None:
    with pytest.raises(ConfigError) as error:
        RunConfig.from_json(text)
    assert "\n" not in str(error.value)


@given(
    st.recursive(
        st.none() | st.booleans() | st.floats() | st.text(), lambda x: st.lists(x) | st.dictionaries(st.text(), x)
    )
)
@settings(max_examples=60, deadline=None)
def test_any_json_is_either_taken_or_refused(value: object) -> None:
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
        ("optimiser.steps=12", 12),
        ("optimiser.steps=1e3", 1000),
        ("loss.temperature=.5", 0.5),
        ("sampler.shuffled=off", "off"),
        ("run.device=cuda:1", "cuda:1"),
    ],
)
def test_text_is_read_by_the_kind_of_its_knob(assignment: str, value: object) -> None:
    path, _, text = assignment.partition("=")
    section, name = path.split(".")
    assert getattr(getattr(RunConfig().replace({path: text}), section), name) == value


@pytest.mark.parametrize(
    "assignment", ["optimiser.steps=true", "optimiser.steps=", "context.horizons=", "image.flip=maybe", "data=x", "=1"]
)
def test_text_that_does_not_fit_is_refused(assignment: str) -> None:
    path, _, text = assignment.partition("=")
    with pytest.raises(ConfigError):
        RunConfig().replace({path: text})


def test_the_configuration_is_immutable() -> None:
    config = RunConfig()
    with pytest.raises(ValueError, match="frozen"):
        config.optimiser.steps = 5  # type: ignore[misc]


def test_knobs_that_shape_the_network_are_not_live() -> None:
    assert "loss.temperature" in live_knobs()
    shaping = {knob.path for knob in KNOBS if knob.path.startswith(("data.", "audio.", "image.", "context.", "run."))}
    assert not live_knobs() & shaping


@pytest.mark.parametrize("change", [{"sampler.cross_modal": True}, {"loss.pair_weight": 1.0}])
def test_a_live_change_that_the_data_cannot_follow_is_refused(change: dict[str, object]) -> None:
    path, value = next(iter(change.items()))
    with pytest.raises(ConfigError, match="only one"):
        Control().change(RunConfig(), path, value)
    Control().change(RunConfig().replace({"data.dataset": "keypad"}), path, value)
