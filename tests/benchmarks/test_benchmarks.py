"""The benchmarks: peers compute the same loss, their documents have the documented keys, README's tables follow."""

from __future__ import annotations

import json
import math
import re
import runpy
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from torch.nn import functional as F

from benchmarks import memory, peers, tables, training, utilization
from benchmarks.problem import Problem, Shape, exact, make_problem
from benchmarks.screenshots import PRESS, READY, addresses
from benchmarks.surroundings import write
from cpc_engine.data import load_dataset
from cpc_engine.execution.device import fabric_on
from cpc_engine.negatives.infonce import info_nce
from cpc_engine.presets import PRESETS
from cpc_engine.training.trainer import Trainer
from tests.support.paths import REPOSITORY
from tests.support.tiny import CHANGES

ROOT = REPOSITORY
KEYS = {
    "shape",
    "ours_ms",
    "ours_stats_ms",
    "ours_masked_ms",
    "stats_overhead",
    "weights_overhead",
    "naive_ms",
    "peers",
    "peers_ms",
    "speedup_naive",
    "speedup_best_peer",
    "speedup_contrastive_peers",
    "speedup_linear_cross_entropy",
    "memory_mb",
    "memory_ratio_naive",
    "roofline_ratio",
    "gradient_error",
    "sweep",
    "machine",
}


@pytest.fixture
def problem() -> Problem:
    return make_problem(Shape(3, 5, 8), torch.device("cpu"))


def value(name: str, problem: Problem) -> float:
    return peers.RUNS[name].make(problem)().item()


@pytest.mark.parametrize("name", ["ours", "ours_stats", "linear_cross_entropy_64"])
def test_runs_of_the_whole_problem_have_the_naive_loss(name: str, problem: Problem) -> None:
    assert value(name, problem) == pytest.approx(value("naive", problem), rel=1e-5)
    assert value("naive", problem) == pytest.approx(exact(problem, masked=False)[0], rel=1e-5)


@pytest.mark.parametrize(
    "name",
    ["pytorch_metric_learning_supcon", "pytorch_metric_learning_ntxent", "pytorch_metric_learning_memory"],
)
def test_metric_learning_has_the_naive_loss(name: str, problem: Problem) -> None:
    pytest.importorskip("pytorch_metric_learning")
    assert value(name, problem) == pytest.approx(value("naive", problem), rel=1e-5)


@pytest.mark.parametrize(("name", "module"), [("info_nce_pytorch", "info_nce"), ("lightly", "lightly")])
def test_peers_with_explicit_negatives_count_the_positive_once_more(name: str, module: str, problem: Problem) -> None:
    pytest.importorskip(module)
    logits = problem.anchors @ problem.everything().T / problem.tau
    own = (problem.anchors * problem.futures).sum(1, keepdim=True) / problem.tau
    expected = F.cross_entropy(torch.cat([own, logits], 1), torch.zeros(len(own)).long())
    assert value(name, problem) == pytest.approx(expected.item(), rel=1e-5)


def test_folding_the_permuted_copy_into_a_bias_shifts_the_loss_by_log_2(problem: Problem) -> None:
    folded = value("linear_cross_entropy_folded_64", problem)
    assert folded + math.log(2) == pytest.approx(value("naive", problem), rel=1e-5)


@pytest.mark.parametrize("masked", [False, True])
def test_the_float64_reference_and_ours_agree(masked: bool, problem: Problem) -> None:
    result = info_nce(problem.anchors, problem.positives, problem.candidates(masked), problem.scale)
    loss, gradients = exact(problem, masked, block=5)
    assert result.loss.item() == pytest.approx(loss, rel=1e-5)
    for ours, theirs in zip(torch.autograd.grad(result.loss, problem.leaves), gradients, strict=True):
        torch.testing.assert_close(ours.double(), theirs, rtol=1e-4, atol=1e-6)


