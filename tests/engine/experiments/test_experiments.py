"""Tests of experiments at a tiny size: training, reuse of runs, reports, and the generated document."""

from __future__ import annotations

import csv
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from cpc_engine.cli import main
from cpc_engine.comparison.judge import weighted_holm
from cpc_engine.config import RunConfig
from cpc_engine.data import load_dataset
from cpc_engine.evaluation import baselines
from cpc_engine.evaluation.intervals import hierarchical_interval, mean_interval
from cpc_engine.experiments import definitions
from cpc_engine.experiments.definitions import EXPERIMENTS, Experiment, PlannedArm, experiment
from cpc_engine.experiments.document import main as write_document
from cpc_engine.experiments.figures import band
from cpc_engine.experiments.items import unpack
from cpc_engine.experiments.prose import READINGS
from cpc_engine.experiments.recipe import differing, incomplete
from cpc_engine.experiments.results import _against_the_first, values_of
from cpc_engine.experiments.runner import find_run, plan_runs
from cpc_engine.experiments.tables import difference, interval, verdicts_table
from cpc_engine.sources import SOURCES
from cpc_engine.storage.folder import RunFolder
from tests.support.paths import REPOSITORY
from tests.support.tiny import CHANGES

SMALL = {name: value for name, value in CHANGES.items() if name != "data.dataset"} | {"evaluation.every": 1}
PAIR = {**SMALL, "image.size": 64}
TINY = Experiment(
    "keypad",
    "Tiny pairs",
    "Does it run?",
    (PlannedArm("pair", "keypad", PAIR), PlannedArm("no-pair", "keypad", {**PAIR, "loss.pair_weight": 0.0})),
    without_pair="no-pair",
)
FOLDED = Experiment(
    "tones",
    "Tiny tones",
    "Does it run?",
    (PlannedArm("ours", "tones", SMALL), PlannedArm("broken", "fsdd", {**SMALL, "data.path": "/nowhere"})),
    folds={"first": {"data.seed": 0}, "second": {"data.seed": 1}},
)
Run = Callable[..., tuple[int, str, str]]


