"""Paired forks: without a change both are the same bit for bit, and the same as the run that they branched off."""

from __future__ import annotations

import json
import shutil
from collections.abc import Iterable
from pathlib import Path

import numpy as np
import pytest
import torch

import cpc_engine as cpc
from cpc_engine.cli import main
from cpc_engine.comparison.arms import ComparedRun
from cpc_engine.comparison.collect import branch_of, load_compared
from cpc_engine.comparison.forks import Fork as Paired
from cpc_engine.comparison.forks import differences, judge_forks, paired
from cpc_engine.data import load_dataset
from cpc_engine.errors import ConfigError, RunError
from cpc_engine.evaluation.embed import embed
from cpc_engine.execution.execute import State, execute
from cpc_engine.execution.fork import Forks, _generator_state, fork, undo
from cpc_engine.maps.snapshots import load_snapshots
from cpc_engine.storage.artifacts import load_model
from cpc_engine.storage.folder import RunFolder
from cpc_engine.storage.listing import scan_runs
from cpc_engine.training.control import Control
from tests.support.stored import orphan
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


def sides(forks: Forks) -> tuple[RunFolder, RunFolder]:
    return forks.child, forks.control


@pytest.mark.parametrize("length", [1, 70, 79, 80, 110, 120])
@pytest.mark.parametrize(
    "changes", [{}, {"loss.temperature": 0.1}, {"sampler.sigma": 0.5, "sampler.mixed": 20, "loss.item_weight": 0.25}]
)
def test_child_and_control_are_told_apart_however_long_the_name_is(
    finished: RunFolder, tmp_path: Path, length: int, changes: dict[str, float]
) -> None:
    long = tmp_path / "long"
    shutil.copytree(finished.path, long)
    config = json.loads((long / "config.json").read_text())
    config["run"]["name"] = "名" * length
    (long / "config.json").write_text(json.dumps(config))
    forks = fork(RunFolder(long), changes, tmp_path, steps=1)
    child, control = forks.child.info().name, forks.control.info().name
    label = ", ".join(f"{path.partition('.')[2]} {value}" for path, value in changes.items()) or "no change"
    assert child == "名" * min(length, 118 - len(label)) + f": {label}"
    assert control == "名" * min(length, 111) + ": control"


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


@pytest.mark.parametrize("width", [16, 40])
def test_the_moving_map_of_a_fork_has_one_set_of_directions(tmp_path: Path, width: int) -> None:
    """A finished run keeps at most 32 directions of its own; steps after it have all."""
    changes = {"context__hidden_dim": width, "evaluation__every": 2}
    parent = RunFolder.create(tmp_path, tiny(**changes, optimizer__steps=4))
    execute(parent, Control())
    control = fork(parent, {}, tmp_path, steps=4).control
    trained(control)
    found = load_snapshots(control)
    assert found is not None
    assert found.steps == [4, 6, 8]
    items = load_dataset(control.config()).validation.take(torch.from_numpy(found.rows))
    contexts = [embed(load_model(run), items)["audio"].mean_context for run in (parent, control)]
    unit = torch.nn.functional.normalize(torch.cat(contexts), dim=1).numpy()
    kept = np.concatenate([found.features[0], found.features[2]])
    np.testing.assert_allclose(kept @ kept.T, unit @ unit.T, atol=5e-3)


def test_the_moving_map_of_a_fork_begins_where_it_branched_off(tmp_path: Path) -> None:
    """Step 5 is none at which a run of ten steps is measured."""
    parent = RunFolder.create(tmp_path, tiny(evaluation__every=2, optimizer__steps=5))
    execute(parent, Control())
    control = Control()
    child = fork(parent, {}, tmp_path, steps=5).child

    def stop(observed: object) -> None:
        if isinstance(observed, dict) and observed["step"] == 7:
            control.stop()

    execute(child, control, stop, resume=True)
    trained(child)
    found = load_snapshots(child)
    assert found is not None
    assert found.steps == [5, 6, 8, 10]


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
    assert [run.id for run in scan_runs(tmp_path)[0]] == [bare.id]


