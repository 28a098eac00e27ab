"""Tests of the correction for many metrics, against its definition, and of the verdicts of a whole comparison."""

from __future__ import annotations

from dataclasses import replace
from itertools import chain, combinations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from cpc_engine.comparison.arms import Arm, group
from cpc_engine.comparison.judge import judge, weighted_holm
from cpc_engine.comparison.tables import metrics_csv_columns, metrics_table
from cpc_engine.comparison.verdicts import compare
from cpc_engine.errors import ConfigError
from tests.support.compared import compared


def closed_test(p: list[float], weights: list[float]) -> list[float]:
    """The definition: a test's value is the largest weighted Bonferroni value of all sets of tests that hold it."""
    every = range(len(p))
    sets = list(chain.from_iterable(combinations(every, size) for size in range(1, len(p) + 1)))
    values = {s: min(1.0, min(p[i] * sum(weights[j] for j in s) / weights[i] for i in s)) for s in sets}
    return [max(value for s, value in values.items() if i in s) for i in every]


@given(st.lists(st.tuples(st.floats(0, 1), st.floats(0.05, 5)), min_size=1, max_size=6))
def test_the_correction_is_the_closed_test_of_bonferronis(tests: list[tuple[float, float]]) -> None:
    p, weights = [list(column) for column in zip(*tests, strict=True)]
    assert weighted_holm(p, weights) == pytest.approx(closed_test(p, weights), rel=1e-9, abs=1e-12)


def arms(draw: np.random.Generator, seeds: int, gaps: dict[str, float]) -> list[Arm]:
    """Two arms whose metrics differ by `gaps` in standard deviations."""
    return group(
        compared(
            f"{arm}-{seed}",
            seed,
            metrics={name: float(draw.normal() + gap * (arm == 0)) for name, gap in gaps.items()},
            loss__temperature=0.2 + arm / 10,
        )
        for arm in range(2)
        for seed in range(seeds)
    )


NONE = dict.fromkeys(
    ("probe", "alignment", "uniformity", "effective_rank", "probe.mean_context", "audio.alignment"), 0.0
)


def test_two_seeds_give_numbers_and_no_verdict_however_large_the_difference() -> None:
    draw = np.random.default_rng(0)
    for seeds in (2, 3, 4):
        pair = arms(draw, seeds, {**NONE, "probe": 1e6})
        found = judge(pair, pair[0])["probe", "B"]
        assert found.outcome == "too_few_seeds"
        assert found.text == f"no verdict below 5 seeds, n = {seeds}"
        assert found.difference == pytest.approx(1e6, rel=0.1)
        assert found.low is not None
    pair = arms(draw, 5, {**NONE, "probe": 1e6})
    assert judge(pair, pair[0])["probe", "B"].text == "A better"


def test_the_primary_metric_has_half_of_the_allowed_error() -> None:
    pair = arms(np.random.default_rng(1), 6, NONE)
    for primary in ("probe", "uniformity"):
        found = judge(pair, pair[0], primary)
        p = {metric: verdict.p for (metric, _), verdict in found.items()}
        others = len(p) - 1
        weights = [0.5 if metric == primary else 0.5 / others for metric in p]
        expected = closed_test([value for value in p.values() if value is not None], weights)
        assert [verdict.adjusted for verdict in found.values()] == pytest.approx(expected)


def test_a_small_p_value_among_many_is_no_verdict() -> None:
    """Of twenty metrics about one has p below 5 % by chance."""
    draw = np.random.default_rng(2)
    alone = corrected = 0
    for _ in range(150):
        pair = arms(draw, 5, NONE)
        found = judge(pair, pair[0])
        alone += any(verdict.p is not None and verdict.p < 0.05 for verdict in found.values())
        corrected += any(verdict.winner for verdict in found.values())
    assert alone > 0.12 * 150
    assert corrected < 0.09 * 150


def test_metrics_of_one_modality_or_horizon_have_no_verdict() -> None:
    pair = arms(np.random.default_rng(3), 5, NONE)
    assert {metric for metric, _ in judge(pair, pair[0])} == set(NONE) - {"audio.alignment"}
    with pytest.raises(ConfigError, match=r"unknown metric 'alignmnt'.*alignment"):
        judge(pair, pair[0], "alignmnt")