@pytest.fixture(autouse=True)
def few_centroids(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(baselines, "CENTROIDS", 8)
    monkeypatch.setattr("cpc_engine.model.patches.SAMPLED", 500)


@pytest.fixture
def run(monkeypatch: pytest.MonkeyPatch, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> Run:
    """Run `experiment NAME …` in an empty folder, with the tiny experiments instead of the real ones."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(definitions, "EXPERIMENTS", {"keypad": TINY, "tones": FOLDED})

    def call(*arguments: str) -> tuple[int, str, str]:
        capsys.readouterr()
        code = main(["experiment", *arguments])
        return code, *capsys.readouterr()

    return call


def read_csv(folder: Path) -> list[dict[str, str]]:
    with open(folder / "results.csv", encoding="utf-8", newline="") as file:
        return list(csv.DictReader(file))


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


def test_accuracies_cover_test_items_where_the_evaluations_keep_them(run: Run, tmp_path: Path) -> None:
    """Evaluations and baselines of earlier versions keep accuracies alone; their intervals are named as over seeds."""
    folder = tmp_path / "report"
    arguments = ("keypad", "--out", "report", "--seeds", "3", "--arms", "pair")
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


def test_the_verdicts_of_a_table_are_corrected_together_and_the_primary_metric_weighs_half() -> None:
    draw = np.random.default_rng(1)

    def runs(arm: str, shift: float) -> list[dict[str, Any]]:
        return [
            {"arm": arm, "seed": seed, "fold": "", "correct": {}}
            | {"metrics": {name: float(draw.normal(shift, 1)) for name in ("chosen", "uniformity", "effective_rank")}}
            for seed in range(6)
        ]

    labels = [arm.label for arm in EXPERIMENTS["ablation_cifar10"].arms][:3]
    of_arm = {label: runs(label, 3.0 * index) for index, label in enumerate(labels)}
    configs = {arm.label: arm.config() for arm in EXPERIMENTS["ablation_cifar10"].arms}
    rows = list(_against_the_first(of_arm, configs, EXPERIMENTS["ablation_cifar10"]))
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


@pytest.mark.parametrize("name", ["ablation", "ablation_cifar10"])
def test_ablations_differ_in_their_sampler_only(name: str) -> None:
    first, *others = plan_runs(experiment(name), 1)
    for other in others:
        paths = set(other.config.differences(first.config)) - {"run.name"}
        assert paths
        assert all(path.startswith("sampler.") for path in paths)


@pytest.mark.parametrize("name", ["ablation", "ablation_cifar10"])
def test_the_arms_from_the_sources_are_those_of_the_stored_results(name: str) -> None:
    """But that a source which was added since they were measured is switched off by name."""
    stored = json.loads((REPOSITORY / f"benchmarks/results/experiment-{name}.json").read_text(encoding="utf-8"))
    expected = [(arm["label"], arm["preset"], arm["overrides"]) for arm in stored["arms"]]
    added = dict(SOURCES["mixed"].off)
    assert all(added.items() <= arm.overrides.items() for arm in experiment(name).arms)
    today = [
        (arm.label, arm.preset, {path: value for path, value in arm.overrides.items() if path not in added})
        for arm in experiment(name).arms
    ]
    assert today == expected


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


def invented(name: str, trained: float, untrained: float) -> dict[str, Any]:
    """Results as `collect` returns them, with the same values for every arm."""
    chosen = EXPERIMENTS[name]
    paired = plan_runs(chosen, 1)[0].config.data.dataset in ("tones_bars", "keypad")
    suffixes = (".audio", ".image") if paired else ("",)

    def value(mean: float) -> dict[str, Any]:
        return {
            "mean": mean,
            "half": 0.01,
            "interval": "seeds",
            "values": {"0": mean - 0.01, "1": mean, "2": mean + 0.01},
        }

    numbers = {"chosen": trained, "untrained": untrained, "baseline": 0.8125}
    arm = {f"{kind}{suffix}": value(mean) for kind, mean in numbers.items() for suffix in suffixes}
    arm["effective_rank"] = value(12.5)
    pairs = ("modality_accuracy", "modality_gap", "retrieval_class", "modality_gap_ratio")
    arm |= {metric: value(0.9875) for metric in pairs if paired}
    labels = [planned.label for planned in chosen.arms]
    sides = [(label, other) for label in labels for other in ("untrained", "best baseline")]
    sides += [(labels[0], label) for label in labels[1:]]
    text = "trained better" if trained > untrained else "untrained better"
    verdicts = [
        {
            "question": f"{a} against {b}",
            "a": a,
            "b": b,
            "metric": f"chosen{suffix}",
            "method": "paired t",
            "role": "primary",
        }
        | {"text": text if b == "untrained" else "not distinguishable, n = 3"}
        | {"outcome": ("a" if trained > untrained else "b") if b == "untrained" else "not_distinguishable"}
        | {"difference": trained - untrained, "low": trained - untrained - 0.01, "high": trained - untrained + 0.01}
        for a, b in sides
        for suffix in suffixes
    ]
    arms = [{"label": label, "preset": "p", "overrides": {}, "steps": 7} for label in labels]
    runs = [{"arm": label, "seed": 0, "fold": "", "run": "r", "status": "finished", "metrics": {}} for label in labels]
    return {
        "experiment": name,
        "title": chosen.title,
        "question": chosen.question,
        "command": f"python -m cpc_engine experiment {name} --seeds 3",
        "quick": False,
        "seeds": [0, 1, 2],
        "without_pair": chosen.without_pair,
        "arms": arms,
        "runs": runs,
        "summary": dict.fromkeys(labels, arm),
        "verdicts": verdicts,
    }


def test_the_document_is_generated_from_results(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "docs").mkdir()
    measured_before = frozenset(f"experiment-{name}.json" for name in EXPERIMENTS)  # invented ones have no recipe
    monkeypatch.setattr("cpc_engine.experiments.outdated.WITHOUT_RECIPE", measured_before)
    assert write_document(["--check"]) == 1  # there is no document yet
    folders = []
    for name in EXPERIMENTS:
        folder = tmp_path / name
        folder.mkdir()
        (folder / "results.json").write_text(json.dumps(invented(name, 0.9375, 0.8625)))
        folders.append(str(folder))
    (tmp_path / "tones" / "maps.png").write_bytes(b"a picture")
    assert write_document(folders) == 0
    assert (tmp_path / "docs" / "experiments" / "tones-maps.png").read_bytes() == b"a picture"
    text = (tmp_path / "docs" / "experiments.md").read_text()
    assert write_document(["--check"]) == 0
    for name, chosen in EXPERIMENTS.items():
        assert f"## {chosen.title}\n" in text
        assert f"`python -m cpc_engine experiment {name} --seeds 3`" in text
        assert (
            "metrics"
            not in json.loads((tmp_path / f"benchmarks/results/experiment-{name}.json").read_text())["runs"][0]
        )
    assert "93.8 ± 1.0 % of held-out cases, on the same network untrained in 86.2 ± 1.0 %" in text
    assert "by `reference`: agrees; trained 93.8" in text
    assert "Sounds and pictures intermingle: differs" in text
    assert "Almost linearly separable (95% or more): differs" in text
    assert "Pictures: a linear probe is right in 93.8 ± 1.0 % (`in-batch/masked`) to 93.8 ± 1.0 %" in text
    assert "training beats the untrained network in 14 of 14 arms" in text
    assert "rank of contexts goes from 12.5 ± 0.01 (`in-batch/masked`) to 12.5" in text
    assert "No arm is too harsh for photographs." in text
    assert text.count("one panel per arm, a color for each class.](experiments/tones-maps.png)") == 1
    assert text.count("](experiments/") == 1
    assert text.count("<details>") == text.count("</details>") == len(EXPERIMENTS)
    worse = json.dumps(invented("cifar10", 0.7, 0.8625))
    (tmp_path / "benchmarks/results/experiment-cifar10.json").write_text(worse)
    assert write_document(["--check"]) == 1
    assert write_document([]) == 0
    text = (tmp_path / "docs" / "experiments.md").read_text()
    assert "by `reference`: differs; trained 70.0" in text
    assert "**the untrained wins**" in text
    few = invented("ablation", 0.9375, 0.8625)
    few["verdicts"] = [row | {"outcome": "too_few_seeds", "text": "none, n = 3"} for row in few["verdicts"]]
    (tmp_path / "benchmarks/results/experiment-ablation.json").write_text(json.dumps(few))
    assert write_document([]) == 0
    text = (tmp_path / "docs" / "experiments.md").read_text()
    assert "whether training beats the untrained network: no verdict below 5 seeds." in text
    assert "The claim stays open: no verdict below 5 seeds." in text
    (tmp_path / "benchmarks/results/experiment-fsdd.json").unlink()
    assert write_document([]) == 0
    assert (
        "Not measured yet: `python -m cpc_engine experiment fsdd`" in (tmp_path / "docs" / "experiments.md").read_text()
    )


def test_smoke_tests_and_incomplete_results_are_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    document = invented("tones", 0.9, 0.8)
    cases = (
        ({**document, "quick": True}, "smoke test"),
        ({**document, "summary": {"ours": {"a": 1}}}, "arm 'reference'"),
    )
    for broken, message in cases:
        (tmp_path / "results.json").write_text(json.dumps(broken))
        assert write_document([str(tmp_path)]) == 2
        (line,) = capsys.readouterr().err.splitlines()
        assert line.startswith("error: ")
        assert message in line


def test_every_experiment_has_a_text_without_numbers() -> None:
    assert set(READINGS) == set(EXPERIMENTS)
    for reading in READINGS.values():
        assert not any(character.isdigit() for character in (reading.claim + reading.why).replace("log 2", ""))


def test_numbers_are_written_with_their_intervals() -> None:
    arm = {"chosen": {"mean": 0.90125, "half": 0.004}, "effective_rank": {"mean": 12.345, "half": None}}
    assert interval(arm, "chosen") == "90.1 ± 0.4 %"
    assert interval(arm, "effective_rank") == "12.3"
    assert interval(arm, "modality_gap") == "–"
    verdict = {"metric": "chosen", "difference": 0.062, "low": -0.051, "high": 0.175}
    assert difference(verdict) == "+6.2 (-5.1 to 17.5) points"