@pytest.mark.parametrize(
    ("own", "changes", "says"),
    [
        ({}, {"optimizer.steps": 2}, "how many steps both go on"),
        ({}, {"optimizer.steps": 90}, "how many steps both go on"),
        ({}, {"sampler.cross_modal": True}, "these data have only one"),
        ({}, {"sampler.in_batch": False}, "No negatives are left"),
        ({"loss__invariance_weight": 25.0, "loss__variance_weight": 25.0}, {"loss.item_weight": 1.0}, "added or taken"),
    ],
)
def test_a_fork_that_would_not_train_is_refused_before_it_is_made(
    tmp_path: Path, own: dict[str, object], changes: dict[str, object], says: str
) -> None:
    parent = RunFolder.create(tmp_path, tiny(**own))
    assert execute(parent, Control()).status == "finished"
    with pytest.raises(ConfigError, match=says):
        fork(parent, changes, tmp_path)
    assert [run.id for run in scan_runs(tmp_path)[0]] == [parent.id]


def test_what_a_machine_trains_with_is_changed_for_both(finished: RunFolder, tmp_path: Path) -> None:
    forks = fork(finished, {"run.device": "auto", "run.threads": 2, "loss.temperature": 0.5}, tmp_path)
    configs = [run.config() for run in (forks.child, forks.control)]
    assert [(config.run.device, config.run.threads) for config in configs] == [("auto", 2)] * 2
    assert "loss.temperature" in configs[0].differences(configs[1])
    assert forks.child.info().name == "Parent: temperature 0.5"


def test_a_run_of_a_gpu_goes_on_without_one(tmp_path: Path) -> None:
    """Its random numbers cannot: others are drawn, the same by a fork and its control."""
    parent = RunFolder.create(tmp_path, tiny(**HYBRID, optimizer__steps=6))
    control = Control()

    def stop(observed: object) -> None:
        if isinstance(observed, dict) and observed["step"] == 3:
            control.stop()

    execute(parent, control, stop)
    state = parent.tensors("checkpoint")
    parent.save_tensors("checkpoint", state | {"generator": _generator_state(0, 16)})
    child, control_of = map(trained, sides(fork(parent, {}, tmp_path)))
    went_on = trained(parent)
    for name in (name for name in went_on if name != "progress"):
        assert torch.equal(child[name], control_of[name])
        assert torch.equal(child[name], went_on[name])
    assert "other random numbers" in (parent.path / "log.jsonl").read_text()


def test_a_change_that_a_killed_run_would_make_again_is_made_by_both(tmp_path: Path) -> None:
    parent = RunFolder.create(tmp_path, tiny(optimizer__steps=6, run__checkpoint_every=3))
    control = Control()

    def steer(observed: object) -> None:
        if isinstance(observed, dict) and observed["step"] == 4:
            control.change(parent.config(), "sampler.sigma", 0.9)
            control.change(parent.config(), "loss.temperature", 0.5)
        if isinstance(observed, dict) and observed["step"] == 5:
            raise KeyboardInterrupt  # as if killed: the checkpoint is that of step 3

    with pytest.raises(KeyboardInterrupt):
        execute(parent, control, steer)
    orphan(parent)
    forks = fork(parent, {"loss.temperature": 0.7}, tmp_path)
    assert forks.step == 3
    trained(forks.child)
    trained(forks.control)
    changed = [[(e["step"], e["setting"]) for e in run.events() if e["kind"] == "change"] for run in sides(forks)]
    assert changed == [[(4, "sampler.sigma")], [(4, "sampler.sigma"), (4, "loss.temperature")]]


