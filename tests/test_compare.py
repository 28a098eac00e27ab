"""Verdicts against SciPy's own tests, and what counts as one setting."""

from __future__ import annotations

import shlex

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats

from cpc_engine import PRESETS, RunConfig, preset
from cpc_engine.cli.commands import _configured
from cpc_engine.cli.parser import parse
from cpc_engine.errors import ConfigError
from cpc_engine.evaluation.compare import (
    MEASURES,
    ComparedRun,
    compare,
    describe_measure,
    group,
    measure_names,
    missing_seeds,
    settings_table,
)
from cpc_engine.runs.compare import changed_configs, cli_command, is_evaluated, seed_configs


def run(
    id: str, seed: int = 0, status: str = "finished", measures: dict | None = None, changes=(), **knobs
) -> ComparedRun:
    config = RunConfig().replace(
        {"run.seed": seed, "run.name": id, **{k.replace("__", "."): v for k, v in knobs.items()}}
    )
    return ComparedRun(id, config, status, status == "finished", measures or {}, tuple(changes))


numbers = st.floats(-100, 100).map(lambda x: round(x, 3))


@given(st.lists(st.tuples(numbers, numbers), min_size=2, max_size=8))
def test_paired_verdicts_are_those_of_scipy(pairs: list[tuple[float, float]]) -> None:
    a, b = ({i: pair[side] for i, pair in enumerate(pairs)} for side in (0, 1))
    found = compare(a, b, "higher")
    assert found.method == "paired t"
    differences = np.array([x - y for x, y in pairs])
    assert found.difference == pytest.approx(differences.mean(), abs=1e-9)
    if np.ptp(differences) < 1e-9:
        assert found.text.startswith("not") == (abs(differences[0]) == 0)
        return
    oracle = stats.ttest_rel(list(a.values()), list(b.values()))
    interval = oracle.confidence_interval(0.95)
    assert (found.low, found.high) == pytest.approx((interval.low, interval.high), rel=1e-9, abs=1e-9)
    assert (found.text in ("A better", "B better")) == (oracle.pvalue < 0.05)


@given(st.lists(numbers, min_size=2, max_size=7), st.lists(numbers, min_size=2, max_size=7))
def test_unpaired_verdicts_are_welchs(first: list[float], second: list[float]) -> None:
    a, b = dict(enumerate(first)), {100 + i: value for i, value in enumerate(second)}
    found = compare(a, b, "lower")
    assert found.method == "Welch"
    if min(np.ptp(first), np.ptp(second)) < 1e-6:
        return  # SciPy warns there
    oracle = stats.ttest_ind(first, second, equal_var=False)
    interval = oracle.confidence_interval(0.95)
    assert (found.low, found.high) == pytest.approx((interval.low, interval.high), rel=1e-7, abs=1e-7)
    assert found.text.startswith("not") == (oracle.pvalue >= 0.05)


def test_verdicts_name_the_better_side_by_the_measures_direction() -> None:
    high, low = {0: 5.0, 1: 5.1, 2: 5.05}, {0: 1.0, 1: 1.2, 2: 1.1}
    assert compare(high, low, "higher").text == "A better"
    assert compare(high, low, "lower").text == "B better"
    assert compare(low, high, "lower", ("B", "D")).text == "B better"
    assert compare(high, low, "neither").text == "A higher"
    assert compare(high, high, "higher").text == "not distinguishable, n = 3"
    assert compare(high, {7: 5.0, 8: 5.3}, "higher").text == "not distinguishable, n = 3 and 2"
    assert compare(high, {7: 5.0, 8: 5.3, 9: 5.1}, "higher").text == "not distinguishable, n = 3"


def test_pairing_needs_one_sides_seeds_among_the_others() -> None:
    a = {0: 1.0, 1: 2.0, 2: 3.0}
    assert compare(a, {0: 1.1, 2: 3.1}, "higher").method == "paired t"
    assert compare(a, {0: 1.1, 1: 2.0, 5: 3.1}, "higher").method == "Welch"


