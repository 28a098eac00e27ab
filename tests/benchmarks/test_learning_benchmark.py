"""Time to accuracy: a budget is kept, features are judged alike, and rows are stored, skipped and told."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor

from benchmarks import tables
from benchmarks.learning import __main__ as command
from benchmarks.learning import cpc_audio, tasks
from benchmarks.learning.clock import MOMENTS, Clock, train
from benchmarks.learning.jobs import KEY, Store, measure, plan, run
from benchmarks.learning.judge import judge
from benchmarks.learning.methods import TITLES, fitting, settings_of
from benchmarks.learning.ours import Ours
from benchmarks.learning.report import document
from cpc_engine.config import RunConfig
from cpc_engine.data.dataset import Split
from cpc_engine.errors import ConfigError, RunError
from cpc_engine.experiments.recipe import incomplete
from tests.support.tiny import CHANGES
from tests.support.tiny_data import TINY, dataset

SMALL = {path: value for path, value in CHANGES.items() if path != "data.dataset"}
SOUNDS = tasks.Task("small_tones", "tones", "reference_tones", None, SMALL, (0.01, 1.1))


class Time:
    """What a test has of the module `time`: sleep takes as long as it should, whatever else the machine does."""

    def __init__(self) -> None:
        self._now = 0.0

    def perf_counter(self) -> float:
        return self._now

    def sleep(self, seconds: float) -> None:
        self._now += seconds


@pytest.fixture
def time(monkeypatch: pytest.MonkeyPatch) -> Time:
    """The time of `benchmarks.learning.clock`."""
    found = Time()
    monkeypatch.setattr("benchmarks.learning.clock.time", found)
    return found


class Slow:
    """A learner whose steps take a given time each; its rate falls to 0 over the planned steps."""

    parameters = 0

    def __init__(self, time: Time, seconds: Callable[[int], float]) -> None:
        self.time, self.seconds, self.done, self.planned = time, seconds, 0, 0

    @property
    def rate(self) -> float:
        return 1 - self.done / self.planned

    def plan(self, steps: int) -> None:
        self.planned = steps

    def step(self) -> None:
        self.time.sleep(self.seconds(self.done))
        self.done += 1

    def features(self, split: Split) -> dict[str, Tensor]:
        raise NotImplementedError


@pytest.mark.parametrize("seconds", [lambda step: 0.01, lambda step: 0.005 if step < 30 else 0.015])
def test_a_budget_is_kept_and_the_rate_ends_with_it(time: Time, seconds: Callable[[int], float]) -> None:
    """Also where steps become three times as slow, and with looks that take longer than the training."""
    looks: list[float] = []

    def look(learner: object) -> float:
        time.sleep(0.3)
        looks.append(0.5)
        return 0.5

    found = train(lambda: Slow(time, seconds), 0.6, look)
    assert found.seconds == pytest.approx(0.6, rel=0.2)
    assert found.learner.rate < 0.1
    assert [share for share, *_ in found.moments] == sorted(share for share, *_ in found.moments)
    assert len(looks) == len(found.moments) == len(MOMENTS)
    assert found.moments[-1][:2] == (found.seconds, found.steps)


def test_making_a_learner_counts_and_nothing_is_trained_without_a_budget(time: Time) -> None:
    def slowly() -> Slow:
        time.sleep(0.2)
        return Slow(time, lambda step: 0.01)

    assert train(slowly, 0.3, lambda learner: 0.0).steps < 15
    untrained = train(slowly, 0.0, lambda learner: 0.0)
    assert (untrained.steps, untrained.moments) == (0, [])


def test_a_step_longer_than_the_budget_is_taken_once_and_has_all_moments(time: Time) -> None:
    found = train(lambda: Slow(time, lambda step: 0.1), 0.05, lambda learner: 0.0)
    assert found.steps == 1
    assert len(found.moments) == len(MOMENTS)


def test_a_stopped_clock_stands_still(time: Time) -> None:
    clock = Clock()
    with clock.stopped():
        time.sleep(0.1)
    assert clock.seconds < 0.05


@pytest.mark.timed
def test_ours_ends_its_learning_rate_with_the_budget() -> None:
    config = RunConfig().replace({**TINY, "data.dataset": "bars"})
    found = train(lambda: Ours(config, dataset(False, True)), 2.0, lambda learner: 0.0)
    assert found.steps > 4
    assert found.learner.rate < 0.3  # it started at 1 and ends at `optimizer.final_rate`
    assert set(found.learner.features(dataset(False, True).test)) >= {"mean_context", "mean_latent"}


def test_validation_chooses_and_digits_are_the_accuracy() -> None:
    data = dataset(False, True)
    config = RunConfig().replace({"evaluation.strengths": [0.1, 1.0]})

    def features(split: Split) -> dict[str, Tensor]:
        noise = torch.randn(len(split), 3, generator=torch.Generator().manual_seed(len(split)))
        return {"class": split.labels[:, None] + 0.01 * noise, "noise": noise}

    found = judge(features, data, config)
    assert found["class"]["test"] == found["class"]["knn_test"] == 1.0
    assert found["noise"]["test"] < 0.9
    for one in found.values():
        for accuracy, digits in (("test", "correct"), ("knn_test", "knn_correct")):
            assert one[digits].count("1") / len(data.test) == pytest.approx(one[accuracy])


def test_a_line_that_was_broken_off_is_no_row(tmp_path: Path) -> None:
    store = Store(tmp_path / "new" / "rows.jsonl")
    assert store.rows() == []
    store.append({"a": 1})
    with store.path.open("a") as file:
        file.write('{"a": 2, "b"')
    assert store.rows() == [{"a": 1}]
    store.append({"a": 3})
    assert store.rows() == [{"a": 1}, {"a": 3}]


def test_what_does_not_fit_or_does_not_exist_is_told() -> None:
    assert "simclr_equal" not in fitting(TITLES, SOUNDS)
    assert "cpc_audio" not in fitting(TITLES, tasks.TASKS["cifar10_two_class"])
    with pytest.raises(ConfigError, match="no method"):
        fitting(["simclr"], SOUNDS)
    with pytest.raises(ConfigError, match="no data set"):
        tasks.task_of("cifar", Path())
    with pytest.raises(ConfigError, match="pairs"):
        tasks.task_of("paired_folders=somewhere", Path())


def test_runs_are_of_the_same_data_and_told_apart_by_their_settings() -> None:
    reference, own = SOUNDS.configuration("reference_tones"), SOUNDS.own()
    assert reference.data == own.data
    assert reference.audio.sample_rate == own.audio.sample_rate
    assert reference.sampler.mode == "reference"
    louder = replace(SOUNDS, changes={**SOUNDS.changes, "audio.gain_db": 9.0})
    longer = replace(SOUNDS, changes={**SOUNDS.changes, "optimizer.steps": 9})
    fewer = replace(SOUNDS, changes={**SOUNDS.changes, "data.train_items": 48})
    for method in ("ours", "reference", "cpc_audio"):
        assert (settings_of(method, louder) == settings_of(method, SOUNDS)) == (method != "ours")
        assert settings_of(method, longer) == settings_of(method, SOUNDS)  # the budget decides
        assert settings_of(method, fewer) != settings_of(method, SOUNDS)


def test_the_first_seed_comes_first_and_what_is_not_trained_comes_once() -> None:
    jobs = plan(SOUNDS, ["ours", "untrained", "baselines"], [1.0, 2.0], range(2), 1)
    assert [(job.seed, job.method, job.budget) for job in jobs[:4]] == [
        (0, "untrained", 0),
        (0, "baselines", 0),
        (0, "ours", 1),
        (0, "ours", 2),
    ]
    assert len(jobs) == len({job.key for job in jobs}) == 8
    assert jobs[4].config.run.seed == 1


@pytest.mark.parametrize("method", ["simclr_equal", "moco_equal", "reference", "ours:image_folder"])
def test_a_run_on_pictures_gives_a_whole_row(method: str) -> None:
    task = tasks.Task("bars", "cifar10", "reference_cifar10", None, {**SMALL, "data.dataset": "bars"})
    (job,) = plan(task, [method], [0.5], [3], torch.get_num_threads())
    row = run(job)
    assert tuple(row[name] for name in KEY) == job.key
    assert row["steps"] > 0
    assert row["parameters"] > 0
    assert row["gflop"] > 0
    assert row["test_items"] == 32
    for one in row["features"].values():
        assert 0 <= one["validation"] <= 1
        assert len(one["correct"]) == len(one["knn_correct"]) == 32
    json.dumps(row)


@pytest.fixture(scope="module")
def measured(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Path, list[str]]]:
    """Rows of two seeds of what is fast, broken off after the first and taken up again; and what was said."""
    path, said = tmp_path_factory.mktemp("learning") / "rows.jsonl", []
    few = plan(SOUNDS, ["untrained"], [], range(1), 1)
    assert measure(few, Store(path), 1, said.append) == []
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(command, "TASKS", {SOUNDS.name: SOUNDS})
        patch.setattr(tasks, "TASKS", {SOUNDS.name: SOUNDS})
        options = ["--rows", str(path), "--sets", SOUNDS.name, "--budgets", "3", "--threads", "1", "--workers", "2"]
        assert command.main([*options, "--methods", "ours,untrained", "--seeds", "2"]) == 0
        assert command.main([*options, "--methods", "cpc_audio,baselines", "--seeds", "1"]) == 0
        yield path, said


@pytest.mark.slow
@pytest.mark.timed
def test_rows_are_stored_skipped_and_complete(measured: tuple[Path, list[str]]) -> None:
    path, _ = measured
    rows = Store(path).rows()
    assert len(rows) == len({tuple(row[name] for name in KEY) for row in rows}) == 6
    for row in rows:
        assert row["source"]["versions"]["lightly"]
        assert row["source"]["device"]["threads"] == 1
        for one in row["features"].values():
            assert len(one["correct"]) == row["test_items"] == 32
        if row["method"] == "ours":
            assert row["seconds"] == pytest.approx(3, rel=0.2)
        if row["budget"]:
            assert [one["steps"] for one in row["moments"]][-1] == row["steps"] > 0
    said: list[str] = []
    jobs = plan(SOUNDS, ["ours", "untrained"], [3.0], range(2), 1)
    assert measure(jobs, Store(path), 1, said.append) == []
    assert said == ["4 runs, 4 of them stored already"]
    assert Store(path).rows() == rows


@pytest.mark.slow
@pytest.mark.timed  # with those that limit a time: of the same rows, which are made once
def test_a_report_has_intervals_differences_and_a_recipe(measured: tuple[Path, list[str]], tmp_path: Path) -> None:
    path, _ = measured
    out = tmp_path / "learning.json"
    assert command.main(["--rows", str(path), "--sets", SOUNDS.name, "--report", "--out", str(out)]) == 0
    found: dict[str, Any] = json.loads(out.read_text())
    assert incomplete(found["recipe"]) == []
    assert set(found["recipe"]["configs"]) == {"small_tones: ours", "small_tones: untrained"}
    assert found["recipe"]["parameters"]["cpc_audio"] == cpc_audio.PARAMETERS
    assert str(path.parent) not in out.read_text()
    assert found["command"].endswith("--budgets 3 --seeds 2 --threads 1")
    one = found["tasks"]["small_tones"]
    assert list(one["methods"]) == ["ours", "cpc_audio", "untrained", "baselines"]
    rows = [row for row in Store(path).rows() if row["method"] == "ours"]
    best = [max(row["features"].values(), key=lambda feature: feature["validation"]) for row in rows]
    (cell,) = one["methods"]["ours"]["cells"]
    assert cell["probe"]["mean"] == pytest.approx(np.mean([feature["test"] for feature in best]))
    assert cell["probe"]["covers"] == "seeds × items"
    assert one["methods"]["cpc_audio"]["cells"][0]["ours_minus"]["n"] == 1
    assert one["bars"] == {"1%": {**dict.fromkeys(("untrained", "baselines")), "ours": 3.0, "cpc_audio": 3.0}} | {
        "110%": dict.fromkeys(one["methods"])
    }
    assert out.with_suffix(".svg").read_text().lstrip().startswith("<?xml")
    words = tables.section(tmp_path)
    assert "Who learns what, in how many seconds?" in words
    assert "(n = 2)" in words
    assert "benchmarks/results/learning.svg" in words


@pytest.mark.slow
@pytest.mark.timed  # as above
def test_runs_with_other_settings_are_left_out_and_told(measured: tuple[Path, list[str]]) -> None:
    rows = Store(measured[0]).rows()
    louder = replace(SOUNDS, changes={**SOUNDS.changes, "audio.gain_db": 9.0})
    found, told = document([louder], rows)
    assert "ours" not in found["tasks"]["small_tones"]["methods"]
    assert len(told) == 1
    assert "other settings" in told[0]
    with pytest.raises(RunError, match="changed between runs"):
        document([SOUNDS], [*rows[:-1], {**rows[-1], "fingerprint": "other"}])
    with pytest.raises(RunError, match="measure first"):
        document([SOUNDS], [])


@pytest.mark.slow
def test_a_run_that_fails_is_told_and_not_stored(tmp_path: Path) -> None:
    empty = tmp_path / "empty"
    empty.mkdir()
    task = tasks.task_of(f"image_folder={empty}", Path())
    said: list[str] = []
    failed = measure(plan(task, ["untrained"], [], range(1), 1), Store(tmp_path / "rows.jsonl"), 1, said.append)
    assert len(failed) == 1
    assert "no files in" in failed[0]
    assert Store(tmp_path / "rows.jsonl").rows() == []
