"""Sweeps: every trial an ordinary run, interrupted ones go on, and what they find is said honestly."""

from __future__ import annotations

import json
import os
import signal
import statistics
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from cpc_engine.cli import main
from cpc_engine.errors import ConfigError, StorageError
from cpc_engine.storage.folder import RunFolder
from cpc_engine.storage.listing import list_runs
from cpc_engine.sweeps.results import Row, best_setting, document, expected_maximum, importance, optimism, rows
from cpc_engine.sweeps.space import Space
from cpc_engine.sweeps.study import Spec, open_study, slots, storage_url
from cpc_engine.sweeps.worker import Worker
from tests.support import postgres
from tests.support.forks import Fork
from tests.support.paths import REPOSITORY
from tests.support.tiny import CHANGES, tiny, wait_until

pytest.importorskip("optuna")
GRID = Space.of_grid(["loss.temperature=0.1,0.3", "sampler.queue_size=0,64"])
QUICK: dict[str, Any] = {"optimizer__steps": 4, "evaluation__every": 2}


def begun(root: Path, spec: Spec, name: str = "s") -> tuple[Any, Spec, str]:
    url = storage_url(root, name, None)
    return (*open_study(url, name, spec), url)


def test_every_trial_is_an_ordinary_run(tmp_path: Path) -> None:
    spec = Spec(tiny(**QUICK), GRID, 4, 2, "spread", None)
    study, _, url = begun(tmp_path, spec)
    assert [row.status for row in rows(study, spec, tmp_path)] == ["waiting"] * 8
    assert document(study, spec, tmp_path)["best"] is None
    Worker(url, "s", tmp_path).work()
    found = rows(study, spec, tmp_path)
    assert [(row.slot, row.seed, row.status) for row in found] == [
        (slot, seed, "finished") for slot in range(4) for seed in range(2)
    ]
    for row in found:
        config = RunFolder(tmp_path / str(row.run)).config()
        assert config.flat() | row.settings == config.flat()
        assert (config.run.seed, config.run.threads) == (row.seed, 1)
        assert row.value == RunFolder(tmp_path / str(row.run)).records()[-1]["geometry"]["spread"]
    assert len(list_runs(tmp_path)) == 8
    best = best_setting(found, spec, tmp_path)
    assert best is not None
    means = [statistics.fmean(row.value or 0 for row in found if row.slot == slot) for slot in range(4)]
    assert (best.slot, best.value, best.of) == (means.index(max(means)), max(means), 4)
    assert best.half_width is not None
    assert "the best of 4 equally good settings would look better than it is by" in best.sentence()
    shares = importance(study)
    assert set(shares) <= {"loss.temperature", "sampler.queue_size"}
    Worker(url, "s", tmp_path).work()  # nothing is left
    assert len(list_runs(tmp_path)) == 8


def test_a_sweep_takes_no_run_of_the_same_name_with_other_settings(tmp_path: Path) -> None:
    space = Space.of_grid(["loss.temperature=0.1"])
    for storage, steps in (("first", 4), ("second", 4), ("third", 5)):  # a new storage forgets which runs there are
        spec = Spec(tiny(**{**QUICK, "optimizer__steps": steps}), space, 1, 1, "spread", None)
        url = storage_url(tmp_path, storage, None)
        study, _ = open_study(url, "s", spec)
        Worker(url, "s", tmp_path).work()
        [row] = rows(study, spec, tmp_path)
        assert RunFolder(tmp_path / str(row.run)).config().optimizer.steps == steps
    assert sorted(run.steps for run in list_runs(tmp_path)) == [4, 5], "the second sweep is the first one's"