def run(*command: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run([sys.executable, *command], cwd=ROOT, capture_output=True, text=True, timeout=280)


@pytest.mark.parametrize("module", ["presets", "folders", "training"])
def test_threads_of_a_benchmark_sleep_while_they_wait(module: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """torch reads the policy as it is loaded; two measurements at once are slowed by threads that spin."""
    monkeypatch.delenv("OMP_WAIT_POLICY", raising=False)
    watch = """
import os, sys
class Watch:
    def find_spec(self, name, path=None, target=None):
        if name == "torch":
            sys.exit(os.environ.get("OMP_WAIT_POLICY", "not set"))
sys.meta_path.insert(0, Watch())
import benchmarks.
"""
    assert run("-c", watch.rstrip() + module).stderr.strip() == "PASSIVE"


@pytest.mark.slow
def test_the_loss_benchmark_prints_and_keeps_one_document(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    for module in ("info_nce", "lightly", "pytorch_metric_learning"):
        pytest.importorskip(module)
    used = memory.measure("ours", Shape(3, 5, 8), torch.device("cpu"), candidates=64)
    assert used >= 0
    monkeypatch.setattr(memory, "measure", lambda *_, **__: used)  # a process of its own each time
    monkeypatch.setattr(sys, "path", [*sys.path])
    out = tmp_path / "loss-cpu.json"
    file = "benchmarks/loss.py"
    monkeypatch.setattr(sys, "argv", [file, "--quick", "--json", "--shape", "3,5,8", "--out", str(out)])
    runpy.run_path(str(ROOT / file), run_name="__main__")
    document = json.loads(capsys.readouterr().out)
    assert document.keys() >= KEYS
    assert document == json.loads(out.read_text())
    assert document["shape"] == {"B": 3, "T": 5, "d": 8, "N": 12, "M": 60}
    assert document["peers_ms"].keys() == document["peers"].keys() == {"linear_cross_entropy", *peers.CONTRASTIVE}
    assert all(peer["subset"] for peer in document["peers"].values())
    assert document["sweep"][0].keys() == {"M", "ms", "ms_per_1k_candidates", "peak_mb"}
    table = tables.section(tmp_path)
    assert all(f"`{name}`" in table for name in document["peers"])


@pytest.mark.slow
def test_the_training_benchmark_takes_what_follows_from_the_data(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    write(tmp_path / "data" / training.FILES["audio_folder"], 4, 0)
    monkeypatch.setenv("CPC_SHARED", str(tmp_path))
    config = training.configuration("audio_folder")
    assert config is not None
    assert min(config.audio.sample_rate, config.audio.clip_seconds) > 0
    Trainer(config, load_dataset(config, "cpu"), fabric_on("cpu", "32-true")).step(False)


@pytest.mark.slow
def test_the_training_benchmark_times_presets_and_says_what_it_skipped(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    small = {path: value for path, value in CHANGES.items() if path != "data.dataset"}
    whole = PRESETS["tones"]
    monkeypatch.setitem(PRESETS, "tones", replace(whole, changes=whole.changes | small))
    monkeypatch.setattr(utilization, "SIDE", 64)
    monkeypatch.setenv("CPC_SHARED", str(tmp_path))
    out = tmp_path / "training-cpu.json"
    monkeypatch.setattr(sys, "argv", ["training", "--quick", "--presets", "tones,image_folder", "--out", str(out)])
    training.main()
    assert "image_folder: skipped" in capsys.readouterr().out
    document = json.loads(out.read_text())
    found = document["presets"]["tones"]["records_on"]
    assert {"data and features", "encoders", "context", "loss", "optimizer"} <= found["sections_ms"].keys()
    assert 0 < found["loss_share"] + found["encoder_share"] < 1
    assert "`tones`" in tables.section(tmp_path)


def test_tables_fill_the_marked_section_and_check_finds_it_stale(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    readme, results = tmp_path / "README.md", tmp_path / "results"
    results.mkdir()
    readme.write_text(f"# Before\n\n{tables.BEGIN}\nold\n{tables.END}\n\nafter\n")
    arguments = ["tables", "--readme", str(readme), "--results", str(results)]

    def main(*more: str) -> int:
        monkeypatch.setattr(sys, "argv", [*arguments, *more])
        return tables.main()

    assert main("--check") == 1
    assert "stale" in capsys.readouterr().err
    assert "old" in readme.read_text()
    assert main() == 0
    text = readme.read_text()
    assert text.startswith(f"# Before\n\n{tables.BEGIN}\n## Performance\n")
    assert text.endswith(f"{tables.END}\n\nafter\n")
    assert "old" not in text
    assert main("--check") == 0
    speed = {"steps_per_s": 2.0, "items_per_s": 128.0, "loss_share": 0.1, "encoder_share": 0.6}
    preset = {"batch_size": 64, "records_on": speed, "records_off": speed}
    machine = {"cpu": "a processor", "threads": 2, "torch": "2"}
    document = {"quick": False, "presets": {"tones": preset}, "machine": machine, "command": "c"}
    (results / "training-cpu.json").write_text(json.dumps(document))
    assert main("--check") == 1
    assert main() == 0
    assert "| `tones` | 64 | 2.00 | 2.00 | 128 | 10% | 60% |" in readme.read_text()
    document["presets"]["tones"] |= {"utilization": 0.25, "gpu_utilisation": 0.5}
    (results / "training-cpu.json").write_text(json.dumps(document))
    assert main() == 0
    assert "| loss | encoders | of the peak | GPU busy |" in readme.read_text()
    assert "| 10% | 60% | 25% | 50% |" in readme.read_text()


def test_the_readme_says_what_the_results_say() -> None:
    readme = (ROOT / "README.md").read_text()
    assert tables.with_section(readme, tables.section(ROOT / "benchmarks" / "results")) == readme


def test_a_readme_without_markers_is_refused() -> None:
    with pytest.raises(ValueError, match="needs"):
        tables.with_section("# Nothing here\n", "text")


def test_pictures_are_taken_of_every_page() -> None:
    names = {path.stem for path in (ROOT / "pages").glob("*.py")} - {"watch", "start_by_name"}  # lead to others
    pictures = set(addresses([f"run-{number}" for number in range(4)], ["left", "right"], "sweep", "active"))
    assert pictures == names | {"lesson", "running"}
    assert set(READY) <= pictures
    assert set(PRESS) <= pictures
    shown = re.findall(r"\$\(foreach page,([a-z ]+),", (ROOT / "Makefile").read_text())
    assert set(shown[0].split()) <= names
