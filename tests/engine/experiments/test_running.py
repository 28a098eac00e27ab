"""Experiments from nothing to their report: runs that are reused, resumed, or fail."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from cpc_engine.data import load_dataset
from cpc_engine.evaluation.intervals import hierarchical_interval, mean_interval
from cpc_engine.experiments.items import unpack
from cpc_engine.experiments.recipe import differing, incomplete
from cpc_engine.experiments.results import values_of
from cpc_engine.experiments.runner import find_run, plan_runs
from cpc_engine.experiments.tables import interval
from cpc_engine.storage.folder import RunFolder
from tests.support.tiny_experiment import TINY, Run, read_csv


@pytest.fixture
def no_figures(monkeypatch: pytest.MonkeyPatch) -> None:
    """For tests that write several reports, whose figures take longer than the rest of them."""
    monkeypatch.setattr("cpc_engine.experiments.report.all_figures", lambda *_: [])


def test_a_tiny_experiment_from_nothing_to_its_report(run: Run, tmp_path: Path) -> None:
    code, out, err = run("keypad", "--seeds", "2", "--json")
    assert code == 0, err
    document = json.loads(out)
    folder = tmp_path / "checkpoints" / "experiments" / "keypad"
    assert document["folder"] == "checkpoints/experiments/keypad"
    for name in document["files"]:
        assert (folder / name).stat().st_size > 500, name
    assert {"results.json", "results.csv", "report.html", "curves.png", "maps.png", "probes.png"} == set(
        document["files"]
    )

    kept = json.loads((folder / "results.json").read_text())
    assert kept == {name: value for name, value in document.items() if name not in ("folder", "files")}
    assert [(row["arm"], row["seed"], row["status"]) for row in kept["runs"]] == [
        (arm, seed, "finished") for seed in (0, 1) for arm in ("pair", "no-pair")
    ]
    rows = {(row["run"], row["metric"]): float(row["value"]) for row in read_csv(folder)}
    expected = {(row["run"], name): value for row in kept["runs"] for name, value in row["metrics"].items()}
    assert rows == pytest.approx(expected)

    pair = kept["summary"]["pair"]
    for row in kept["runs"]:  # the report agrees with the evaluation of each run
        evaluation = RunFolder(folder / "runs" / row["run"]).json("evaluation")
        assert row["metrics"]["modality_gap"] == pytest.approx(evaluation["modality_gap"], rel=1e-5)
        for count in ("rank_items", "audio.rank_items", "retrieval_items"):
            assert row["metrics"][count] == evaluation[count], "not that of validation items, as in the records"
        assert row["metrics"]["audio.effective_rank"] <= row["metrics"]["audio.rank_items"] - 1
        feature = evaluation["chosen_feature"]["audio"]
        probe = evaluation["probe"][f"audio.{feature}"]
        assert row["metrics"]["chosen.audio"] == pytest.approx(probe["trained"], rel=1e-5)
    gaps = [row["metrics"]["modality_gap"] for row in kept["runs"]]
    assert values_of(pair, "modality_gap_ratio") == pytest.approx(
        {0: gaps[0] / gaps[1], 1: gaps[2] / gaps[3]}, rel=1e-4
    )
    mean, half = mean_interval([gaps[0], gaps[2]])
    assert (pair["modality_gap"]["mean"], pair["modality_gap"]["half"]) == pytest.approx((mean, half))
    best = max(value["mean"] for name, value in pair.items() if name.startswith("baseline.image."))
    assert pair["baseline.image"]["mean"] >= best - 1e-6

    recipe = kept["recipe"]
    assert set(recipe["configs"]) == set(recipe["data"]) == {"pair", "no-pair"}
    assert incomplete(recipe) == []
    assert len(recipe["trained"]) == 1
    planned = {run.arm: run.config for run in plan_runs(TINY, 1)}
    assert recipe["data"]["pair"] == load_dataset(planned["pair"]).fingerprint()
    assert differing(recipe, planned) == []
    assert str(tmp_path) not in json.dumps(kept)
    page = (folder / "report.html").read_text()
    assert "http://" not in page.replace("http://www.w3.org", "")
    assert page.count("data:image/png;base64,") == 3
    assert interval(pair, "retrieval_class") in page
    assert page.count(kept["command"]) == page.count("<h3>Made by</h3>") > 8
    assert kept["command"] == "python -m cpc_engine experiment keypad --seeds 2"
    for name in ("curves.png", "maps.png", "probes.png"):
        with Image.open(folder / name) as picture:
            assert len(np.unique(np.asarray(picture.convert("L")))) > 10  # something is drawn


@pytest.mark.usefixtures("no_figures")
def test_existing_runs_are_not_trained_again(run: Run, tmp_path: Path) -> None:
    assert run("keypad", "--arms", "pair", "--out", "report", "--seeds", "1")[0] == 0
    runs = tmp_path / "report" / "runs"
    (first,) = runs.iterdir()
    trained = (first / "weights.safetensors").stat().st_mtime_ns
    baselines = [path.stat().st_mtime_ns for path in (tmp_path / "report" / "baselines").iterdir()]
    code, out, _ = run("keypad", "--out", "report", "--seeds", "1", "--json")
    assert code == 0
    assert (first / "weights.safetensors").stat().st_mtime_ns == trained
    assert len(list(runs.iterdir())) == 2
    assert [path.stat().st_mtime_ns for path in (tmp_path / "report" / "baselines").iterdir()] == baselines  # shared
    assert json.loads(out)["runs"][0]["run"] == first.name
    (second,) = set(runs.iterdir()) - {first}
    RunFolder(second).update(status="failed", message="no space left on the disk")
    code, out, _ = run("keypad", "--out", "report", "--seeds", "1", "--report-only", "--json")
    assert code == 1
    assert [row["status"] for row in json.loads(out)["runs"]] == ["finished", "failed"]
    assert run("keypad", "--out", "report", "--seeds", "1")[0] == 0
    assert not second.exists()  # the failed run was started again


def test_an_interrupted_run_is_resumed(run: Run, tmp_path: Path) -> None:
    (planned,) = plan_runs(TINY, 1, ["pair"])
    folder = RunFolder.create(tmp_path / "report" / "runs", planned.config)
    folder.update(status="interrupted")
    assert run("keypad", "--arms", "pair", "--out", "report", "--seeds", "1")[0] == 0
    assert find_run(tmp_path / "report" / "runs", planned.config).id == folder.id
    assert folder.info().status == "finished"
    assert [event["kind"] for event in folder.events()] == ["resume"]


@pytest.mark.usefixtures("no_figures")
def test_accuracies_cover_test_items_where_the_evaluations_keep_them(run: Run, tmp_path: Path) -> None:
    """Evaluations and baselines of earlier versions keep accuracies alone; their intervals are named as over seeds."""
    folder = tmp_path / "report"
    arguments = ("keypad", "--out", "report", "--seeds", "2", "--arms", "pair")
    assert run(*arguments)[0] == 0
    for path in (folder / "runs").glob("*/evaluation.json"):
        evaluation = json.loads(path.read_text())
        for probe in evaluation["probe"].values():
            probe.pop("correct", None)
            probe.pop("untrained_correct", None)
        path.write_text(json.dumps(evaluation))
    for path in (folder / "baselines").iterdir():
        path.write_text(json.dumps(dict.fromkeys(json.loads(path.read_text()), 0.5)))
    assert run(*arguments, "--report-only")[0] == 0
    before = json.loads((folder / "results.json").read_text())
    assert {metric["interval"] for metric in before["summary"]["pair"].values()} == {"seeds"}
    assert before["summary"]["pair"]["baseline.audio"]["mean"] == 0.5
    draw = np.random.default_rng(0)
    right = {}
    for row in before["runs"]:
        run_folder = RunFolder(folder / "runs" / row["run"])
        evaluation = run_folder.json("evaluation")
        for name, probe in evaluation["probe"].items():
            for key, accuracy in (("correct", "trained"), ("untrained_correct", "untrained")):
                probe[key] = "".join(map(str, draw.integers(0, 2, evaluation["test_items"])))
                probe[accuracy] = probe[key].count("1") / evaluation["test_items"]
                right[row["seed"], name, key] = np.array([float(digit) for digit in probe[key]])
        run_folder.save_json("evaluation", evaluation)
    for path in (folder / "baselines").iterdir():
        items = dict.fromkeys(json.loads(path.read_text()), "1" * evaluation["test_items"])
        rows = {name: {"accuracy": 1.0, "validation": 1.0, "correct": digits} for name, digits in items.items()}
        path.write_text(json.dumps(rows))
    assert run(*arguments, "--report-only")[0] == 0
    document = json.loads((folder / "results.json").read_text())
    pair = document["summary"]["pair"]
    headline = {f"{kind}.{m}" for kind in ("chosen", "untrained", "baseline") for m in ("audio", "image")}
    assert {name for name, metric in pair.items() if metric["interval"] == "seeds × items"} == headline
    chosen: dict[int, list[np.ndarray]] = {}
    differences: dict[int, list[np.ndarray]] = {}
    for row in document["runs"]:
        probes = RunFolder(folder / "runs" / row["run"]).json("evaluation")["probe"]
        own = {name: probe for name, probe in probes.items() if name.startswith("audio.")}
        best = max(own, key=lambda name: own[name]["validation"])
        plain = max(own, key=lambda name: own[name]["untrained_validation"])
        chosen[row["seed"]] = [right[row["seed"], best, "correct"]]
        differences[row["seed"]] = [
            right[row["seed"], best, "correct"] - right[row["seed"], plain, "untrained_correct"]
        ]
        assert unpack(row["correct"]["chosen.audio"]).tolist() == chosen[row["seed"]][0].tolist()
    expected = hierarchical_interval(chosen)
    assert (pair["chosen.audio"]["mean"], pair["chosen.audio"]["half"]) == pytest.approx((expected.mean, expected.half))
    (verdict,) = (v for v in document["verdicts"] if v["b"] == "untrained" and v["metric"] == "chosen.audio")
    paired = hierarchical_interval(differences)
    assert (verdict["difference"], verdict["p"]) == pytest.approx((paired.mean, paired.p))
    assert verdict["method"] == "paired t, seeds × items"
    assert verdict["outcome"] == "too_few_seeds"
    assert "<td>seeds × items</td>" in (folder / "report.html").read_text()


def test_a_failed_arm_is_reported_and_the_others_continue(run: Run, tmp_path: Path) -> None:
    code, out, err = run("tones", "--seeds", "1", "--out", "report")
    assert code == 1
    assert "broken, seed 0, first: failed, no spoken digits" in err
    assert "Runs that did not finish" in out
    document = json.loads((tmp_path / "report" / "results.json").read_text())
    statuses = {(row["arm"], row["fold"]): row["status"] for row in document["runs"]}
    assert statuses == {
        (arm, fold): status
        for arm, status in (("ours", "finished"), ("broken", "failed"))
        for fold in ("first", "second")
    }
    assert document["summary"]["broken"] == {}
    ours = document["summary"]["ours"]
    assert {metric["interval"] for metric in ours.values()} == {"seeds × folds"}
    each = [row["metrics"]["chosen"] for row in document["runs"] if row["arm"] == "ours"]
    assert values_of(document["summary"]["ours"], "chosen") == pytest.approx({0: sum(each) / 2})  # mean over folds
    assert ["failed", "", ""] in [[row["status"], row["metric"], row["value"]] for row in read_csv(tmp_path / "report")]


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["tonse"], "unknown experiment 'tonse' (did you mean 'tones'?)"),
        (["nosuch"], "unknown experiment 'nosuch' (valid: "),
        (["keypad", "--arms", "pare"], "unknown arm 'pare' (did you mean 'pair'?)"),
        (["keypad", "--seeds", "0"], "an experiment needs at least one seed, not 0"),
        (["keypad", "--report-only"], "keypad: no run has finished; the first is missing"),
        (["tones", "--arms", "broken"], "tones: no run has finished; the first is failed: no spoken digits"),
    ],
)
def test_errors_are_one_line(run: Run, arguments: list[str], message: str) -> None:
    code, out, err = run(*arguments)
    assert code == 2
    assert not out
    assert "Traceback" not in err
    assert err.splitlines()[-1].startswith(f"error: {message}")
