"""The document that is generated from the results of experiments."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from cpc_engine.errors import RunError
from cpc_engine.experiments.definitions import EXPERIMENTS
from cpc_engine.experiments.document import main as write_document
from cpc_engine.experiments.document import markdown
from cpc_engine.experiments.prose import READINGS
from cpc_engine.experiments.runner import plan_runs
from cpc_engine.experiments.tables import difference, interval


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
        "folds": [""],
        "without_pair": chosen.without_pair,
        "arms": arms,
        "runs": runs,
        "summary": dict.fromkeys(labels, arm),
        "verdicts": verdicts,
    }


def test_the_document_is_generated_from_results(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "docs").mkdir()
    monkeypatch.setattr("cpc_engine.experiments.document.outdated", lambda *_: [])  # invented results have no recipe
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
    assert "by `reference`: is open; trained 93.8" in text
    assert "Sounds and pictures intermingle: differs" in text
    assert "Almost linearly separable (95% or more): differs" in text
    assert "Items: a linear probe is right in 93.8 ± 1.0 % (`in-batch`) to 93.8 ± 1.0 %" in text
    assert "training beats the untrained network in 13 of 13 arms" in text
    assert "rank of contexts goes from 12.5 ± 0.01 (`in-batch`) to 12.5" in text
    assert "no arm is too harsh for these data for certain." in text
    assert text.count("\n## Which negatives help\n") == 1
    assert "| untrained network | 86.2 ± 1.0 % |" in text
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
    few = invented("negatives_sounds", 0.9375, 0.8625)
    few["verdicts"] = [row | {"outcome": "too_few_seeds", "text": "none, n = 3"} for row in few["verdicts"]]
    (tmp_path / "benchmarks/results/experiment-negatives_sounds.json").write_text(json.dumps(few))
    assert write_document([]) == 0
    text = (tmp_path / "docs" / "experiments.md").read_text()
    assert "whether training beats the untrained network: no verdict below 5 seeds." in text
    assert "The claim stays open: no verdict below 5 seeds." in text
    (tmp_path / "benchmarks/results/experiment-fsdd.json").unlink()
    assert write_document([]) == 0
    assert (
        "Not measured yet: `python -m cpc_engine experiment fsdd`" in (tmp_path / "docs" / "experiments.md").read_text()
    )


def test_the_document_says_which_gpu_trained_the_runs(tmp_path: Path) -> None:
    cpu, gpu = {"device": {"cpu": "C"}}, {"device": {"cpu": "C", "gpu": "NVIDIA G"}}
    for trained, said in (([cpu, None], "--seeds 3`).\n"), ([cpu, gpu], "--seeds 3`), trained on NVIDIA G.\n")):
        document = {**invented("tones", 0.9, 0.8), "recipe": {"trained": trained}}
        (tmp_path / "experiment-tones.json").write_text(json.dumps(document))
        assert f"experiment tones {said}" in markdown(tmp_path, tmp_path / "figures")


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


def test_an_ablation_may_lack_arms_and_names_them(tmp_path: Path) -> None:
    document = invented("negatives_speech", 0.9, 0.8)
    document["summary"] = {label: document["summary"][label] for label in ("in-batch", "queue")}
    (tmp_path / "experiment-negatives_speech.json").write_text(json.dumps(document))
    text = markdown(tmp_path, tmp_path / "figures")
    assert "Not measured yet: `queue-ema`, `queue-few`, `noise-0.1`" in text
    table = text.partition("## Which negatives help\n")[2].partition("\n## ")[0]
    assert "| queue |" in table
    assert "| queue-ema |" not in table
    document["summary"] = {"queue": document["summary"]["queue"]}
    (tmp_path / "experiment-negatives_speech.json").write_text(json.dumps(document))
    with pytest.raises(RunError, match="arm 'in-batch'"):
        markdown(tmp_path, tmp_path / "figures")


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


def test_a_goal_is_met_by_its_share_and_by_verdicts_alone(tmp_path: Path) -> None:
    def told(experiment: str, document: dict[str, Any]) -> list[list[str]]:
        (tmp_path / f"experiment-{experiment}.json").write_text(json.dumps(document))
        lines = markdown(tmp_path, tmp_path / "figures").splitlines()
        rows = [[cell.strip() for cell in line.split("|")[1:-1]] for line in lines if line.startswith("| ")]
        return [row for row in rows if row[0] == EXPERIMENTS[experiment].title and len(row) == 10]

    pairs = invented("tones_bars", 0.9, 0.8)
    first = next(iter(pairs["summary"].values()))
    first["retrieval_class_reverse"] = first["retrieval_class"] | {"mean": 0.995}
    assert [(row[1], row[2], row[4]) for row in told("tones_bars", pairs)] == [
        ("retrieval R@1 (class)", "99%", "no"),  # 98.75 %
        ("retrieval R@1 (class, from images)", "99%", "yes"),
    ]
    photographs = invented("cifar10", 0.98, 0.8)
    assert [row[4] for row in told("cifar10", photographs)] == ["no"], "97 % are reached, but nothing is certain"
    for verdict in photographs["verdicts"]:
        verdict["outcome"] = "a"
    [row] = told("cifar10", photographs)
    assert row[2:5] == [
        "97%, better than best baseline for certain",
        "98.0 ± 1.0 %; 81.2 ± 1.0 % (best baseline)",
        "yes",
    ]
    assert [row[4] for row in told("cifar10", invented("cifar10", 0.96, 0.8))] == ["no"]
    for seconds, said in ((600.0, "yes"), (601.0, "no")):
        photographs["summary"]["ours"]["seconds"] = {"mean": seconds, "half": 1.0, "interval": "seeds"}
        photographs["summary"]["ours"]["seconds"]["values"] = {"0": seconds}
        [row] = told("cifar10", photographs)
        assert row[6:8] == [f"{seconds:.0f}", said], "two cores have 10 minutes"


def test_representations_are_strong_if_they_beat_no_training_and_the_best_baseline() -> None:
    document = invented("cifar10", 0.98, 0.8)

    def judged(against: str, outcome: str) -> str:
        for verdict in document["verdicts"]:
            if verdict["b"] == against:
                verdict["outcome"] = outcome
        said = next(iter(READINGS["cifar10"].judge(document)))
        return said.removeprefix("Strong image representations, by `reference`: ").partition(";")[0]

    assert judged("best baseline", "not_distinguishable") == "is open"
    assert judged("best baseline", "b") == "differs"
    assert judged("best baseline", "a") == "agrees"
    assert judged("untrained", "b") == "differs"
