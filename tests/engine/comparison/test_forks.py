"""Paired forks held against each other: a slow reference, pairs found by their links, and verdicts over all changes."""

from __future__ import annotations

import math
from collections.abc import Iterable
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats

from cpc_engine.comparison.arms import FORKED, MIN_SEEDS, Branch, ComparedRun, group, settings_table
from cpc_engine.comparison.forks import SHARE, Fork, differences, judge_forks, paired, recorded
from cpc_engine.errors import ConfigError
from cpc_engine.storage.folder import RunFolder
from tests.support.compared import compared
from tests.support.paths import REPOSITORY

Rows = list[dict[str, Any]]
NUMBERS = st.one_of(st.none(), st.floats(-1e6, 1e6))


@st.composite
def rows(draw: st.DrawFn) -> Rows:
    """Records of a run as metrics.jsonl may have them, with steps and numbers that are missing."""
    found = []
    for step in sorted(draw(st.sets(st.integers(1, 8)))):
        names = draw(st.sets(st.sampled_from(["in_batch", "queue", "perturbed"])))
        parts = {
            name: {
                "loss": draw(NUMBERS),
                "accuracy": draw(NUMBERS),
                "sources": {n: {"share": draw(NUMBERS)} for n in names},
            }
            for name in draw(st.sets(st.sampled_from(["audio", "image"]), min_size=1))
        }
        row: dict[str, Any] = {"step": step, "loss": draw(NUMBERS), "modalities": parts}
        if draw(st.booleans()):
            row["geometry"] = {name: draw(NUMBERS) for name in draw(st.sets(st.sampled_from(["alignment", "spread"])))}
        found.append(row)
    return found


def slow(row: dict[str, Any], metric: str) -> list[float | None]:
    """The numbers whose mean a metric is; empty where there is none."""
    if metric == "loss":
        return [row["loss"]]
    if metric == "accuracy":
        return [part["accuracy"] for part in row["modalities"].values()]
    if metric.startswith(SHARE):
        sources = [part["sources"].get(metric[len(SHARE) :]) for part in row["modalities"].values()]
        return [source["share"] for source in sources if source]
    return [row["geometry"][metric]] if metric in row.get("geometry", {}) else []


@given(st.lists(st.tuples(rows(), rows()), min_size=1, max_size=6), st.integers(0, 4))
def test_differences_are_those_of_a_plain_loop(pairs: list[tuple[Rows, Rows]], begins: int) -> None:
    found = {one.metric: one for one in differences(pairs, begins)}
    for metric in ("loss", "accuracy", "alignment", "spread", "share.in_batch", "share.queue", "share.perturbed"):
        expected: dict[int, list[float]] = {}
        for step in range(begins, 9):
            values = []
            for child, control in pairs:
                sides = [[slow(row, metric) for row in side if row["step"] == step] for side in (child, control)]
                if all(side and side[0] and None not in side[0] for side in sides):
                    means = [sum(v for v in side[0] if v is not None) / len(side[0]) for side in sides]
                    values.append(means[0] - means[1])
            if len(values) == len(pairs):
                expected[step] = values
        assert (metric in found) == bool(expected)
        if expected:
            one = found[metric]
            assert one.steps.tolist() == list(expected)
            assert one.values.T.tolist() == list(expected.values())
            assert one.mean == pytest.approx([sum(v) / len(v) for v in expected.values()], abs=1e-6)
            check_band(one.band, list(expected.values()))


def check_band(band: tuple[np.ndarray, np.ndarray] | None, values: list[list[float]]) -> None:
    n = len(values[0])
    if n < 2:
        assert band is None
        return
    assert band is not None
    for low, high, at_step in zip(*band, values, strict=True):
        mean = sum(at_step) / n
        if n < MIN_SEEDS:
            assert (low, high) == (min(at_step), max(at_step))
        else:
            error = math.sqrt(sum((value - mean) ** 2 for value in at_step) / (n - 1) / n)
            half = float(stats.t.ppf(0.975, n - 1)) * error
            assert (low, high) == pytest.approx((mean - half, mean + half), rel=1e-6, abs=1e-5)


