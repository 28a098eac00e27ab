"""Trainings that end early: too few items, an unexpected error, a network that is no longer finite."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
import torch

from cpc_engine.errors import RunError
from cpc_engine.execution.execute import State, execute
from cpc_engine.placing import Placer
from cpc_engine.storage.folder import RunFolder, check_resumable
from cpc_engine.training.control import Control
from cpc_engine.training.trainer import Trainer
from tests.support.tiny import tiny


def test_too_few_items_for_a_map_are_refused_before_training(tmp_path: Path) -> None:
    folder = RunFolder.create(tmp_path, tiny(data__test_items=4))
    end = execute(folder, Control())
    assert end.status == "failed"
    assert "tones: too few held-out items for a map, 4 where 5 are needed; raise data.test_items" in end.message
    assert folder.records() == []
    assert execute(RunFolder.create(tmp_path, tiny(data__test_items=5)), Control()).status == "finished"


def test_an_unexpected_error_ends_the_run_with_one_line_and_a_logged_traceback(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def explode(*_: object) -> None:
        raise ZeroDivisionError("by zero\nand more")

    monkeypatch.setattr("cpc_engine.execution.execute.geometry_metrics", explode)
    folder = RunFolder.create(tmp_path, tiny())
    end = execute(folder, Control())
    lines = [json.loads(line) for line in (folder.path / "log.jsonl").read_text().splitlines()]
    [line] = [line for line in lines if line["level"] == "error"]
    message = f"unexpected ZeroDivisionError: by zero ({line['id']} in log.jsonl)"
    assert end == State("failed", message, unexpected=True)
    assert folder.info().message == end.message
    assert (line["error"], line["message"]) == ("ZeroDivisionError", "by zero\nand more")
    assert "Traceback" in line["traceback"]


def test_a_diverged_run_keeps_finite_weights(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    clip = Trainer._clip
    monkeypatch.setattr(Trainer, "_clip", lambda self: clip(self) * (float("nan") if self.steps_done == 2 else 1))
    folder = RunFolder.create(tmp_path, tiny(optimizer__steps=5))
    end = execute(folder, Control())
    assert end == State("diverged", "the loss or a gradient stopped being a finite number")
    assert [record["step"] for record in folder.records()] == [1, 2, 3]
    assert folder.info().steps_done == 2
    assert all(bool(torch.isfinite(tensor).all()) for tensor in folder.tensors("weights").values())
    assert not folder.has("map")
    assert not folder.has_tensors("typicality")
    with pytest.raises(RunError, match="has no map: it diverged"):
        Placer(folder)
    with pytest.raises(RunError, match="diverged; start a new run"):
        check_resumable(folder)


@pytest.mark.parametrize("spoiled", [float("nan"), float("inf"), 1e30])
@pytest.mark.parametrize("at", [5, 6])
@pytest.mark.parametrize("kept", [True, False])
def test_a_network_that_is_no_longer_finite_costs_no_good_weights(
    spoiled: float, at: int, kept: bool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Spoiled by the last step, after a finite loss, or by the one before it."""
    update, good = Trainer._update_momentum_encoders, {}

    def spoil(self: Trainer) -> None:
        update(self)
        if self.steps_done == 3:  # the fourth step is going on
            good.update({name: tensor.clone() for name, tensor in self.model.weights().items()})
        if self.steps_done == at - 1:
            with torch.no_grad():
                for parameter in self.model.parameters():
                    parameter.fill_(spoiled)

    monkeypatch.setattr(Trainer, "_update_momentum_encoders", spoil)
    every = 2 if kept else 100
    folder = RunFolder.create(tmp_path, tiny(optimizer__steps=6, run__checkpoint_every=every))
    end = execute(folder, Control())
    assert (end.status, folder.info().status) == ("diverged", "diverged")
    assert not folder.has("map")
    if kept:
        stored = folder.tensors("weights")
        assert stored.keys() == good.keys()
        assert all(torch.equal(stored[name], good[name]) for name in good)
        assert folder.info().steps_done == 4
    else:
        assert not folder.has_tensors("weights")
