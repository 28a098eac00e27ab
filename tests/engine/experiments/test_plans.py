"""Experiments as they are planned, and how their verdicts are corrected."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from cpc_engine.comparison.judge import weighted_holm
from cpc_engine.config import RunConfig, unread
from cpc_engine.experiments.definitions import EXPERIMENTS, experiment
from cpc_engine.experiments.figures import band
from cpc_engine.experiments.items import pack
from cpc_engine.experiments.results import _against_the_first
from cpc_engine.experiments.runner import find_run, plan_runs
from cpc_engine.experiments.tables import verdicts_table
from cpc_engine.storage.folder import RunFolder


def test_the_verdicts_of_a_table_are_corrected_together_and_the_primary_metric_weighs_half() -> None:
    draw = np.random.default_rng(1)

    def runs(arm: str, shift: float) -> list[dict[str, Any]]:
        return [
            {"arm": arm, "seed": seed, "fold": "", "correct": {}}
            | {"metrics": {name: float(draw.normal(shift, 1)) for name in ("chosen", "uniformity", "effective_rank")}}
            for seed in range(6)
        ]

    labels = [arm.label for arm in EXPERIMENTS["negatives_sounds"].arms][:3]
    of_arm = {label: runs(label, 3.0 * index) for index, label in enumerate(labels)}
    configs = {arm.label: arm.config() for arm in EXPERIMENTS["negatives_sounds"].arms}
    rows = list(_against_the_first(of_arm, configs, EXPERIMENTS["negatives_sounds"]))
    assert {(row["metric"], row["role"]) for row in rows} == {
        ("chosen", "primary"),
        ("uniformity", "exploratory"),
        ("effective_rank", "exploratory"),
    }
    weights = [0.5 / 2 if row["role"] == "primary" else 0.5 / 4 for row in rows]
    assert [row["adjusted"] for row in rows] == pytest.approx(weighted_holm([row["p"] for row in rows], weights))
    assert all((row["outcome"] in "ab") == (row["adjusted"] < 0.05) for row in rows)
    table = verdicts_table({"verdicts": rows})
    assert table["role"] == ["primary"] * 2 + ["exploratory"] * 4


@pytest.mark.parametrize(("other", "method"), [("same", "paired t, seeds × items"), ("other", "paired t")])
def test_arms_are_compared_item_by_item_where_their_items_are_the_same(other: str, method: str) -> None:
    first, second = [arm.label for arm in EXPERIMENTS["negatives_sounds"].arms][:2]
    of_arm: dict[str, list[dict[str, Any]]] = {}
    for label, digest in ((first, "same"), (second, other)):
        digits = ["".join(map(str, np.random.default_rng(seed).integers(0, 2, 40))) for seed in range(6)]
        of_arm[label] = [
            {"arm": label, "seed": seed, "fold": "", "correct": {"chosen": pack(text)}}
            | {"metrics": {"chosen": text.count("1") / 40}, "item_digests": {"image": digest}}
            for seed, text in enumerate(digits)
        ]
    configs = {arm.label: arm.config() for arm in EXPERIMENTS["negatives_sounds"].arms}
    [row] = _against_the_first(of_arm, configs, EXPERIMENTS["negatives_sounds"])
    assert row["method"] == method


@pytest.mark.parametrize("name", list(EXPERIMENTS))
def test_experiments_can_be_planned(name: str) -> None:
    chosen = experiment(name)
    full, quick = plan_runs(chosen, 3), plan_runs(chosen, 1, quick=True)
    assert len(full) == 3 * len(chosen.arms) * len(chosen.folds) == 3 * len(quick)
    assert len({run.config.replace({"run.name": ""}).to_json() for run in full}) == len(full)  # all are different
    assert all(run.config.optimizer.steps < 10 for run in quick)
    assert chosen.without_pair in (None, *(arm.label for arm in chosen.arms))
    assert len(plan_runs(chosen, 2, [chosen.arms[0].label])) == 2 * len(chosen.folds)
    with_data = plan_runs(chosen, 1, data="/photos")
    needs = {arm.label: arm.needs_data for arm in chosen.arms}
    assert all((run.config.data.path == "/photos") == needs[run.arm] for run in with_data)


@pytest.mark.parametrize("name", [name for name in EXPERIMENTS if name.startswith("negatives_")])
def test_ablations_differ_in_their_sampler_only(name: str) -> None:
    first, *others = plan_runs(experiment(name), 1)
    for other in others:
        paths = set(other.config.differences(first.config)) - {"run.name"}
        assert paths
        assert all(path.startswith("sampler.") for path in paths)
        assert not paths & unread(other.config), "what distinguishes an arm has an effect"


def test_the_location_of_the_data_does_not_distinguish_runs(tmp_path: Path) -> None:
    config = RunConfig().replace({"data.path": "/here", "run.seed": 3})
    folder = RunFolder.create(tmp_path, config)
    assert find_run(tmp_path, config.replace({"data.path": "/there", "run.name": "x"})).id == folder.id
    assert find_run(tmp_path, config.replace({"run.seed": 4})) is None
    assert find_run(tmp_path, config.replace({"loss.temperature": 0.3})) is None


def test_a_run_is_found_by_a_plan_whose_settings_follow_from_the_data(tmp_path: Path) -> None:
    planned = RunConfig().replace({"data.dataset": "fsdd", "audio.clip_seconds": 0, "audio.sample_rate": 8000})
    folder = RunFolder.create(tmp_path, planned.replace({"audio.clip_seconds": 0.8}))
    assert find_run(tmp_path, planned).id == folder.id
    assert find_run(tmp_path, planned.replace({"audio.sample_rate": 0})).id == folder.id
    assert find_run(tmp_path, planned.replace({"audio.sample_rate": 16000})) is None
    assert find_run(tmp_path, planned.replace({"audio.clip_seconds": 1.0})) is None


def test_a_band_holds_all_curves() -> None:
    curves = [(np.array([1, 2, 3]), np.array([1.0, 2, 3])), (np.array([2, 3, 4]), np.array([4.0, 7, 0]))]
    steps, mean, low, high = band(curves)
    assert (steps.tolist(), mean.tolist(), low.tolist(), high.tolist()) == ([2, 3], [3, 5], [2, 3], [4, 7])