def test_no_verdict_without_two_seeds_each() -> None:
    assert compare({0: 1.0}, {0: 2.0}, "higher").text == "one seed each: no verdict"
    assert compare({0: 1.0}, {0: 2.0, 1: 3.0}, "higher").text == "one seed of A: no verdict"
    assert compare({}, {0: 2.0, 1: 3.0}, "higher").text == "not measured in A"
    assert compare({}, {}, "higher").text == "not measured"
    assert compare({0: 1.0}, {0: 2.0}, "higher").low is None


def test_runs_of_one_setting_differ_in_nothing_that_matters() -> None:
    runs = [
        run("a", 1),
        run("b", 0, run__device="cpu", run__threads=2, run__note="n"),
        run("c", 0, loss__temperature=0.3),
    ]
    runs.append(run("d", 2, changes=[(5, "loss.temperature", "0.3")]))
    settings = group(runs)
    assert [(s.letter, [r.id for r in s.runs], s.seeds) for s in settings] == [
        ("A", ["b", "a"], [0, 1]),
        ("B", ["c"], [0]),
        ("C", ["d"], [2]),
    ]
    assert settings_table(settings) == {
        "loss.temperature": [0.2, 0.3, 0.2],
        "loss.temperature from step 5": [None, None, 0.3],
    }
    assert len(settings_table(settings, all_knobs=True)) > 60
    assert settings_table(settings[:1]) == {}
    assert group(run(str(i), loss__temperature=0.01 + i / 100) for i in range(27))[26].letter == "A2"


def test_only_complete_runs_are_counted() -> None:
    (setting,) = group(
        [
            run("a", 0, measures={"alignment": 1.0, "seconds": 3.0, "x.y": None}),
            run("b", 1, "stopped", {"alignment": 9.0, "spread": 1.0}),
            run("c", 0, measures={"alignment": 2.0, "probe.mean_context": 0.5, "alignment_2": float("nan")}),
        ]
    )
    assert setting.values("alignment") == {0: 1.0}
    assert setting.values("alignment_2") == {}
    assert measure_names([setting]) == ["alignment", "probe.mean_context", "seconds", "alignment_2"]
    assert is_evaluated(setting.runs[1])
    assert not is_evaluated(setting.runs[0])


def test_every_measure_of_the_engine_is_described() -> None:
    for name in MEASURES:
        assert describe_measure(name).title
    assert describe_measure("audio.alignment_2").title == "Alignment, 2 ahead of sounds"
    assert describe_measure("probe.audio.mean_context").title == "Probe: mean context of sounds"
    assert describe_measure("probe.mean_context").better == "higher"
    assert describe_measure("of_tomorrow").better == "neither"


def test_missing_seeds_make_both_sides_equal() -> None:
    settings = group([run("a", 4), run("b", 5), run("c", 4, loss__temperature=0.3), run("d", 0, "failed")])
    assert missing_seeds(settings) == {"A": [0], "B": [0, 5]}
    assert missing_seeds(group([run(str(i), i) for i in range(3)])) == {}
    (setting,) = group([run("a", 4)])
    assert [c.run.seed for c in seed_configs(setting, [7, 8])] == [7, 8]
    (changed,) = group([run("a", changes=[(1, "loss.temperature", "1.0")])])
    with pytest.raises(ConfigError, match="changed while it went on"):
        seed_configs(changed, [1])


def test_a_matrix_goes_seed_by_seed() -> None:
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


@pytest.mark.parametrize("name", PRESETS)
def test_commands_make_the_same_configuration_again(name: str) -> None:
    config = (
        preset(name)
        .config()
        .replace(
            {
                "run.seed": 3,
                "run.name": "it's; rm -rf $HOME `x`",
                "context.horizons": [1, 3],
                "data.classes": ["a b", "c"],
                "loss.temperature": 0.07,
            }
        )
    )
    words = shlex.split(cli_command(config))
    assert words[:3] == ["python", "-m", "cpc_engine"]
    assert _configured(parse(words[3:])) == config