def test_probes_choose_on_validation_items_and_are_told_on_test_items(tmp_path: Path) -> None:
    spec = Spec(tiny(optimizer__steps=2), Space.of_grid(["loss.temperature=0.1,0.3"]), 2, 1)
    study, _, url = begun(tmp_path, spec)
    Worker(url, "s", tmp_path).work()
    found = document(study, spec, tmp_path)
    evaluations = [RunFolder(tmp_path / trial["run"]).json("evaluation") for trial in found["trials"]]
    chosen = [evaluation["probe"][evaluation["chosen_feature"]["audio"]] for evaluation in evaluations]
    assert [trial["value"] for trial in found["trials"]] == [row["validation"] for row in chosen]
    best = found["best"]
    assert best["test"] == chosen[best["slot"]]["trained"]
    assert best["optimism"] is None
    assert ("no difference" if best["tied"] else "give --seeds") in best["sentence"]


def test_a_stopped_sweep_goes_on_where_it_was(tmp_path: Path) -> None:
    spec = Spec(tiny(optimizer__steps=8, run__checkpoint_every=2), Space.of_grid(["loss.temperature=0.1,0.3"]), 2, 1)
    spec = Spec(spec.config, spec.space, 2, 1, "spread")
    study, _, url = begun(tmp_path, spec)
    questions = iter(range(10))
    Worker(url, "s", tmp_path, alive=lambda: next(questions, 10) < 6).work()
    left = slots(study)
    assert {trial.state.name for trial in left.values()} == {"WAITING"}
    [half] = list_runs(tmp_path)
    assert half.status == "stopped"
    Worker(url, "s", tmp_path).work()
    assert [row.status for row in rows(study, spec, tmp_path)] == ["finished", "finished"]
    assert half.id in [row.run for row in rows(study, spec, tmp_path)]
    assert [event["kind"] for event in RunFolder(tmp_path / half.id).events()] == ["resume"]
    assert len(list_runs(tmp_path)) == 2


@pytest.mark.parametrize(
    ("values", "says", "tied"),
    [
        ({0: [0.5, 0.7]}, "the only setting whose runs have all ended", 0),
        ({0: [0.5, 0.7], 1: [0.7, 0.5]}, "no difference: 2 of 2 settings have this value", 1),
        ({0: [0.5, 0.7], 1: [0.9, 0.5]}, "the best of 2 equally good settings would look better", 0),
    ],
)
def test_a_tie_and_a_winner_without_rivals_are_told(
    values: dict[int, list[float]], says: str, tied: int, tmp_path: Path
) -> None:
    spec = Spec(tiny(**QUICK), GRID, 4, 2, "spread", None)
    table = [
        Row(slot, f"r-{slot}-{seed}", {"loss.temperature": 0.1 + slot}, seed, "finished", value)
        for slot, found in values.items()
        for seed, value in enumerate(found)
    ]
    best = best_setting(table, spec, tmp_path)
    assert best is not None
    assert best.tied == tied
    assert says in best.sentence()


