"""Memory that runs out while a run trains or is evaluated: one plain line with the settings that need less of it."""

from __future__ import annotations

import json
from pathlib import Path
from typing import NoReturn

import numpy as np
import pytest
import torch

from cpc_engine.config import all_settings, with_labels
from cpc_engine.errors import OutOfMemoryError
from cpc_engine.execution.evaluate import evaluate_run
from cpc_engine.execution.execute import State, execute
from cpc_engine.execution.ranks import follow
from cpc_engine.execution.ranks.layout import Layout
from cpc_engine.storage.folder import RunFolder
from cpc_engine.training.control import Control
from cpc_engine.training.trainer import Trainer
from tests.support.tiny import tiny

SOUNDS = (
    "lower optimizer.batch_size, sampler.queue_size or audio.clip_seconds, "
    "or use fewer items (data.train_items, data.test_items)"
)


def gpu() -> NoReturn:
    raise torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 2.00 GiB. GPU 0 has a total capacity of …")


def gpu_library() -> NoReturn:
    raise RuntimeError("CUDA error: CUBLAS_STATUS_ALLOC_FAILED when calling `cublasCreate(handle)`")


def gpu_driver() -> NoReturn:
    raise RuntimeError("CUDA error: out of memory\nCompile with `TORCH_USE_CUDA_DSA` to enable device-side assertions.")


def tensor() -> NoReturn:
    torch.empty(2**60, dtype=torch.uint8)
    raise AssertionError("no machine has an exbibyte")


def array() -> NoReturn:
    np.empty(2**60, dtype=np.uint8)
    raise AssertionError("no machine has an exbibyte")


def python() -> NoReturn:
    raise MemoryError


KINDS = [
    (gpu, "the GPU"),
    (gpu_library, "the GPU"),
    (gpu_driver, "the GPU"),
    (tensor, "this machine"),
    (array, "this machine"),
    (python, "this machine"),
]


@pytest.mark.parametrize(("run_out", "where"), KINDS)
def test_a_run_that_runs_out_of_memory_says_what_to_lower_and_can_go_on(
    run_out: type[NoReturn], where: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    step = Trainer.step

    def fails_at_the_third(self: Trainer, *arguments: object) -> object:
        return run_out() if self.steps_done == 2 else step(self, *arguments)  # type: ignore[arg-type]

    monkeypatch.setattr(Trainer, "step", fails_at_the_third)
    folder = RunFolder.create(tmp_path, tiny(sampler__queue_size=64, run__checkpoint_every=1))
    end = execute(folder, Control())
    assert end == State("failed", f"{where} has run out of memory: {SOUNDS}")
    assert (folder.info().status, folder.info().message) == ("failed", end.message)
    assert [json.loads(line)["message"] for line in (folder.path / "log.jsonl").read_text().splitlines()][-1] == (
        f"failed: {end.message}"
    )
    monkeypatch.undo()
    assert execute(folder, Control(), resume=True) == State("finished")


def test_what_a_run_has_not_or_does_not_read_is_not_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Trainer, "step", lambda *_: gpu())
    config = tiny(data__dataset="bars", sampler__queue_size=0)
    end = execute(RunFolder.create(tmp_path, config), Control())
    assert with_labels(end.message) == (
        "the GPU has run out of memory: lower “Batch size” or “Picture size”, or use fewer items "
        "(“Training items”, “Test items”)"
    )
    assert {"Batch size", "Picture size", "Training items", "Test items"} <= {s.label for s in all_settings()}


@pytest.mark.parametrize(("run_out", "where"), KINDS)
def test_an_evaluation_that_runs_out_of_memory_says_what_a_run_needs_less_of(
    run_out: type[NoReturn], where: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = RunFolder.create(tmp_path, tiny())
    assert execute(folder, Control()).status == "finished"
    monkeypatch.setattr("cpc_engine.execution.evaluate.probe_report", lambda *_: run_out())
    with pytest.raises(OutOfMemoryError) as raised:
        evaluate_run(folder)
    assert str(raised.value) == (
        f"{where} has run out of memory: in a new run, lower audio.clip_seconds, "
        "or use fewer items (data.train_items, data.test_items)"
    )
    assert folder.info().status == "finished"
    assert folder.json("evaluation") is None


def test_a_checkpoint_for_which_there_is_no_memory_is_not_called_unfit(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = RunFolder.create(tmp_path, tiny(run__checkpoint_every=1))
    with monkeypatch.context() as patch:
        patch.setattr(Trainer, "step", lambda *_: gpu())
        assert execute(folder, Control()).status == "failed"
    folder.save_tensors("checkpoint", {"progress": torch.zeros(2)})
    monkeypatch.setattr(Trainer, "load", lambda *_: gpu())
    assert execute(folder, Control(), resume=True).message.startswith("the GPU has run out of memory: lower ")


def test_another_error_of_torch_stays_unexpected(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def step(*_: object) -> NoReturn:
        raise RuntimeError("The size of tensor a (3) must match the size of tensor b (4)")

    monkeypatch.setattr(Trainer, "step", step)
    end = execute(RunFolder.create(tmp_path, tiny()), Control())
    assert end.unexpected
    assert "must match" in end.message


def test_a_rank_that_runs_out_of_memory_says_so_in_its_last_line(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """Rank 0 tells the user that line."""
    said = json.dumps({"version": follow.version(), "config": tiny().to_dict(), "threads": 1}).encode()

    class Heard:
        def __init__(self, *_: object) -> None: ...

        def hear(self) -> tuple[follow.Word, bytes]:
            return follow.Word.BEGIN, said

    monkeypatch.setattr(follow, "Line", Heard)
    monkeypatch.setattr(follow, "Trainer", lambda *_, **__: gpu())
    monkeypatch.setattr(follow.signal, "signal", lambda *_: None)
    assert follow.follow(Layout(1, 2, 1, 2, False)) == 1
    assert capsys.readouterr().err.startswith("the GPU has run out of memory: lower optimizer.batch_size or ")
