"""Paired forks: without a change both are the same bit for bit, and the same as the run that they branched off."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch

import cpc_engine as cpc
from cpc_engine.cli import main
from cpc_engine.errors import ConfigError, RunError
from cpc_engine.execution.execute import execute
from cpc_engine.execution.fork import fork
from cpc_engine.storage.folder import RunFolder
from cpc_engine.training.control import Control
from tests.support.tiny import tiny

HYBRID = {
    "sampler__queue_size": 60,
    "sampler__perturbed": True,
    "sampler__mixed": 10,
    "loss__item_weight": 0.5,
    "run__precision": "32-true",
}


@pytest.fixture(scope="module")
def finished(tmp_path_factory: pytest.TempPathFactory) -> RunFolder:
    folder = RunFolder.create(tmp_path_factory.mktemp("forked"), tiny(**HYBRID, optimizer__steps=4, run__name="Parent"))
    assert execute(folder, Control()).status == "finished"
    return folder


def trained(folder: RunFolder) -> dict[str, torch.Tensor]:
    ended = execute(folder, Control(), resume=True)
    assert ended.status == "finished", ended.message
    return folder.tensors("checkpoint")


def test_a_fork_without_a_change_is_its_control(finished: RunFolder, tmp_path: Path) -> None:
    forks = fork(finished, {}, tmp_path, steps=5)
    assert forks.step == 4
    child, control = trained(forks.child), trained(forks.control)
    assert child.keys() == control.keys()
    assert all(torch.equal(child[name], control[name]) for name in child if name != "progress")
    records = [[{**row, "seconds": 0} for row in run.records()] for run in (forks.child, forks.control)]
    assert records[0] == records[1]
    assert [row["step"] for row in records[0]] == list(range(1, 10))
    assert forks.child.info().name == "Parent: no change"
    assert finished.info().steps_done == 4, "the run itself stays as it is"


def test_a_fork_is_what_the_run_would_have_become(tmp_path: Path) -> None:
    whole = RunFolder.create(tmp_path, tiny(**HYBRID, optimizer__steps=9))
    execute(whole, Control())
    control = Control()
    part = RunFolder.create(tmp_path, tiny(**HYBRID, optimizer__steps=9))

    def stop(observed: object) -> None:
        if isinstance(observed, dict) and observed["step"] == 4:
            control.stop()

    assert execute(part, control, stop).status == "stopped"
    forks = fork(part, {}, tmp_path)
    went_on, expected = trained(forks.control), whole.tensors("checkpoint")
    assert all(torch.equal(went_on[name], expected[name]) for name in expected if name != "progress")


@pytest.mark.parametrize(
    "changes",
    [
        {"loss.temperature": 0.5},
        {"sampler.queue_size": 20},
        {"sampler.queue_size": 0},
        {"sampler.key_momentum": 0.9},
        {"sampler.sigma": 1.0, "sampler.hardness": 0.5},
    ],
)
def test_a_change_takes_effect_from_the_first_step_on(
    finished: RunFolder, tmp_path: Path, changes: dict[str, object]
) -> None:
    forks = fork(finished, changes, tmp_path, steps=2)
    child, control = trained(forks.child), trained(forks.control)
    differ = [name for name in control if name.startswith("model.") and not torch.equal(child[name], control[name])]
    assert differ
    first = [run.records()[4] for run in (forks.child, forks.control)]
    assert [row["step"] for row in first] == [5, 5]
    if "loss.temperature" in changes:
        assert first[0]["temperature"] == pytest.approx(0.5)
    if "sampler.queue_size" in changes:
        assert len(child["queue.audio.ids"]) == changes["sampler.queue_size"]


def test_what_would_be_another_network_or_other_draws_is_refused(finished: RunFolder, tmp_path: Path) -> None:
    for path, value in (("run.seed", 1), ("context.latent_dim", 16), ("optimizer.batch_size", 8), ("audio.width", 16)):
        with pytest.raises(ConfigError, match=f"{path} must stay"):
            fork(finished, {path: value}, tmp_path)
    with pytest.raises(ConfigError, match="cannot be added or taken away"):
        fork(finished, {"loss.item_weight": 0}, tmp_path)
    bare = RunFolder.create(tmp_path, tiny())
    with pytest.raises(RunError, match="no checkpoint"):
        fork(bare, {}, tmp_path)


def test_the_command_trains_both(finished: RunFolder, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    arguments = ["fork", str(finished.path), "--set", "sampler.sigma=0.7", "--steps", "2", "--runs", str(tmp_path)]
    assert main(arguments) == 0
    said = capsys.readouterr().out
    assert "Parent: sigma 0.7: finished after 6 steps" in said
    assert "Parent: control: finished after 6 steps" in said
    assert main([*arguments[:2], "--steps", "0"]) == 2


@pytest.mark.parametrize("steps", [0, -2])
def test_a_fork_of_no_steps_is_refused(steps: int, tmp_path: Path) -> None:
    folder = RunFolder.create(tmp_path, tiny())
    assert execute(folder, Control()).status == "finished"
    with pytest.raises(ConfigError, match="at least 1 step"):
        cpc.open(folder.path).fork({}, steps=steps, progress=False)
    assert [path.name for path in tmp_path.iterdir() if not path.name.startswith(".")] == [folder.id]
