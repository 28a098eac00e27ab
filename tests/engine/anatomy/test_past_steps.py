"""A run opened at an earlier step gives the loss that it recorded there."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch

from cpc_engine.anatomy.frozen import Batch
from cpc_engine.anatomy.lineup import line_up
from cpc_engine.anatomy.opened import Opened
from cpc_engine.anatomy.what_if import what_if
from cpc_engine.errors import RunError
from cpc_engine.execution import weight_snapshots
from cpc_engine.execution.execute import execute
from cpc_engine.execution.weight_snapshots import kept_snapshots
from cpc_engine.storage.folder import RunFolder
from cpc_engine.training.control import Control
from tests.support.tiny import tiny

RUNS: dict[str, dict[str, object]] = {
    "queue and noise": {"sampler__queue_size": 300, "sampler__perturbed": True},
    "momentum": {"sampler__queue_size": 300, "sampler__key_momentum": 0.9, "loss__learnable_temperature": True},
    "items": {"sampler__queue_size": 40, "loss__item_weight": 1.0, "sampler__key_momentum": 0.9},
    "input": {"data__dataset": "tones_bars", "sampler__shuffled": "input", "sampler__cross_modal": True},
}


def trained(root: Path, **changes: object) -> RunFolder:
    folder = RunFolder.create(root, tiny(run__precision="32-true", optimizer__steps=10, **changes))
    assert execute(folder, Control()).status == "finished"
    return folder


@pytest.mark.parametrize("exact", [True, False])
@pytest.mark.parametrize("name", list(RUNS))
def test_an_earlier_step_gives_the_loss_that_was_recorded_there(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str, exact: bool
) -> None:
    if exact:  # matrices as they are: what is left is the order of sums
        monkeypatch.setattr(weight_snapshots, "_small", lambda s: {n: t for n, t in s.items() if n[0] != "o"})
    folder = trained(tmp_path, **RUNS[name])
    opened, records = Opened(folder), folder.records()
    assert list(kept_snapshots(folder)) == [1, 2, 4, 6]
    for step in kept_snapshots(folder):
        then = opened.at(step)
        assert then.step == step
        record = records[step]
        for frozen in Batch(then).losses.values():
            expected = (record["modalities"] if frozen.term == "prediction" else record["items"])[frozen.modality]
            outcome = what_if(frozen, 0)
            assert outcome.loss == pytest.approx(expected["loss"], abs=1e-5 if exact else 5e-3)
            for source, stats in expected["sources"].items():
                assert outcome.sources[source].share == pytest.approx(stats["share"], abs=1e-4 if exact else 5e-3)
            queue = line_up(frozen, 0).strips.get("queue")
            if queue is not None:
                assert int(queue.ages.max()) <= step
        assert then.refilled == 0
    assert opened.step == 10, "the run at its present step stays as it is"
    assert opened.at(10) is opened


@pytest.mark.parametrize("at", [3, 4])  # between two snapshots, and right after one: then the next step has it
def test_changes_on_the_way_are_those_of_the_step(at: int, tmp_path: Path) -> None:
    folder = RunFolder.create(tmp_path, tiny(optimizer__steps=10))
    control = Control()

    def change(observed: object) -> None:
        if isinstance(observed, dict) and observed["step"] == at:
            control.change(folder.config(), "loss.temperature", 0.5)

    assert execute(folder, control, change).status == "finished"
    opened = Opened(folder)
    steps = list(kept_snapshots(folder))
    temperatures = {s: Batch(opened.at(s)).losses["prediction", "audio"].temperature for s in steps}
    assert temperatures == pytest.approx({s: 0.2 if s < at else 0.5 for s in steps})
    assert {s: opened.at(s).config.loss.temperature for s in steps} == pytest.approx(temperatures)


def test_a_step_that_is_not_kept_is_told(tmp_path: Path) -> None:
    opened = Opened(trained(tmp_path))
    with pytest.raises(RunError, match=r"keeps no weights of step 3; it keeps"):
        opened.at(3)


def test_random_numbers_of_a_gpu_are_replaced_and_always_the_same(tmp_path: Path) -> None:
    folder = trained(tmp_path, sampler__perturbed=True)
    state = folder.tensors("checkpoint")
    folder.save_tensors("checkpoint", state | {"generator": torch.zeros(16, dtype=torch.uint8)})
    losses = {what_if(Batch(Opened(folder)).losses["prediction", "audio"], 0).loss for _ in range(2)}
    assert len(losses) == 1


@pytest.mark.parametrize(("name", "key"), [("checkpoint", "model.log_scale"), ("checkpoint", "model.predictors")])
def test_numbers_that_are_not_finite_are_told_instead_of_a_loss(name: str, key: str, tmp_path: Path) -> None:
    folder = RunFolder.create(tmp_path, tiny(optimizer__steps=2))
    assert execute(folder, Control()).status == "finished"
    state = folder.tensors(name)
    [first, *_] = [part for part in state if part.startswith(key)]
    folder.save_tensors(name, state | {first: torch.full_like(state[first], torch.inf)})
    with pytest.raises(RunError, match="not finite"):
        Batch(Opened(folder))


def test_random_numbers_of_another_kind_are_told(tmp_path: Path) -> None:
    folder = RunFolder.create(tmp_path, tiny(optimizer__steps=2))
    assert execute(folder, Control()).status == "finished"
    state = folder.tensors("checkpoint")
    folder.save_tensors("checkpoint", state | {"generator": state["generator"].double()})
    with pytest.raises(RunError, match="does not fit this run"):
        Opened(folder)
