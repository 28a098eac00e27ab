"""How arms stand by one metric, what they are called, and the grid of two settings."""

from __future__ import annotations

import itertools
import statistics
from dataclasses import replace

import pytest
from scipy import stats

from cpc_engine.comparison.arms import Branch, group
from cpc_engine.comparison.standings import data_note, grid, standings, titles
from tests.support.compared import compared


def test_a_mean_and_its_interval_are_those_of_a_t_test() -> None:
    values = [0.5, 0.6, 0.55, 0.7]
    runs = [compared(f"a{seed}", seed, metrics={"probe": value}) for seed, value in enumerate(values)]
    (one,) = standings(group(runs), "probe")
    low, high = stats.t.interval(0.95, 3, statistics.mean(values), statistics.stdev(values) / 2)
    assert one.mean == pytest.approx(statistics.mean(values))
    assert one.half == pytest.approx((high - low) / 2)
    assert one.values == dict(enumerate(values))
    assert (one.covers, one.untrained) == ("seeds", None)


def test_runs_that_did_not_finish_do_not_count() -> None:
    runs = [compared("a", 0, metrics={"probe": 0.5}), compared("b", 1, "stopped", {"probe": 0.9})]
    (one,) = standings(group(runs), "probe")
    assert (one.mean, one.half) == (0.5, None)
    (none,) = standings(group(runs), "knn")
    assert none.mean is None


def test_arms_are_named_by_what_differs() -> None:
    runs = [
        compared("x", sampler__perturbed=perturbed, loss__temperature=temperature)
        for perturbed, temperature in ((False, 0.2), (True, 0.1))
    ]
    assert titles(group(runs)) == [
        "A · Noise-perturbed off, Temperature τ 0.2",
        "B · Noise-perturbed on, Temperature τ 0.1",
    ]
    assert titles(group(runs[:1])) == ["A · x"], "one arm differs from nothing"
    many = {"sampler__queue_size": 8, "optimizer__steps": 9, "optimizer__batch_size": 4, "context__layers": 2}
    other = {**many, "loss__temperature": 0.2}
    assert titles(group([runs[0], compared("y", **other)])) == ["A · x", "B · y"], "too many to name"
    assert titles(group([runs[0], compared("y", **other, run__name="x")]))[1].endswith("and 1 more"), "names of no use"


def test_an_arm_is_not_named_by_what_it_never_did() -> None:
    plain, changed = compared("x"), compared("y", changes=[(4, "sampler.perturbed", "true")])
    forked = replace(compared("z", loss__temperature=0.1), branch=Branch("x", 7))
    assert titles(group([plain, changed])) == ["A · x", "B · Noise-perturbed from step 4 on"]
    found = titles(group([plain, changed, forked]))
    assert not [title for title in found if "not set" in title]
    assert [("from step 4" in title, "forked" in title) for title in found] == [
        (False, False),
        (True, False),
        (False, True),
    ]
    unset = [compared("x"), compared("y", context__horizon_seconds=[0.1])]
    assert "not set" in titles(group(unset))[0], "that is a value of this setting"


def test_arms_of_different_data_are_told() -> None:
    def note(*settings: dict[str, object]) -> str:
        return data_note(group(compared(f"run {index}", **one) for index, one in enumerate(settings)))

    assert note({}, {"sampler__perturbed": True}, {"data__train_items": 64}, {"data__validation_share": 0.3}) == ""
    assert "(A: My sounds; B: My sounds)" in note(
        *({"data__dataset": "audio_folder", "data__path": path} for path in ("birds", "cars"))
    )
    assert "Different data" in note(
        {"data__dataset": "cifar10"}, {"data__dataset": "cifar10", "data__classes": ("cat", "dog")}
    )


def test_two_settings_that_vary_make_a_grid() -> None:
    pairs = list(itertools.product((0.4, 0.05, 0.2), (False, True)))
    runs = [
        compared(f"r{i}", loss__temperature=t, sampler__perturbed=p, metrics={"probe": t + p})
        for i, (t, p) in enumerate(pairs)
    ]
    found = grid(group(runs), "probe")
    assert found is not None
    (rows, columns) = found.rows, found.columns
    if rows[0] != "Temperature τ":
        rows, columns = columns, rows
        means = {(column, row): mean for (row, column), mean in found.means.items()}
    else:
        means = dict(found.means)
    assert rows == ("Temperature τ", ["0.05", "0.2", "0.4"]), "in order of size"
    assert columns == ("Noise-perturbed", ["off", "on"])
    for (row, column), mean in means.items():
        assert mean == pytest.approx(float(rows[1][row]) + column)
    assert len(means) == 6
    assert grid(group(runs[:2]), "probe") is None, "one setting varies"
    third = [*runs, compared("more", loss__temperature=0.2, context__layers=2, metrics={"probe": 1.0})]
    assert grid(group(third), "probe") is None, "three settings vary"
