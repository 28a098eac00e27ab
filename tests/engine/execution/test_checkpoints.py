"""When checkpoints are written."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import torch

from cpc_engine.anatomy.opened import Opened
from cpc_engine.errors import RunError
from cpc_engine.execution.execute import State, execute
from cpc_engine.execution.fork import fork
from cpc_engine.exports.bring import bring_run
from cpc_engine.storage.files import read_tensors, write_tensors
from cpc_engine.storage.folder import RunFolder
from cpc_engine.storage.lock import at_work
from cpc_engine.training.control import Control
from tests.support.tiny import tiny


@pytest.mark.parametrize(("every", "record_every", "wanted"), [(2, 3, [2, 4, 6, 7]), (3, 1, [3, 6, 7]), (5, 4, [5, 7])])
def test_checkpoints_are_written_at_their_steps_whether_or_not_these_are_recorded(
    every: int, record_every: int, wanted: list[int], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    steps: list[int] = []
    save = RunFolder.save_tensors

    def note(self: RunFolder, name: str, tensors: dict[str, Any], *others: Any, **more: Any) -> None:
        if name == "checkpoint":
            steps.append(int(tensors["progress"][0]))
        save(self, name, tensors, *others, **more)  # type: ignore[arg-type]

    monkeypatch.setattr(RunFolder, "save_tensors", note)
    config = tiny(optimizer__steps=7, run__checkpoint_every=every, run__record_every=record_every, evaluation__every=0)
    assert execute(RunFolder.create(tmp_path, config), Control()).status == "finished"
    assert steps == wanted


@pytest.mark.parametrize("name", ["queue.audio.begin", "progress", "model.log_scale", "optimizer.0.step"])
def test_a_checkpoint_with_values_that_are_not_finite_is_told_in_one_line(name: str, tmp_path: Path) -> None:
    folder = RunFolder.create(tmp_path, tiny(sampler__queue_size=32, optimizer__steps=4))
    control = Control()

    def stop(observed: object) -> None:
        if isinstance(observed, dict) and observed["step"] == 2:
            control.stop()

    assert execute(folder, control, stop).status == "stopped"
    path = folder.path / "checkpoint.safetensors"
    tensors = read_tensors(path)
    write_tensors(path, {**tensors, name: torch.full(tensors[name].shape, torch.inf)})
    told = rf"checkpoint\.safetensors is damaged \({name} has values that are not finite\)"
    for read in (Opened, lambda run: fork(run, {}, tmp_path), lambda run: bring_run(run.path, tmp_path / "other")):
        with pytest.raises(RunError, match=told):
            read(folder)
    resumed = execute(folder, Control(), resume=True)
    assert resumed.status == "failed"


def test_a_run_that_ends_although_nobody_asked_is_interrupted_before_its_lock_is_free(tmp_path: Path) -> None:
    """Or the next worker's "running" would be overwritten."""
    folder, control = RunFolder.create(tmp_path, tiny()), Control()
    control.lost = "its worker has left"
    control.stop()
    seen: list[State] = []

    def observe(observed: object) -> None:
        if isinstance(observed, State):
            with pytest.raises(RunError, match="is at work on it"), at_work(folder.path):
                pass
            seen.append(State(folder.info().status, folder.info().message))

    end = State("interrupted", "its worker has left")
    assert execute(folder, control, observe) == end
    assert seen[-1] == end