def test_a_run_held_against_itself_is_exactly_zero() -> None:
    records = RunFolder(REPOSITORY / "checkpoints" / "example-keypad").records()
    found = differences([(records, records)] * MIN_SEEDS)
    assert {"loss", "accuracy", "alignment", "uniformity", "spread"} <= {one.metric for one in found}
    assert any(one.metric.startswith(SHARE) for one in found)
    for one in found:
        assert not one.values.any()
        assert one.band is not None
        assert not np.any(one.band)
    assert recorded(records[0], "loss", "audio") == records[0]["modalities"]["audio"]["loss"]


def forked(pairs: Iterable[tuple[ComparedRun, ComparedRun]], step: int = 5) -> list[ComparedRun]:
    """Runs that are children and their controls."""
    found = []
    for child, control in pairs:
        found.append(replace(child, branch=Branch("parent", step, control.id)))
        found.append(replace(control, branch=Branch("parent", step)))
    return found


def test_pairs_are_found_by_their_links_and_grouped_by_their_change() -> None:
    pairs = [
        (compared(f"child-{sigma}-{pair}", pair, sampler__sigma=sigma), compared(f"control-{sigma}-{pair}", pair))
        for sigma, pair in ((0.2, 0), (0.2, 1), (0.4, 0))
    ]
    runs = forked(pairs)
    lost = replace(compared("lost", sampler__sigma=0.2), branch=Branch("parent", 5, "deleted"))
    found = paired([*runs, lost, compared("other", sampler__sigma=0.2)])
    assert [[(a.id, b.id) for a, b in fork.pairs] for fork in found] == [
        [("child-0.2-0", "control-0.2-0"), ("child-0.2-1", "control-0.2-1")],
        [("child-0.4-0", "control-0.4-0")],
    ]
    assert [fork.title for fork in found] == ["Noise σ 0.2", "Noise σ 0.4"]
    assert (found[0].begins, found[0].origins) == (5, ["parent"])
    assert paired([run for run in runs if "control" not in run.id]) == []


def test_a_fork_is_no_repetition_of_a_run_with_its_settings_from_the_start() -> None:
    child, control = forked([(compared("child", sampler__sigma=0.2), compared("control"))])
    arms = group([child, control, compared("fresh", 1, sampler__sigma=0.2)])
    assert [[run.id for run in arm.runs] for arm in arms] == [["child"], ["control"], ["fresh"]]
    assert settings_table(arms)[FORKED] == [5, 5, None]


def test_verdicts_need_five_pairs_and_are_corrected_over_all_forks() -> None:
    draw = np.random.default_rng(0)

    def forks(count: int, shift: float, changes: int = 1) -> list[Fork]:
        pairs = []
        for change in range(changes):
            for pair in range(count):
                spread, other = 0.5 + 0.01 * draw.normal(size=2)
                moved = {"spread": spread + shift * (1 + 0.1 * draw.normal()), "alignment": other}
                child = compared(f"child-{change}-{pair}", pair, metrics=moved, sampler__sigma=0.2 + change)
                metrics = {"spread": spread, "alignment": other}
                pairs.append((child, compared(f"control-{change}-{pair}", pair, metrics=metrics)))
        return paired(forked(pairs))

    few = judge_forks(forks(4, 0.1), "spread")[0]["spread"]
    assert few.text == "no verdict below 5 seeds, n = 4"
    assert few.difference == pytest.approx(0.1, rel=0.2)
    [enough] = judge_forks(forks(5, 0.1), "spread")
    assert enough["spread"].text == "fork better"
    assert enough["alignment"].difference == 0
    assert enough["alignment"].text == "not distinguishable, n = 5"
    many = [one["spread"] for one in judge_forks(forks(5, 0.1, changes=3), "spread")]
    assert len(many) == 3
    largest = max(one.p or 0 for one in many)
    assert all(one.p is not None and one.adjusted is not None and one.p < one.adjusted for one in many)
    # Half of the error is shared by the three primary tests; the smallest of them pays for all six.
    smallest = min(many, key=lambda one: one.p or 0)
    assert smallest.adjusted == pytest.approx(6 * (smallest.p or 0))
    assert max(one.adjusted or 0 for one in many) >= 2 * largest
    with pytest.raises(ConfigError, match="metric"):
        judge_forks(forks(5, 0.1), "audio.spread")
