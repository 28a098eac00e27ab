"""Tests of comparisons of test accuracies by test item: what intervals cover, and where they fall back to seeds."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from cpc_engine.comparison.arms import Arm, group, same_items
from cpc_engine.comparison.collect import load_compared
from cpc_engine.comparison.judge import EXPLANATION, judge
from cpc_engine.comparison.tables import metrics_csv_columns, metrics_table
from cpc_engine.data import load_dataset
from cpc_engine.data.relations.same_items import names_digest
from cpc_engine.evaluation.intervals import hierarchical_interval, mean_interval
from cpc_engine.execution.evaluate import evaluate_run
from cpc_engine.execution.execute import execute
from cpc_engine.storage.folder import RunFolder
from cpc_engine.training.control import Control
from tests.support.compared import compared
from tests.support.tiny import tiny

EASE = np.random.default_rng(0).normal(size=80)  # the same items are easy for all networks


def right(arm: int, seed: int, gap: float) -> np.ndarray:
    draw = np.random.default_rng(1000 * arm + seed)
    found: np.ndarray = (1 + gap + 2 * EASE + draw.normal(size=80) > 0).astype(float)
    return found


def pair(known: set[tuple[int, int]], gap: float = 0.6, **other: Any) -> list[Arm]:
    """Two arms of five seeds; `known` are the (arm, seed) whose items are known, `other` settings of the second."""
    runs = []
    for arm in range(2):
        for seed in range(5):
            values = right(arm, seed, gap * (arm == 0))
            items = {"probe": values} if (arm, seed) in known else {}
            settings = {"loss__temperature": 0.2 + arm / 10, **(other if arm else {})}
            metrics = {"probe": float(values.mean()), "spread": 0.5 + seed / 100}
            runs.append(compared(f"{arm}-{seed}", seed, metrics=metrics, items=items, **settings))
    return group(runs)


ALL = {(arm, seed) for arm in range(2) for seed in range(5)}


def test_accuracies_cover_the_choice_of_items_where_all_runs_keep_them() -> None:
    arms = pair(ALL)
    verdict = judge(arms, arms[0])["probe", "B"]
    differences = {s: [right(0, s, 0.6) - right(1, s, 0)] for s in range(5)}
    expected = hierarchical_interval(differences)
    assert verdict.method == "paired t, seeds × items"
    assert verdict.difference == pytest.approx(expected.mean)
    assert verdict.p == pytest.approx(expected.p)
    assert expected.half is not None
    assert verdict.high == pytest.approx(expected.mean + expected.half)
    table = metrics_table(arms, arms[0])
    assert dict(zip(table["Metric"], table["Interval"], strict=True)) == {
        "Linear probe": "seeds × items",
        "Spread": "seeds",
    }
    own = hierarchical_interval({s: [right(0, s, 0.6)] for s in range(5)})
    assert own.half is not None
    assert table["A"][0] == f"{own.mean:.4g} ± {own.half:.2g}"
    numbers = metrics_csv_columns(arms, arms[0])
    row = numbers["metric"].index("probe")
    assert (numbers["interval"][row], numbers["A half width 95 %"][row]) == ("seeds × items", pytest.approx(own.half))
    assert numbers["A half width 95 %"][row] > 1.5 * mean_interval(list(arms[0].values("probe").values()))[1]


def test_one_run_without_items_leaves_the_interval_over_seeds() -> None:
    arms = pair(ALL - {(1, 3)})
    assert judge(arms, arms[0])["probe", "B"].method == "paired t"
    table = metrics_table(arms, arms[0])
    assert set(table["Interval"]) == {"seeds"}
    mean, half = mean_interval(list(arms[0].values("probe").values()))
    assert table["A"][0] == f"{mean:.4g} ± {half:.2g}"


def test_other_data_have_other_items_which_cannot_be_paired() -> None:
    arms = pair(ALL, data__seed=7)
    verdict = judge(arms, arms[0])["probe", "B"]
    own = [hierarchical_interval({s: [right(a, s, 0.6 * (a == 0))] for s in range(5)}) for a in range(2)]
    assert verdict.method == "Welch, seeds × items"
    error = sum(found.error**2 for found in own if found.error is not None) ** 0.5
    assert verdict.high is not None
    assert verdict.low is not None
    assert verdict.high - verdict.low > 2 * 1.96 * error


def test_a_run_with_other_numbers_of_items_leaves_the_interval_over_seeds() -> None:
    arms = pair(ALL)
    short = compared("0-9", 9, metrics={"probe": 0.5}, items={"probe": np.ones(3)}, loss__temperature=0.2)
    arms = group([*arms[0].runs, short, *arms[1].runs])
    assert judge(arms, arms[0])["probe", "B"].method == "paired t"


def test_the_explanation_names_what_intervals_do_not_cover() -> None:
    assert "95 % Student-t interval" in EXPLANATION
    assert "Seeds: it does not cover the choice of test items or split." in EXPLANATION


def test_items_come_from_the_evaluation(tmp_path: Any) -> None:
    folder = RunFolder.create(tmp_path, tiny())
    shares = {"untrained": 0.5, "raw": 0.5, "untrained_validation": 0.5, "interval": [0.3, 0.9], "strength": 1.0}
    row = {"trained": 0.75, "validation": 0.9, **shares}
    probes = {
        "audio.mean_context": {**row, "correct": "1101"},
        "audio.mean_latent": {**row, "validation": 0.1, "correct": "0000"},
        "image.mean_context": {**row, "correct": "0111"},
    }
    folder.save_json("evaluation", {"run": folder.id, "test_items": 4, "probe": probes})
    found = load_compared(folder).items
    assert found["probe.audio.mean_context"].tolist() == [1, 1, 0, 1]
    assert found["probe"].tolist() == [0.5, 1, 0.5, 1]
    assert set(load_compared(folder).items) == {*(f"probe.{name}" for name in probes), "probe"}
    for correct in ("011", "01110"):  # other pictures than sounds: item 3 of both is no pair
        probes["image.mean_context"]["correct"] = correct
        folder.save_json("evaluation", {"run": folder.id, "test_items": 4, "probe": probes})
        assert set(load_compared(folder).items) == {f"probe.{name}" for name in probes}
    shared = {name: {**probe, "correct": probe["correct"][:4]} for name, probe in probes.items()}
    folder.save_json("evaluation", {"run": folder.id, "test_items": 9, "probe": shared})
    assert "probe" not in load_compared(folder).items, "as many sounds as pictures, which stand in several pairs"
    del probes["image.mean_context"]["correct"]
    folder.save_json("evaluation", {"run": folder.id, "test_items": 4, "probe": probes})
    assert "probe" not in load_compared(folder).items


ALL = {(arm, seed) for arm in range(2) for seed in range(5)}


def with_digests(arms: list[Arm], *digests: str) -> list[Arm]:
    """The arms, as if the runs of each had been measured on test items with this digest; "" where none is known."""
    runs = [
        replace(run, item_digests={"audio": digest} if digest else {})
        for arm, digest in zip(arms, digests, strict=True)
        for run in arm.runs
    ]
    return group(runs)


@pytest.mark.parametrize(
    ("digests", "other", "paired"),
    [
        (("same", "same"), {}, True),
        (("same", "same"), {"audio__sample_rate": 8000}, True),
        (("same", "other"), {}, False),
        (("same", "other"), {"audio__sample_rate": 8000}, False),
        (("same", "same"), {"data__seed": 3}, False),  # generated items have the same names
        (("", ""), {"audio__width": 24}, True),
        (("", ""), {"image__size": 96}, True),  # of sounds no setting of pictures decides what they are
        (("", ""), {"audio__sample_rate": 8000}, False),
        (("", "same"), {"audio__clip_seconds": 2.0}, False),
        (("", "same"), {}, True),
    ],
)
def test_only_the_same_items_are_paired(digests: tuple[str, str], other: dict[str, Any], paired: bool) -> None:
    arms = with_digests(pair(ALL, **other), *digests)
    verdict = judge(arms, arms[0])["probe", "B"]
    assert verdict.method.startswith("paired") == paired, verdict.method
    assert "items" in verdict.method


def test_runs_of_one_arm_on_other_items_leave_the_interval_over_seeds() -> None:
    arms = pair(ALL)
    runs = [replace(run, item_digests={"audio": str(run.seed == 3)}) for run in arms[0].runs]
    [arm] = group(runs)
    assert arm.items("probe") is None


def test_the_split_of_a_folder_can_change_with_the_size_of_pictures_and_the_evaluation_tells(tmp_path: Path) -> None:
    """Noisy copies are found at one size and not at the other."""
    draw = np.random.default_rng(1)
    for title in "ab":
        (tmp_path / "data" / title).mkdir(parents=True)
        for number in range(24):
            small = Image.fromarray(draw.integers(0, 255, (12, 12, 3), dtype=np.uint8))
            whole = small.resize((128, 128), Image.Resampling.BICUBIC)
            whole.save(tmp_path / "data" / title / f"{number}.png")
            noisy = np.asarray(whole).astype(float) + draw.normal(0, 10 + 4 * number, (128, 128, 3))
            copy = Image.fromarray(noisy.clip(0, 255).astype(np.uint8))
            copy.save(tmp_path / "data" / title / f"{number}_copy.jpg", quality=40)
    found = []
    for size in (32, 96):
        config = tiny(data__dataset="image_folder", data__path=str(tmp_path / "data"), image__size=size)
        folder = RunFolder.create(tmp_path / "runs", config)
        assert execute(folder, Control()).status == "finished"
        evaluate_run(folder)
        found.append(load_compared(folder))
    names = [load_dataset(run.config).test.names for run in found]
    assert names[0] != names[1]
    assert found[0].config.data == found[1].config.data
    assert not same_items((run.config, run.item_digests) for run in found)
    assert [dict(run.item_digests) for run in found] == [{"image": names_digest(part)} for part in names]