def test_the_command_trains_both(finished: RunFolder, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    arguments = ["fork", str(finished.path), "--set", "sampler.sigma=0.7", "--steps", "2", "--runs", str(tmp_path)]
    assert main(arguments) == 0
    said = capsys.readouterr().out
    assert "Parent: sigma 0.7: finished after 6 steps" in said
    assert "Parent: control: finished after 6 steps" in said
    assert main([*arguments[:2], "--steps", "0"]) == 2


def test_pairs_begin_alike_and_go_on_with_their_own_order_and_noise(finished: RunFolder, tmp_path: Path) -> None:
    pairs = [fork(finished, {}, tmp_path, steps=3, pair=number) for number in (0, 1, 2)]
    stored = finished.tensors("checkpoint")
    for number, pair in enumerate(pairs):
        states = [run.tensors("checkpoint") for run in (pair.child, pair.control)]
        assert all(torch.equal(states[0][name], states[1][name]) for name in stored)
        differ = [name for name in stored if not torch.equal(states[0][name], stored[name])]
        assert differ == (["generator"] if number else [])
        assert [run.config().run.seed for run in (pair.child, pair.control)] == [10_000 * number] * 2
    ended = [(trained(pair.child), trained(pair.control)) for pair in pairs]
    for child, control in ended:
        assert all(torch.equal(child[name], control[name]) for name in child if name != "progress")
    weights = [
        child["model.log_scale"].new_tensor([float(t.double().sum()) for t in child.values()]) for child, _ in ended
    ]
    assert not torch.equal(weights[0], weights[1])
    assert not torch.equal(weights[1], weights[2])
    runs = [run for pair in pairs for run in (pair.child, pair.control)]
    [found] = paired(map(load_compared, runs))
    assert len(found.pairs) == 3
    assert found.title == "no change"
    assert (found.begins, found.origins) == (4, [finished.id])
    curves = differences([(pair.child.records(), pair.control.records()) for pair in pairs], found.begins)
    assert {"loss", "accuracy", "spread", "share.queue", "share.perturbed"} <= {curve.metric for curve in curves}
    for curve in curves:
        assert curve.values.shape[0] == 3
        assert not curve.values.any(), f"{curve.metric}: without a change nothing differs"
    [verdicts] = judge_forks([found], "spread")
    assert {verdict.difference for name, verdict in verdicts.items() if name != "seconds" and verdict.p} == {0.0}


def test_the_untrained_network_of_every_pair_is_the_one_that_all_began_as(finished: RunFolder, tmp_path: Path) -> None:
    first, second = (fork(finished, {}, tmp_path, steps=1, pair=pair) for pair in (0, 1))
    again = fork(second.child, {}, tmp_path, steps=1, pair=1)  # a fork of a fork
    untrained = []
    for folder in (first.child, second.child, again.control):
        trained(folder)
        probes = cpc.open(folder.id, tmp_path).evaluate().document["probe"]
        untrained.append({name: (row["untrained"], row["untrained_validation"]) for name, row in probes.items()})
    assert untrained[0] == untrained[1] == untrained[2]
    seeds = {folder.config().run.seed for folder in (first.child, second.child, again.control)}
    assert len(seeds) == 3


def test_the_random_numbers_of_another_pair_fit_the_device() -> None:
    """A GPU's generator has 16 bytes, seed and offset; a CPU's those of the Mersenne twister."""
    assert _generator_state(7, 16).view(torch.int64).tolist() == [7, 0]
    own = torch.Generator()
    own.set_state(_generator_state(7, len(own.get_state())))
    assert torch.equal(torch.rand(5, generator=own), torch.rand(5, generator=torch.Generator().manual_seed(7)))


@pytest.fixture
def steered(tmp_path: Path) -> RunFolder:
    """A run whose σ and τ were changed after its second and fourth step."""
    control = Control()
    folder = RunFolder.create(tmp_path, tiny(**HYBRID, optimizer__steps=6, run__name="Steered"))

    def steer(observed: object) -> None:
        if isinstance(observed, dict) and observed["step"] == 2:
            control.change(folder.config(), "sampler.sigma", 0.9)
        if isinstance(observed, dict) and observed["step"] == 4:
            control.change(folder.config(), "loss.temperature", 0.5)

    assert execute(folder, control, steer).status == "finished"
    return folder


def test_changes_on_the_way_are_undone_and_their_control_is_the_run_again(steered: RunFolder, tmp_path: Path) -> None:
    forks = undo(steered, tmp_path)
    child, control = trained(forks.child), trained(forks.control)
    plain = RunFolder.create(tmp_path, tiny(**HYBRID, optimizer__steps=6))
    assert execute(plain, Control()).status == "finished"
    for state, expected in ((child, plain.tensors("checkpoint")), (control, steered.tensors("checkpoint"))):
        assert all(torch.equal(state[name], expected[name]) for name in expected if name != "progress")

    def changes(folder: RunFolder) -> list[tuple[int, str, object]]:
        return [(e["step"], e["setting"], e["value"]) for e in folder.events() if e["kind"] == "change"]

    assert changes(forks.child) == []
    assert changes(forks.control) == changes(steered) == [(2, "sampler.sigma", 0.9), (4, "loss.temperature", 0.5)]
    curves = {one.metric: one for one in differences([(forks.child.records(), forks.control.records())])}
    assert curves["loss"].values[0, :2].tolist() == [0, 0]
    assert curves["loss"].values[0, 2] != 0
    [found] = paired(map(load_compared, (forks.child, forks.control)))
    assert found.title == "without the change of Noise σ at step 2, without the change of Temperature τ at step 4"
    other = undo(steered, tmp_path, steps=2, pair=1)
    assert other.child.config().run.seed == other.control.config().run.seed == 10_000
    assert other.child.config().optimizer.steps == 2


def test_what_cannot_be_undone_is_told(finished: RunFolder, steered: RunFolder, tmp_path: Path) -> None:
    with pytest.raises(RunError, match="no setting was changed"):
        undo(finished, tmp_path)
    forks = fork(steered, {}, tmp_path, steps=2)
    forks.child.append_event({"step": 7, "kind": "change", "setting": "sampler.sigma", "value": 0.1})
    with pytest.raises(RunError, match="is a fork that began at step 6"):
        undo(forks.child, tmp_path)


def test_a_damaged_link_is_told(finished: RunFolder, tmp_path: Path) -> None:
    child = fork(finished, {}, tmp_path, steps=1).child
    (child.path / "fork.json").write_text('{"of": 3, "step": -1}')
    with pytest.raises(RunError, match=r"fork\.json is damaged"):
        branch_of(child)


def test_the_command_trains_pairs_and_undoes(
    steered: RunFolder, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    begin = ["fork", str(steered.path), "--steps", "2", "--runs", str(tmp_path)]
    assert main([*begin, "--set", "sampler.sigma=0.7", "--seeds", "2", "--primary", "spread", "--json"]) == 0
    document = json.loads(capsys.readouterr().out)
    assert len(document["pairs"]) == 2
    assert document["fork"] == document["pairs"][0]["fork"]
    first = document["comparison"][0]
    assert (first["fork n"], first["control n"]) == (2, 2)
    assert main([*begin, "--undo-changes"]) == 0
    said = capsys.readouterr().out
    assert "Steered: without its changes: finished after 2 steps" in said
    assert "fork − control" in said
    assert main([*begin, "--seeds", "0"]) == 2
    assert main([*begin, "--undo-changes", "--set", "sampler.sigma=0.7"]) == 2
    assert main([*begin, "--primary", "nonsense"]) == 2


def test_what_stops_a_fork_ends_all_its_pairs(
    finished: RunFolder, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """As Ctrl-C and SIGTERM do: the run is kept, and nothing else begins."""
    began = []

    def stopped(folder: RunFolder, resume: bool, *_: object, **__: object) -> State:
        began.append(folder.id)
        control = Control()
        control.stop()
        return execute(folder, control, resume=resume)

    monkeypatch.setattr("cpc_engine.api.foreground.execute_here", stopped)
    command = ["fork", str(finished.path), "--set", "sampler.sigma=0.7", "--seeds", "3", "--runs", str(tmp_path)]
    assert main(command) == 130
    assert len(began) == 1
    assert [run.status for run in scan_runs(tmp_path)[0]] == ["stopped", "stopped"], "both can be resumed"
    assert "interrupted" in capsys.readouterr().err


def test_pairs_that_ended_before_a_change_was_due_are_told_apart(
    steered: RunFolder, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def each(runs: Iterable[ComparedRun]) -> list[Paired]:
        return [Paired((pair,)) for found in paired(runs) for pair in found.pairs]

    monkeypatch.setattr("cpc_engine.comparison.forks.paired", each)
    begin = ["fork", str(steered.path), "--steps", "2", "--runs", str(tmp_path), "--undo-changes", "--seeds", "2"]
    assert main(begin) == 0
    assert capsys.readouterr().out.count("fork − control") == 2


@pytest.mark.parametrize("steps", [0, -2])
def test_a_fork_of_no_steps_is_refused(steps: int, tmp_path: Path) -> None:
    folder = RunFolder.create(tmp_path, tiny())
    assert execute(folder, Control()).status == "finished"
    with pytest.raises(ConfigError, match="at least 1 step"):
        cpc.open(folder.path).fork({}, steps=steps, progress=False)
    assert [path.name for path in tmp_path.iterdir() if not path.name.startswith(".")] == [folder.id]
