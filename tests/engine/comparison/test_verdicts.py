"""Tests of verdicts against SciPy, and of the arms that they are about."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats

from cpc_engine.comparison.arms import MIN_SEEDS, group, metric_names, settings_table
from cpc_engine.comparison.collect import is_evaluated
from cpc_engine.comparison.verdicts import compare
from tests.support.compared import compared

numbers = st.floats(-100, 100).map(lambda x: round(x, 3))


@given(st.lists(st.tuples(numbers, numbers), min_size=2, max_size=8))
def test_paired_verdicts_equal_scipys(pairs: list[tuple[float, float]]) -> None:
    a, b = ({i: pair[side] for i, pair in enumerate(pairs)} for side in (0, 1))
    verdict = compare(a, b, "higher")
    assert verdict.method == "paired t"
    differences = np.array([x - y for x, y in pairs])
    assert verdict.difference == pytest.approx(differences.mean(), abs=1e-9)
    if np.ptp(differences) < 1e-9:
        assert verdict.p == pytest.approx(
            float(abs(differences[0]) < 1e-12), abs=1e-9
        )  # not exactly: the mean is rounded
        return
    oracle = stats.ttest_rel(list(a.values()), list(b.values()))
    interval = oracle.confidence_interval(0.95)
    assert (verdict.low, verdict.high) == pytest.approx((interval.low, interval.high), rel=1e-9, abs=1e-9)
    assert verdict.p == pytest.approx(oracle.pvalue, rel=1e-6, abs=1e-12)
    assert (verdict.text in ("A better", "B better")) == (len(pairs) >= MIN_SEEDS and oracle.pvalue < 0.05)


@given(st.lists(numbers, min_size=2, max_size=7), st.lists(numbers, min_size=2, max_size=7))
def test_unpaired_verdicts_equal_welchs_test(first: list[float], second: list[float]) -> None:
    a, b = dict(enumerate(first)), {100 + i: value for i, value in enumerate(second)}
    verdict = compare(a, b, "lower")
    assert verdict.method == "Welch"
    if min(np.ptp(first), np.ptp(second)) < 1e-6:
        return  # SciPy warns there
    oracle = stats.ttest_ind(first, second, equal_var=False)
    interval = oracle.confidence_interval(0.95)
    assert (verdict.low, verdict.high) == pytest.approx((interval.low, interval.high), rel=1e-7, abs=1e-7)
    assert verdict.p == pytest.approx(oracle.pvalue, rel=1e-6, abs=1e-12)
    assert (verdict.outcome in "ab") == (min(len(a), len(b)) >= MIN_SEEDS and oracle.pvalue < 0.05)


def test_verdicts_follow_the_direction_of_the_metric() -> None:
    high, low = dict(enumerate([5.0, 5.1, 5.05, 5.02, 5.08])), dict(enumerate([1.0, 1.2, 1.1, 1.05, 1.15]))
    others = dict(enumerate([5.0, 5.3, 5.1, 4.9, 5.0, 5.1], start=7))
    assert compare(high, low, "higher").text == "A better"
    assert compare(high, low, "lower").text == "B better"
    assert compare(low, high, "lower", ("B", "D")).text == "B better"
    assert compare(high, low, "neither").text == "A higher"
    assert compare(high, high, "higher").text == "not distinguishable, n = 5"
    assert compare(high, others, "higher").text == "not distinguishable, n = 5 and 6"
    assert compare(high, {7: 5.0, 8: 5.3}, "higher").text == "no verdict below 5 seeds, n = 5 and 2"


def test_pairing_needs_the_seeds_of_one_arm_among_the_others() -> None:
    a = {0: 1.0, 1: 2.0, 2: 3.0}
    assert compare(a, {0: 1.1, 2: 3.1}, "higher").method == "paired t"
    assert compare(a, {0: 1.1, 1: 2.0, 5: 3.1}, "higher").method == "Welch"


def test_no_verdict_without_two_seeds_per_arm() -> None:
    assert compare({0: 1.0}, {0: 2.0}, "higher").text == "one seed each: no verdict"
    assert compare({0: 1.0}, {0: 2.0, 1: 3.0}, "higher").text == "one seed of A: no verdict"
    assert compare({}, {0: 2.0, 1: 3.0}, "higher").text == "not measured in A"
    assert compare({}, {}, "higher").text == "not measured"
    assert compare({0: 1.0}, {0: 2.0}, "higher").low is None


def test_runs_of_one_arm_differ_only_in_seed_machine_and_labels() -> None:
    runs = [
        compared("a", 1),
        compared("b", 0, run__device="cpu", run__threads=2, run__note="n"),
        compared("c", 0, loss__temperature=0.3),
    ]
    runs.append(compared("d", 2, changes=[(5, "loss.temperature", "0.3")]))
    arms = group(runs)
    assert [(arm.letter, [r.id for r in arm.runs], arm.seeds) for arm in arms] == [
        ("A", ["b", "a"], [0, 1]),
        ("B", ["c"], [0]),
        ("C", ["d"], [2]),
    ]
    assert settings_table(arms) == {
        "loss.temperature": [0.2, 0.3, 0.2],
        "loss.temperature from step 5": [None, None, 0.3],
    }
    assert len(settings_table(arms, every=True)) > 60
    assert settings_table(arms[:1]) == {}
    assert group(compared(str(i), loss__temperature=0.01 + i / 100) for i in range(27))[26].letter == "A2"


def test_only_complete_runs_are_counted() -> None:
    (arm,) = group(
        [
            compared("a", 0, metrics={"alignment": 1.0, "seconds": 3.0, "x.y": None}),
            compared("b", 1, "stopped", {"alignment": 9.0, "spread": 1.0}),
            compared("c", 0, metrics={"alignment": 2.0, "probe.mean_context": 0.5, "alignment_2": float("nan")}),
        ]
    )
    assert arm.values("alignment") == {0: 1.0}
    assert arm.values("alignment_2") == {}
    assert metric_names([arm]) == ["alignment", "probe.mean_context", "seconds", "alignment_2"]
    assert is_evaluated(arm.runs[1])
    assert not is_evaluated(arm.runs[0])
