"""Tests of evaluating a run: on the device of the run, and without changing shipped examples."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest
import torch

import cpc_engine as cpc
from cpc_engine.data import Dataset, load_dataset
from cpc_engine.errors import RunError
from cpc_engine.execution import evaluate as evaluation
from cpc_engine.execution.execute import execute
from cpc_engine.experiments import runner
from cpc_engine.storage.folder import RunFolder
from cpc_engine.training.control import Control
from tests.support.tiny import tiny


def finished(root: Path) -> RunFolder:
    folder = RunFolder.create(root, tiny())
    assert execute(folder, Control()).status == "finished"
    return folder


def test_evaluating_an_example_changes_no_file(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    folder = finished(tmp_path)
    folder.mark_example("how a small run looks", 1)
    before = {path: path.read_bytes() for path in folder.path.iterdir()}
    evaluated = cpc.open(folder.id, tmp_path).evaluate()
    assert not evaluated.probes.empty
    assert {path: path.read_bytes() for path in folder.path.iterdir()} == before
    from cpc_engine.cli import main

    assert main(["evaluate", folder.id, "--runs", str(tmp_path)]) == 0
    assert "stays as it is" in capsys.readouterr().err
    assert {path: path.read_bytes() for path in folder.path.iterdir()} == before


def test_other_runs_store_their_evaluation(tmp_path: Path) -> None:
    run = cpc.open(finished(tmp_path).path)
    assert run.evaluation is None
    evaluated = run.evaluate()
    assert run.evaluation is not None
    assert run.evaluation.document == evaluated.document
    assert "Evaluation of" in repr(evaluated)


@pytest.mark.parametrize("status", ["queued", "running", "paused"])
def test_a_run_that_waits_or_trains_is_not_evaluated(status: str, tmp_path: Path) -> None:
    """It would meet the evaluation at work when its turn comes."""
    folder = finished(tmp_path)
    folder.update(status=status)
    with pytest.raises(RunError, match="is still going on"):
        evaluation.evaluate_run(folder)


def test_the_data_are_loaded_on_the_device_of_the_run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """`evaluate` and the baselines of experiments compute on the device of the run."""
    folder = finished(tmp_path)
    devices: list[str] = []

    def load(config: object, device: torch.device | str = "cpu", progress: object = None) -> Dataset:
        devices.append(str(device))
        return load_dataset(config, "cpu")  # type: ignore[arg-type]

    monkeypatch.setattr(
        evaluation, "pick_device", lambda name: f"cpu:{len(name)}"
    )  # a distinct name that still means the CPU
    monkeypatch.setattr("cpc_engine.storage.artifacts.load_dataset", load)
    evaluation.evaluate_run(folder)
    monkeypatch.setattr(runner, "load_dataset", load)
    monkeypatch.setattr("cpc_engine.execution.device.pick_device", lambda name: "cpu:7")
    runner._save_baselines(tmp_path, folder.config())
    assert devices == ["cpu:3", "cpu:7"]


@pytest.mark.gpu
@pytest.mark.skipif(not torch.cuda.is_available(), reason="no CUDA device")
def test_a_gpu_run_is_evaluated_on_the_gpu(tmp_path: Path) -> None:
    folder = RunFolder.create(tmp_path, tiny(run__device="cuda"))
    assert execute(folder, Control()).status == "finished"
    used = torch.cuda.max_memory_allocated()
    torch.cuda.reset_peak_memory_stats()
    evaluation.evaluate_run(folder)
    assert used
    assert torch.cuda.max_memory_allocated() > 0


def test_two_evaluations_of_a_copy_are_equal(tmp_path: Path) -> None:
    folder = finished(tmp_path)
    copy = tmp_path / "copy"
    shutil.copytree(folder.path, copy)
    first, second = (evaluation.evaluate_run(RunFolder(path)) for path in (folder.path, copy))
    assert {**first, "run": ""} == {**second, "run": ""}
