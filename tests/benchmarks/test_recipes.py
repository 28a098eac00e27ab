"""Every benchmark that keeps results keeps their recipe, whatever it measured; the costly parts are left out here."""

from __future__ import annotations

import ast
import json
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from benchmarks import (
    anatomy,
    break_it,
    coverage,
    evaluate,
    false_alarms,
    folders,
    forks,
    leaks,
    loss,
    ordering,
    place,
    presets,
    scale,
    search,
    sweeps,
    training,
    typicality,
    ui,
    utilization,
    weight_snapshots,
)
from benchmarks.learning import __main__ as learning
from cpc_engine.evaluation.intervals import hierarchical_interval
from cpc_engine.execution.evaluate import evaluate_run
from cpc_engine.execution.execute import execute
from cpc_engine.experiments.recipe import incomplete, recipe
from cpc_engine.presets import PRESETS
from cpc_engine.storage.folder import RunFolder
from cpc_engine.training.control import Control
from tests.support.paths import REPOSITORY
from tests.support.tiny import CHANGES, tiny

SMALL = {path: value for path, value in CHANGES.items() if path != "data.dataset"}
Main = Callable[..., dict[str, Any]]


@pytest.fixture
def kept(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Main:
    """Run a benchmark's main with arguments; gives the recipe that it kept."""

    def call(main: Callable[[], None], *arguments: str) -> dict[str, Any]:
        out = tmp_path / "found.json"
        monkeypatch.setattr(sys, "argv", ["benchmark", *arguments, "--out", str(out)])
        main()
        found: dict[str, Any] = json.loads(out.read_text())["recipe"]
        assert incomplete(found) == []
        assert str(tmp_path) not in json.dumps(found)
        return found

    return call


def test_simulations_keep_their_parameters(kept: Main) -> None:
    assert kept(false_alarms.main, "--comparisons", "1")["parameters"]["comparisons"] == 1
    assert len(kept(coverage.main, "--draws", "2")["parameters"]["cases"]) == len(coverage.CASES)


def test_the_speed_of_training_keeps_presets_and_data(kept: Main, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(training, "configuration", lambda name: PRESETS[name].config().replace(SMALL))
    monkeypatch.setattr(utilization, "SIDE", 64)
    monkeypatch.setattr(training, "_shares", lambda *_, **__: {"sections_ms": {}, "loss_share": 0, "encoder_share": 0})
    found = kept(training.main, "--quick", "--presets", "tones,tones_bars")
    assert found["command"] == "python -m benchmarks.training --device cpu --quick --presets tones,tones_bars"
    assert {title: entry["preset"] for title, entry in found["configs"].items()} == {
        "tones": "tones",
        "tones_bars": "tones_bars",
    }
    assert found["data"].keys() == found["configs"].keys()
    assert found["data"]["tones"] != found["data"]["tones_bars"]


def test_trained_presets_keep_presets_and_data(kept: Main, monkeypatch: pytest.MonkeyPatch) -> None:
    small = {**SMALL, "evaluation.every": 1}
    monkeypatch.setattr(
        presets, "configuration", lambda name, data, seed: PRESETS[name].config().replace({**small, "run.seed": seed})
    )
    found = kept(presets.main, "--presets", "tones", "--seeds", "1")
    assert found["configs"]["tones"]["settings"]["optimizer"]["steps"] == 3
    assert set(found["data"]) == {"tones"}


def test_stored_runs_keep_their_settings(kept: Main, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    folder = RunFolder.create(tmp_path, tiny())
    execute(folder, Control())
    evaluate_run(folder)
    found = kept(typicality.main, "--run", str(folder.path), "--items", "4")
    assert found["configs"][folder.id]["settings"]["optimizer"]["steps"] == 3
    monkeypatch.setattr(place, "engine", lambda folder, count: {})
    monkeypatch.setattr(place, "command_line", lambda folder: {})
    monkeypatch.setattr(place, "text", lambda document: "")
    again = kept(place.main, "--run", str(folder.path))
    assert again["data"][folder.id] == found["data"][folder.id]
    assert place.TRAINS in again["configs"]


def test_tasks_of_folders_are_kept_by_name(kept: Main, monkeypatch: pytest.MonkeyPatch) -> None:
    def measure(name: str, *_: Any) -> dict[str, Any]:
        made = recipe("", {"arm": ("tones", tiny())}, {"arm": name})
        return {"recipe": {**made, "trained": [{"commit": "c"}]}}

    monkeypatch.setattr(folders, "measure", measure)
    monkeypatch.setattr(folders, "text", lambda document: "")
    found = kept(folders.main, "--tasks", "pictures,sounds")
    assert found["data"] == {"pictures": "pictures", "sounds": "sounds"}
    assert set(found["configs"]) == {"pictures", "sounds"}
    assert found["trained"] == [{"commit": "c"}]


def test_the_anatomy_of_an_anchor_keeps_its_own(kept: Main, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(anatomy, "measure", lambda *_: ({"prediction, audio": {"line-up": 3.0}}, "fingerprint"))
    found = kept(anatomy.main, "--preset", "tones")
    assert found["data"] == {"tones": "fingerprint"}
    assert found["parameters"] == {"changes": anatomy.CHANGES}


def test_forks_and_weight_snapshots_keep_theirs(kept: Main, monkeypatch: pytest.MonkeyPatch) -> None:
    row = {"verdicts": {}, "smallest_p": 0.5, "metrics": 3}
    monkeypatch.setattr(forks, "finish", lambda folder: folder)
    monkeypatch.setattr(forks, "comparison", lambda _, number: {"comparison": number, **row})
    assert kept(forks.main, "--comparisons", "2")["parameters"]["primary"] == forks.CHOSEN
    measured = {"percent": 0.1, "milliseconds": 1.0, "megabytes": 0.5}
    monkeypatch.setattr(weight_snapshots, "measure", lambda *_: measured)
    assert set(kept(weight_snapshots.main, "--steps", "20")["configs"]) == {"tones"}


def test_sweeps_keep_what_their_trials_train(kept: Main, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sweeps, "timed", lambda workers: 10.0 / workers)
    found = kept(sweeps.main, "--repeats", "1")
    assert found["command"] == "python -m benchmarks.sweeps --repeats 1"
    assert found["configs"]["tones"]["settings"]["optimizer"]["steps"] == 30


def test_what_breaks_training_keeps_controls_and_broken_runs(kept: Main, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(
        break_it, "measure", lambda arm, config: {"arm": arm, "seed": config.run.seed, "metrics": {}, "seconds": 1.0}
    )
    found = kept(break_it.main, "--seeds", "1", "--recipes", "temperature,sigma")
    assert list(found["configs"]) == ["sounds", "temperature", "noise", "sigma"]
    assert found["configs"]["sigma"]["changes"]["sampler.sigma"] == 0.01


def test_a_search_of_open_values_keeps_both_presets(kept: Main, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(search, "search", lambda *_: {})
    monkeypatch.setattr(search, "text", lambda document: "")
    found = kept(search.main, "--pairs", "tones_bars", "--trials", "2")
    assert set(found["configs"]) == {"tones_bars", "reference_tones_bars"}
    assert found["parameters"]["trials"] == 2
    for config in found["configs"].values():  # a preset that takes over what was found does not make the search stale
        assert set(search.RANGES) <= set(config["changes"])


def test_several_ranks_keep_settings_and_data_of_every_case(kept: Main, monkeypatch: pytest.MonkeyPatch) -> None:
    row = {"data": "fingerprint", "ms": 2.0, "cpu_ms": 1.0}
    monkeypatch.setattr(scale, "together", lambda *_: dict.fromkeys(scale.CASES, row))
    monkeypatch.setattr(scale, "text", lambda document: "")
    found = kept(scale.main, "--ranks", "1,2", "--repeats", "1")
    assert found["data"] == dict.fromkeys(scale.CASES, "fingerprint")
    assert found["configs"]["tones, d = 128"]["settings"]["context"]["latent_dim"] == 128


def test_the_loss_and_the_app_keep_theirs(kept: Main, monkeypatch: pytest.MonkeyPatch) -> None:
    for module in (loss, ui):
        monkeypatch.setattr(module, "text", lambda document: "")
    monkeypatch.setattr(loss, "run", lambda *_: {"rounds": 3, "sweep": [{"M": 8}], "command": "c"})
    assert kept(loss.main, "--shape", "3,5,8")["parameters"]["shape"] == "3,5,8"
    monkeypatch.setattr(ui, "run", lambda quick, work: {"command": "c"})
    found = kept(ui.main, "--quick")
    assert "streamlit" in found["versions"]
    assert found["configs"]["tones"]["changes"] == ui.ENDLESS


def test_these_are_all_that_keep_results() -> None:
    tested = {
        module.__name__
        for module in (
            anatomy,
            break_it,
            coverage,
            evaluate,
            false_alarms,
            folders,
            forks,
            leaks,
            learning,
            loss,
            ordering,
            place,
            presets,
            scale,
            search,
            sweeps,
            training,
            typicality,
            ui,
            weight_snapshots,
        )
    }
    keep = set()
    for path in (REPOSITORY / "benchmarks").rglob("*.py"):
        calls = [node.func for node in ast.walk(ast.parse(path.read_text())) if isinstance(node, ast.Call)]
        if any(isinstance(call, ast.Name) and call.id == "deliver" for call in calls):
            keep.add(".".join(path.relative_to(REPOSITORY).with_suffix("").parts))
    assert keep == tested


def test_coverage_of_the_nominal_interval() -> None:
    """The interval over seeds and items or folds holds the true accuracy; that over seeds alone far too seldom."""
    for seeds, count, items in coverage.SIZES:
        found = coverage.measure(coverage.Case("items differ", seeds, count, items, 0.8), 400)
        assert 0.92 <= found["hierarchical"]["share"] <= 0.985
        assert found["seeds_only"]["share"] < 0.88
        gap = coverage.measure(coverage.Case("items differ", seeds, count, items, 0.85, 0.8), 400)
        assert gap["hierarchical"]["share"] >= 0.93


def test_the_simulation_has_the_accuracy_it_says() -> None:
    import numpy as np

    draw = np.random.default_rng(0)
    for case in coverage.CASES[:5]:
        many = [coverage.draw_items(case, draw).mean() for _ in range(1500)]
        assert np.mean(many) == pytest.approx(case.accuracy, abs=0.012)
    table = coverage.draw_items(coverage.CASES[0], draw)
    assert hierarchical_interval({s: list(row) for s, row in enumerate(table)}).covers == "seeds × items"