@pytest.mark.filterwarnings("ignore:Heartbeat of storage")
def test_a_trial_that_was_given_up_but_not_queued_again_is_taken_up(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As between the two steps of another machine that has found a worker gone, or after it was killed there."""
    from optuna.trial import TrialState

    monkeypatch.setattr("cpc_engine.sweeps.worker.POLL", 0.05)
    spec = Spec(tiny(), Space.of_grid(["loss.temperature=0.1,0.3"]), 2, 1, "spread")
    study, _, url = begun(tmp_path, spec)
    study.tell(study.ask(), state=TrialState.FAIL)  # before it has read what to try
    assert [trial.state.name for trial in slots(study).values()] == ["FAIL", "WAITING"]
    Worker(url, "s", tmp_path).work()
    found = rows(study, spec, tmp_path)
    assert [row.status for row in found] == ["finished", "finished"]
    assert [row.settings["loss.temperature"] for row in found] == [0.1, 0.3], "no cell of the grid is drawn"


def test_tpe_draws_as_many_settings_as_were_asked_for(tmp_path: Path) -> None:
    space = Space.of_document({"loss.temperature": {"low": 0.05, "high": 1, "log": True}})
    spec = Spec(tiny(optimizer__steps=1), space, 3, 1, "spread")
    study, _, url = begun(tmp_path, spec)
    Worker(url, "s", tmp_path).work()
    found = rows(study, spec, tmp_path)
    assert len({row.settings["loss.temperature"] for row in found}) == 3
    assert len(list_runs(tmp_path)) == 3


RANGES = {
    name: {"low": 1e-4, "high": 1e-2, "log": True} for name in ("optimizer.learning_rate", "optimizer.weight_decay")
}


def drawn_by(workers: int, root: Path) -> list[dict[str, Any]]:
    """The settings that TPE draws, by slot, where all workers look for their first trial before one has taken any."""
    spec = Spec(tiny(optimizer__steps=1), Space.of_document(RANGES), 4, 1, "spread")
    study, _, url = begun(root, spec)
    together = threading.Barrier(workers)

    class Waits(Worker):
        def __init__(self) -> None:
            super().__init__(url, "s", root)
            optimize, self._study.optimize = self._study.optimize, self.first  # type: ignore[method-assign]
            self._optimize = optimize

        def first(self, *given: Any, **named: Any) -> None:
            self._study.optimize = self._optimize  # type: ignore[method-assign]
            together.wait(60)
            self._optimize(*given, **named)

    made = [Waits() for _ in range(workers)]
    with ThreadPoolExecutor(workers) as threads:
        for done in [threads.submit(worker.work) for worker in made]:
            done.result()
    found = rows(study, spec, root)
    assert [(row.slot, row.status) for row in found] == [(slot, "finished") for slot in range(4)]
    return [row.settings for row in found]


def test_workers_draw_different_settings_and_the_same_ones_however_many_they_are(tmp_path: Path) -> None:
    alone = drawn_by(1, tmp_path / "1")
    assert len({json.dumps(settings) for settings in alone}) == 4
    assert drawn_by(3, tmp_path / "3") == alone


def test_runs_that_fall_behind_are_pruned_and_told(tmp_path: Path) -> None:
    """Five good settings, then one whose latents collapse: it ends at an early measurement."""
    rates = ",".join(["1e-3", "1.1e-3", "1.2e-3", "1.3e-3", "1.4e-3", "1e-8"])
    space = Space.of_grid([f"optimizer.learning_rate={rates}"])
    spec = Spec(tiny(optimizer__steps=60, evaluation__every=10), space, 6, 2, "effective_rank", "spread")
    study, _, url = begun(tmp_path, spec)
    Worker(url, "s", tmp_path).work()
    found = rows(study, spec, tmp_path)
    pruned = [row for row in found if row.status == "pruned"]
    for row in pruned:
        assert (row.seed, row.value) == (0, None)
        assert "worse than the median of the others at step" in row.message
        assert RunFolder(tmp_path / str(row.run)).info().status == "stopped"
    statuses = {trial.state.name for trial in slots(study).values()}
    assert statuses == {"COMPLETE", "PRUNED"}
    best = best_setting(found, spec, tmp_path)
    assert best is not None
    assert best.slot not in [row.slot for row in pruned]


@pytest.mark.parametrize("metric", ["spread", "uniformity", "image.alignment_2", "retrieval_class"])
def test_metrics_of_sounds_and_pictures_decide(tmp_path: Path, metric: str) -> None:
    config = tiny(data__dataset="tones_bars", optimizer__steps=1)
    spec = Spec(config, Space.of_grid(["loss.temperature=0.1"]), 1, 1, metric)
    study, _, url = begun(tmp_path, spec)
    Worker(url, "s", tmp_path).work()
    [row] = rows(study, spec, tmp_path)
    geometry = RunFolder(tmp_path / str(row.run)).records()[-1]["geometry"]
    both = [geometry[name] for name in (f"audio.{metric}", f"image.{metric}") if metric == "spread"]
    assert (row.status, row.value) == ("finished", statistics.fmean(both) if both else geometry[metric])


def test_runs_on_sounds_and_pictures_are_pruned_by_what_each_modality_has(tmp_path: Path) -> None:
    config = tiny(data__dataset="tones_bars", optimizer__steps=4, evaluation__every=1)
    spec = Spec(config, Space.of_grid(["loss.temperature=0.1,0.3"]), 2, 1, "alignment", "spread")
    _, _, url = begun(tmp_path, spec)
    Worker(url, "s", tmp_path).work()
    study, _ = open_study(url, "s")
    for trial in slots(study).values():
        records = RunFolder(tmp_path / trial.user_attrs["run 0"]).records()
        means = {r["step"]: statistics.fmean(r["geometry"][f"{m}.spread"] for m in ("audio", "image")) for r in records}
        # Lower alignment is better and higher spread: Optuna is told the spread with the other sign.
        assert {step: -value for step, value in trial.intermediate_values.items()} == pytest.approx(means)


@pytest.mark.parametrize(
    ("data", "changes", "name"),
    [
        ("tones", {}, "retrieval_class"),
        ("tones", {}, "audio.spread"),
        ("cifar10", {}, "modality_gap"),
        ("tones_bars", {}, "queue_drift"),
        ("tones", {"context.horizons": [1, 2]}, "alignment_4"),
    ],
)
@pytest.mark.parametrize("option", ["--metric", "--prune"])
def test_what_no_run_would_have_is_refused_before_anything_is_trained(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], option: str, data: str, changes: dict[str, Any], name: str
) -> None:
    sets = [f"--set={path}={json.dumps(value)}" for path, value in changes.items()]
    command = ["sweep", "s", "--preset", data, *sets, "--grid", "loss.temperature=0.1,0.3", option, name]
    assert main([*command, "--runs", str(tmp_path)]) == 2
    assert f"{name} is not measured with these data and settings (probe, alignment, " in capsys.readouterr().err
    assert list_runs(tmp_path) == []
    with pytest.raises(ConfigError, match="there is no sweep"):
        open_study(storage_url(tmp_path, "s", None), "s")


def test_a_metric_that_some_settings_of_a_sweep_lack_is_refused(tmp_path: Path) -> None:
    """Also where the settings themselves decide: one without a queue, or other data."""
    for assignments, metric in (
        (["sampler.queue_size=64,0"], "queue_drift"),
        (["data.dataset=tones_bars,tones"], "modality_gap"),
    ):
        with pytest.raises(ConfigError, match=f"{metric} is not measured"):
            begun(tmp_path, Spec(tiny(), Space.of_grid(assignments), 2, 1, metric))
    for ranges in ({"sampler.queue_size": {"low": 64, "high": 128}}, {"sampler.queue_size": [64, 128]}):
        Spec(tiny(), Space.of_document(ranges), 2, 1, "queue_drift").check()


@pytest.mark.parametrize("every", [0, 3, 4])
def test_pruning_without_a_measurement_on_the_way_is_refused(every: int) -> None:
    spec = Spec(tiny(optimizer__steps=3, evaluation__every=every), GRID, 4, 1, "probe", "spread")
    with pytest.raises(ConfigError, match="nothing is pruned"):
        spec.check()


def test_a_failed_run_is_told_and_the_others_go_on(tmp_path: Path) -> None:
    space = Space.of_grid(["context.horizons=2;60"])  # the sequence is shorter than 60
    spec = Spec(tiny(optimizer__steps=1), space, 2, 1, "spread")
    study, _, url = begun(tmp_path, spec)
    Worker(url, "s", tmp_path).work()
    good, bad = rows(study, spec, tmp_path)
    assert (good.status, bad.status) == ("finished", "failed")
    assert "no horizon" in bad.message


def test_settings_that_do_not_fit_together_are_told_and_those_drawn_twice_count_once(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def here(url: str, name: str, root: Path, workers: int, look: Callable[[], None], cluster: None) -> None:
        Worker(url, name, root).work()
        look()

    monkeypatch.setattr("cpc_engine.sweeps.launch.run_workers", here)
    config = tiny(data__dataset="bars", image__size=48, optimizer__steps=1)
    space = Space.of_document({"image.size": [48, 64], "image.grid": [4, 3]})  # 64 is no multiple of 3
    begun(tmp_path, Spec(config, space, 8, 2, "spread"))
    assert main(["sweep", "s", "--runs", str(tmp_path), "--json"]) == 1
    said = capsys.readouterr()
    found = json.loads(said.out)
    misfits = [trial for trial in found["trials"] if trial["settings"] == {"image.size": 64, "image.grid": 3}]
    trained = [trial for trial in found["trials"] if trial not in misfits]
    assert misfits
    assert len(trained) + 2 * len(misfits) == 16
    for trial in misfits:
        assert (trial["run"], trial["status"], trial["seed"], trial["value"]) == (None, "failed", 0, None)
        assert "size 64 must be a multiple of grid 3" in trial["message"]
    assert {(trial["status"], trial["message"]) for trial in trained} == {("finished", "")}
    means: dict[str, list[float]] = {}
    for trial in trained:
        means.setdefault(json.dumps(trial["settings"]), []).append(trial["value"])
    assert found["best"]["of"] == len(means) < len(trained) // 2, "some were drawn twice"
    assert found["best"]["tied"] == 0
    assert found["best"]["value"] == pytest.approx(max(map(statistics.fmean, means.values())))
    assert said.err.count("must be a multiple of grid 3") == len(misfits)
    assert main(["sweep", "s", "--runs", str(tmp_path)]) == 1
    assert "must be a multiple of grid 3" in capsys.readouterr().out


@pytest.mark.filterwarnings("ignore:Heartbeat of storage")
def test_what_was_given_up_and_not_queued_again_yet_waits(tmp_path: Path) -> None:
    from optuna.trial import TrialState

    study, spec, _ = begun(tmp_path, Spec(tiny(), Space.of_document(RANGES), 2, 2, "spread"))
    study.tell(study.ask(), state=TrialState.FAIL)
    assert [(row.slot, row.seed, row.status) for row in rows(study, spec, tmp_path)] == [
        (slot, seed, "waiting") for slot in range(2) for seed in range(2)
    ]


def test_what_failed_is_tried_again_when_the_sweep_is_called_again(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """As where the data were on a disk that was not there."""
    data, runs = tmp_path / "pictures", tmp_path / "runs"
    config = tiny(data__dataset="image_folder", data__path=str(data), data__train_items=0, optimizer__steps=1)
    spec = Spec(config, Space.of_grid(["loss.temperature=0.1,0.3"]), 2, 1, "spread")
    study, _, url = begun(runs, spec)
    Worker(url, "s", runs).work()
    assert [row.status for row in rows(study, spec, runs)] == ["failed", "failed"]
    rng = np.random.default_rng(0)
    for number in range(48):
        path = data / ("a" if number % 2 else "b") / f"{number}.png"
        path.parent.mkdir(parents=True, exist_ok=True)
        Image.fromarray(rng.integers(0, 255, (32, 32, 3), dtype=np.uint8)).save(path)
    assert main(["sweep", "s", "--runs", str(runs)]) == 0
    assert "2 that failed before: tried again" in capsys.readouterr().err
    found = rows(study, spec, runs)
    assert [row.status for row in found] == ["finished", "finished"]
    assert [row.settings["loss.temperature"] for row in found] == [0.1, 0.3]


def test_a_sweep_is_made_once_and_joined_by_the_same_settings_only(tmp_path: Path) -> None:
    spec = Spec(tiny(), GRID, 4, 1, "spread")
    study, stored, url = begun(tmp_path, spec)
    assert stored == spec
    again, _ = open_study(url, "s", spec)
    assert len(slots(again)) == len(slots(study)) == 4
    with pytest.raises(ConfigError, match="was started with other settings"):
        open_study(url, "s", Spec(tiny(), GRID, 4, 2, "spread"))
    with pytest.raises(ConfigError, match="there is no sweep 'other'"):
        open_study(url, "other")


def test_what_cannot_be_a_sweep_is_told(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    for metric in ("loss", "knn", "probe.mean_context"):
        with pytest.raises(ConfigError, match="cannot decide a sweep"):
            Spec(tiny(), GRID, 4, 1, metric)
    with pytest.raises(ConfigError, match="prune by another"):
        Spec(tiny(), GRID, 4, 1, "spread", "probe")
    with pytest.raises(ConfigError, match="cannot be the name"):
        storage_url(tmp_path, "../x", None)
    with pytest.raises(StorageError, match="cannot be used"):
        open_study("postgresql+psycopg://nobody@127.0.0.1:1/none", "s")
    runs = ["--runs", str(tmp_path)]
    for options, says in (
        (["--preset", "tones"], "give --grid"),
        (["--grid", "loss.temperature=1"], "--grid: only with --preset"),
        (["--preset", "tones", "--space", "/nowhere.json", "--trials", "2"], "cannot read /nowhere.json"),
        (["--preset", "tones", "--grid", "loss.temperature=1", "--trials", "2"], "this grid has 1"),
        (["--preset", "tones", "--grid", "sampler.sigma=0.1,0.2"], "sampler.sigma would change nothing in this sweep"),
        (["--workers", "0"], "at least one worker"),
        ([], "there is no sweep"),
    ):
        assert main(["sweep", "x", *options, *runs]) == 2
        assert says in capsys.readouterr().err


@pytest.mark.parametrize(
    "options",
    [
        ["--seeds", "3"],
        ["--seeds", "0"],
        ["--metric", "probe"],
        ["--prune", "spread"],
        ["--data", "."],
        ["--trials", "4"],
        ["--set", "loss.temperature=0.5"],
        ["--grid", "loss.temperature=0.5"],
        ["--space", "space.json"],
        ["--seeds", "3", "--metric", "spread"],
    ],
)
def test_a_sweep_that_goes_on_takes_no_other_settings(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], options: list[str]
) -> None:
    begun(tmp_path, Spec(tiny(**QUICK), GRID, 4, 2, "spread"))
    assert main(["sweep", "s", *options, "--runs", str(tmp_path)]) == 2
    assert f"{' and '.join(options[::2])}: only with --preset" in capsys.readouterr().err


def test_a_new_sweep_has_one_seed_and_is_decided_by_the_probe(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("cpc_engine.sweeps.launch.run_workers", lambda *_, **__: None)
    command = ["sweep", "s", "--preset", "tones", "--grid", "loss.temperature=0.1", "--runs", str(tmp_path)]
    assert main([*command, "--seeds", "0"]) == 2, "0 is not taken for the usual number"
    main(command)
    _, spec = open_study(storage_url(tmp_path, "s", None), "s")
    assert (spec.seeds, spec.metric) == (1, "probe")


def test_cells_that_are_the_same_are_trained_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("cpc_engine.sweeps.launch.run_workers", lambda *_, **__: None)
    grid = ["--grid", "sampler.perturbed=off,on", "--grid", "sampler.sigma=0.1,0.2,0.4"]
    assert main(["sweep", "s", "--preset", "tones", *grid, "--runs", str(tmp_path)]) == 1  # none has been trained
    study, spec = open_study(storage_url(tmp_path, "s", None), "s")
    cells = [trial.system_attrs["fixed_params"] for trial in slots(study).values()]
    assert [(cell["sampler.perturbed"], cell["sampler.sigma"]) for cell in cells] == [
        ("off", 0.1),
        ("on", 0.1),
        ("on", 0.2),
        ("on", 0.4),
    ]
    assert spec.trials == 4


def test_a_sweep_of_an_earlier_version_with_a_setting_that_nothing_reads_goes_on(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    space = Space.of_grid(["sampler.sigma=0.1,0.2"])
    spec = Spec(tiny(**QUICK), space, 2, 1, "spread")
    with pytest.raises(ConfigError, match="would change nothing"):
        begun(tmp_path, spec)
    with monkeypatch.context() as earlier:
        earlier.setattr(Space, "check", lambda space, base: space.cells())
        _, _, url = begun(tmp_path, spec)
    study, stored = open_study(url, "s")
    assert stored == spec
    Worker(url, "s", tmp_path).work()
    assert [row.status for row in rows(study, spec, tmp_path)] == ["finished"] * 2


def test_the_expected_maximum_is_that_of_draws() -> None:
    draws = np.random.default_rng(0).normal(size=(100_000, 12))
    for n in (2, 5, 12):
        assert expected_maximum(n) == pytest.approx(draws[:, :n].max(1).mean(), abs=0.02)


def test_optimism_is_what_equal_settings_show() -> None:
    """Of 20 equally good settings at 3 seeds the best looks better by this much on average."""
    generator = np.random.default_rng(1)
    gains, told = [], []
    for _ in range(400):
        values = 0.8 + 0.05 * generator.normal(size=(20, 3))
        gains.append(values.mean(1).max() - 0.8)
        told.append(optimism(values.tolist()))
    assert np.mean(told) == pytest.approx(np.mean(gains), rel=0.03)  # type: ignore[arg-type]


@pytest.fixture(params=["file", "postgresql"])
def storage(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[list[str]]:
    if request.param == "file":
        yield []
        return
    pytest.importorskip("psycopg")
    with postgres.server() as url:
        yield ["--storage", url]


def test_a_trial_is_taken_by_one_of_many_who_try_at_once(tmp_path: Path, storage: list[str]) -> None:
    from optuna.trial import TrialState

    url = storage_url(tmp_path, "s", storage[-1] if storage else None)
    study, _ = open_study(url, "s", Spec(tiny(), Space.of_document(RANGES), 10, 1, "spread"))
    numbers = [trial._trial_id for trial in study.get_trials(deepcopy=False)]
    workers: list[Any] = [study._storage, *(open_study(url, "s")[0]._storage for _ in range(3))]
    together = threading.Barrier(len(workers))

    def take(worker: Any) -> list[int]:
        took = []
        for number in numbers:
            together.wait(60)
            if worker.set_trial_state_values(number, TrialState.RUNNING):
                took.append(number)
        return took

    with ThreadPoolExecutor(len(workers)) as threads:
        taken = [number for took in threads.map(take, workers) for number in took]
    for worker in workers:
        worker._backend.engine.dispose()  # closes its connections
    assert sorted(taken) == numbers


@pytest.mark.slow
@pytest.mark.timeout(900)  # three processes import torch, one after the other
def test_two_machines_share_a_sweep_and_a_killed_worker_loses_nothing(tmp_path: Path, storage: list[str]) -> None:
    """Two command lines with one storage; the worker of one is killed in the middle of a run."""
    changes = CHANGES | {"optimizer.steps": 50, "run.checkpoint_every": 10, "evaluation.every": 25}
    changes.pop("data.dataset")
    sets = [f"--set={path}={value if isinstance(value, str) else json.dumps(value)}" for path, value in changes.items()]
    command = ["sweep", "shared", "--preset", "tones", *sets, *storage]
    command += ["--grid", "loss.temperature=0.1,0.2,0.3,0.4", "--metric", "spread", "--runs", str(tmp_path), "--json"]
    outputs = [tmp_path / name for name in ("one.json", "two.json")]

    def said() -> str:
        return "".join(
            output.read_text() + machine.err.read_text() for output, machine in zip(outputs, machines, strict=True)
        )

    machines = [Fork("cpc_engine", *command, place=REPOSITORY, out=output) for output in outputs]

    def under_way() -> RunFolder | None:
        assert all(machine.poll() is None for machine in machines), said()
        for info in list_runs(tmp_path):
            folder = RunFolder(tmp_path / info.id)
            if info.status == "running" and len(folder.records()) > 15:
                return folder
        return None

    try:
        victim: RunFolder = wait_until(under_way, "a run that has begun", 300)
        os.kill(victim.info().pid, signal.SIGKILL)
        codes = [machine.wait(timeout=500) for machine in machines]
    finally:
        for machine in machines:
            machine.kill()
    assert codes == [0, 0], said()
    for output in outputs:
        text = output.read_text()
        trials = json.loads(text[text.index("{\n") :])["trials"]  # notes on what has ended come first
        assert [trial["status"] for trial in trials] == ["finished"] * 4
        assert len({trial["run"] for trial in trials}) == 4
    assert len(list_runs(tmp_path)) == 4
    assert victim.info().status == "finished"
    assert "resume" in [event["kind"] for event in victim.events()]
    assert [record["step"] for record in victim.records()] == list(range(1, 51))