def test_tables_show_the_primary_metric_first_and_differences_with_intervals() -> None:
    pair = arms(np.random.default_rng(4), 5, {**NONE, "uniformity": 9.0})
    table = metrics_table(pair, pair[0], "uniformity", every=True)
    assert table["Metric"][0] == "Uniformity"
    assert table["Role"][0] == "primary"
    assert table["A or B?"][0] == "B better"  # lower is better
    alone = compare(pair[0].values("uniformity"), pair[1].values("uniformity"), "lower")
    assert table["A − B"][0] == f"{alone.difference:+.3g} ({alone.low:.3g} to {alone.high:.3g})"
    detail = table["Metric"].index("Alignment (audio)")
    assert (table["Role"][detail], table["A or B?"][detail], table["A − B"][detail]) == ("detail", "", "")
    numbers = metrics_csv_columns(pair, pair[0], "uniformity")
    row = numbers["metric"].index("uniformity")
    assert numbers["role"][row] == "primary"
    assert numbers["A − B p"][row] == pytest.approx(alone.p)
    assert alone.p is not None
    assert alone.p <= numbers["A − B p adjusted"][row] <= 2 * alone.p + 1e-12


def test_the_primary_probe_is_the_feature_that_validation_chose() -> None:
    from cpc_engine.comparison.collect import chosen_probes

    rows = {
        "audio.mean_context": {"trained": 0.7, "validation": 0.9},
        "audio.mean_latent": {"trained": 0.99, "validation": 0.8},
        "image.mean_context": {"trained": 0.5, "validation": 0.6},
    }
    assert {modality: row["trained"] for modality, row in chosen_probes(rows).items()} == {"audio": 0.7, "image": 0.5}
    assert list(chosen_probes({"mean_context": rows["audio.mean_context"]})) == [""]


def sized(items: list[int | None], seeds: int = 5) -> list[Arm]:
    """One arm per number of items that the ranks were taken on; arms differ widely in rank."""
    return group(
        compared(
            f"{arm}-{seed}",
            seed,
            metrics={"effective_rank": 10.0 * arm + seed / 10, "spread": 0.5}
            | ({} if n is None else {"rank_items": n}),
            loss__temperature=0.2 + arm / 10,
        )
        for arm, n in enumerate(items)
        for seed in range(seeds)
    )


def test_retrieval_among_different_numbers_of_items_is_not_compared() -> None:
    def pair(*items: int) -> list[Arm]:
        return group(
            compared(
                f"{n}-{seed}",
                seed,
                metrics={"retrieval_pair": 10 / n + seed / 1e4, "rank_items": 128, "retrieval_items": n},
                loss__temperature=0.2 + arm / 10,
            )
            for arm, n in enumerate(items)
            for seed in range(5)
        )

    different, equal = pair(300, 1000), pair(300, 300)
    assert "different numbers of items (300 and 1000)" in judge(different, different[0])["retrieval_pair", "B"].text
    assert judge(equal, equal[0])["retrieval_pair", "B"].difference is not None


@pytest.mark.parametrize(
    ("items", "said"),
    [
        ([128, 64], "different numbers of items (64 and 128)"),
        ([None, 128], "different numbers of items (128 and unknown)"),
        ([128, 128], "B better"),
        ([None, None], "B better"),
    ],
)
def test_ranks_on_different_numbers_of_items_are_not_compared(items: list[int | None], said: str) -> None:
    pair = sized(items)
    found = judge(pair, pair[0], "effective_rank")["effective_rank", "B"]
    assert found.text == said
    assert (found.winner is None) == (found.difference is None) == ("different" in said)
    table = metrics_table(pair, pair[0])
    row = table["Metric"].index("Effective rank")
    assert table["A or B?"][row] == said
    assert ("Here on 128 items." in table["Meaning"][row]) == (items == [128, 128])
    assert metrics_csv_columns(pair, pair[0])["A − B verdict"][row] == said


def test_runs_of_one_arm_on_different_numbers_of_items_are_not_compared() -> None:
    """Old and new runs of one configuration: their mean would be of two quantities."""
    pair = sized([128, 128])
    mixed = [run if run.seed else replace(run, metrics={"effective_rank": 3.0}) for arm in pair for run in arm.runs]
    found = judge(group(mixed), group(mixed)[0])["effective_rank", "B"]
    assert found.outcome == "different_items"
