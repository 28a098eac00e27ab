"""Runs that go on where they were, and those that cannot."""

from __future__ import annotations

import os
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest
import torch

from cpc_engine.config import RunConfig
from cpc_engine.errors import RunError
from cpc_engine.execution.evaluate import evaluate_run
from cpc_engine.execution.execute import Phase, State, execute
from cpc_engine.exports.bring import bring_run
from cpc_engine.storage.folder import RunFolder, check_resumable
from cpc_engine.training.control import Control
from tests.support.stored import Crash, Observation, crash, orphan, same_weights, steering, train, without_seconds
from tests.support.tiny import tiny

HYBRID = {
    "data__dataset": "tones_bars",
    "optimizer__steps": 6,
    "run__checkpoint_every": 3,
    "sampler__queue_size": 50,
    "sampler__perturbed": True,
    "sampler__shuffled": "batch",
    "sampler__key_momentum": 0.9,
    "loss__pair_weight": 0.5,
    "loss__learnable_temperature": True,
}


def changing(
    control: Control,
    config: RunConfig,
    three: Callable[[], None] | None = None,
    five: Callable[[], None] = lambda: None,
) -> Callable[[Observation], None]:
    """Changes τ after step 2, λ after step 3 (where a checkpoint is made) and σ after step 4."""

    def change(path: str, value: object) -> Callable[[], None]:
        return lambda: control.change(config, path, value)

    pair = three or change("loss.pair_weight", 0.7)
    return steering({2: change("loss.temperature", 0.3), 3: pair, 4: change("sampler.sigma", "0.7"), 5: five})


@pytest.mark.parametrize("end", ["stopped at step 3", "crashed after step 5"])
def test_a_resumed_run_equals_the_uninterrupted_one_bit_for_bit(end: str, tmp_path: Path) -> None:
    """Weights, records, and live changes; the crash comes after a change that the last checkpoint lacks."""
    config = tiny(**HYBRID)
    whole, control = RunFolder.create(tmp_path, config), Control()
    execute(whole, control, changing(control, config))
    changes = [(e["step"], e["setting"], e["value"]) for e in whole.events() if e["kind"] == "change"]
    assert changes == [(2, "loss.temperature", 0.3), (3, "loss.pair_weight", 0.7), (4, "sampler.sigma", 0.7)]

    broken, control = RunFolder.create(tmp_path, config), Control()
    if end.startswith("stopped"):
        assert execute(broken, control, changing(control, config, three=control.stop)).status == "stopped"
        control = Control()
        control.change(config, "loss.pair_weight", 0.7)
        observer = changing(control, config)
    else:
        with pytest.raises(Crash):
            execute(broken, control, changing(control, config, five=crash))
        assert [record["step"] for record in broken.records()] == [1, 2, 3, 4, 5]
        orphan(broken)
        control = Control()
        observer = steering({})  # λ and σ change again at their steps, from events.jsonl
    check_resumable(broken)
    assert execute(broken, control, observer, resume=True) == State("finished")

    assert same_weights(whole, broken)
    assert without_seconds(whole) == without_seconds(broken)
    assert [(e["step"], e["setting"], e["value"]) for e in broken.events() if e["kind"] == "change"] == changes
    assert [e["step"] for e in broken.events() if e["kind"] == "resume"] == [3]


def test_changes_that_are_due_stay_so_however_often_the_run_ends_before_them(tmp_path: Path) -> None:
    config = tiny(**HYBRID)
    whole, control = RunFolder.create(tmp_path, config), Control()
    execute(whole, control, changing(control, config))
    broken, control = RunFolder.create(tmp_path, config), Control()
    with pytest.raises(Crash):
        execute(broken, control, changing(control, config, five=crash))
    orphan(broken)  # changes at steps 3 and 4, the checkpoint at step 3
    for _ in range(2):  # crashes again before any change, and stops before the second
        with pytest.raises(Crash):
            execute(broken, Control(), steering({4: crash}), resume=True)
        orphan(broken)
    control = Control()
    assert execute(broken, control, steering({4: control.stop}), resume=True).status == "stopped"
    assert [e["setting"] for e in broken.events() if e["kind"] == "change"] == ["loss.temperature", "loss.pair_weight"]
    assert [e["setting"] for e in broken.due_changes(4)] == ["sampler.sigma"]
    assert execute(broken, Control(), resume=True) == State("finished")
    assert same_weights(whole, broken)
    assert without_seconds(whole) == without_seconds(broken)


def test_a_copy_of_a_run_that_trains_can_be_resumed(tmp_path: Path) -> None:
    folder, control = RunFolder.create(tmp_path, tiny(optimizer__steps=6)), Control()
    copy = tmp_path / "copy"

    def look(observed: object) -> None:
        if isinstance(observed, dict) and observed["step"] == 2:
            shutil.copytree(folder.path, copy)
            assert folder.info().status == "running"
            info = RunFolder(copy).info()
            assert (info.id, info.status) == ("copy", "interrupted")
            assert info.message == "it was copied while it trained; it can begin again"
            check_resumable(RunFolder(copy))

    assert execute(folder, control, look).status == "finished"
    assert execute(RunFolder(copy), Control(), resume=True).status == "finished"
    assert same_weights(folder, RunFolder(copy))


def test_a_change_shows_in_the_records(tmp_path: Path) -> None:
    config = tiny(optimizer__steps=4)
    folder, control = RunFolder.create(tmp_path, config), Control()
    execute(folder, control, steering({2: lambda: control.change(config, "loss.temperature", 0.5)}))
    assert [round(r["temperature"], 5) for r in folder.records()] == [0.2, 0.2, 0.5, 0.5]


def test_resuming_deletes_the_map_and_the_probe_of_older_weights(tmp_path: Path) -> None:
    folder, control = RunFolder.create(tmp_path, tiny(optimizer__steps=4)), Control()
    execute(folder, control, steering({2: control.stop}))
    evaluate_run(folder)
    assert {"map.json", "evaluation.json", "probe.safetensors"} <= set(os.listdir(folder.path))
    listings: list[set[str]] = []

    def look(observed: object) -> None:
        if isinstance(observed, Phase) and observed.text == "drawing the map":
            listings.append(set(os.listdir(folder.path)))

    execute(folder, Control(), look, resume=True)
    assert not {"map.json", "typicality.safetensors"} & listings[0]
    assert folder.json("map") is not None  # drawn again
    assert folder.json("evaluation") is None
    assert not folder.has_tensors("probe")


def test_a_run_without_a_first_checkpoint_starts_again(tmp_path: Path) -> None:
    config = tiny(optimizer__steps=4)
    whole = train(tmp_path, config)
    folder = RunFolder.create(tmp_path, config)
    with pytest.raises(Crash):
        execute(folder, Control(), steering({2: crash}))
    orphan(folder)
    check_resumable(folder)
    assert execute(folder, Control(), resume=True) == State("finished")
    assert without_seconds(folder) == without_seconds(whole)


def test_a_run_with_a_lost_checkpoint_cannot_be_resumed(tmp_path: Path) -> None:
    folder, control = RunFolder.create(tmp_path, tiny()), Control()
    execute(folder, control, steering({2: control.stop}))
    (folder.path / "checkpoint.safetensors").unlink()
    with pytest.raises(RunError, match="no checkpoint to go on from"):
        check_resumable(folder)


def test_a_checkpoint_of_another_network_is_refused(tmp_path: Path) -> None:
    folder, control = RunFolder.create(tmp_path, tiny()), Control()
    execute(folder, control, steering({2: control.stop}))
    folder.save_json("config", tiny(context__hidden_dim=24).to_dict())
    records = folder.records()
    end = execute(folder, Control(), resume=True)
    assert (end.status, end.unexpected) == ("failed", False)
    assert "checkpoint.safetensors does not fit" in end.message
    assert "\n" not in end.message
    assert folder.records() == records


@pytest.mark.parametrize("end", ["", '{"step": 9, "loss"', "\n", "{}\n"])
def test_records_are_written_again_only_where_something_is_cut(end: str, tmp_path: Path) -> None:
    run = train(tmp_path, tiny(optimizer__steps=6))
    path, before = run.path / "metrics.jsonl", run.records()
    untouched = path.read_bytes()
    path.write_bytes(untouched + end.encode())
    inode = path.stat().st_ino
    assert run.forget_after(6) == run.records() == before
    assert path.read_bytes() == untouched, "what a crash has left would spoil the next line"
    assert (path.stat().st_ino == inode) == (end == "")
    assert run.forget_after(4) == run.records() == [record for record in before if record["step"] <= 4]
    path.unlink()
    assert run.forget_after(2) == []
    assert path.read_bytes() == b""


@pytest.mark.parametrize(
    ("every", "way_on", "step"),
    [(100, "it can begin again", 0), (2, "it can be resumed at step 4", 4), (5, "it can be resumed at step 5", 5)],
)
def test_a_run_whose_process_has_gone_names_the_step_it_goes_on_from(
    every: int, way_on: str, step: int, tmp_path: Path
) -> None:
    """Which is not that of its last record: the steps after the checkpoint are made again."""
    folder = RunFolder.create(tmp_path, tiny(optimizer__steps=7, run__checkpoint_every=every))
    with pytest.raises(Crash):
        execute(folder, Control(), steering({6 if every == 5 else 5: crash}))
    orphan(folder)
    assert len(folder.records()) > step
    assert folder.info().message == f"the process that trained it has gone; {way_on}"
    brought, _ = bring_run(folder.path, tmp_path / "others")
    assert brought.info().message == f"it was brought in before it had ended; {way_on}"
    assert execute(folder, Control(), resume=True) == State("finished")
    assert [event["step"] for event in folder.events() if event["kind"] == "resume"] == [step]


def test_a_run_whose_process_and_checkpoint_have_gone_does_not_promise_to_go_on(tmp_path: Path) -> None:
    folder = RunFolder.create(tmp_path, tiny(optimizer__steps=4, run__checkpoint_every=1))
    with pytest.raises(Crash):
        execute(folder, Control(), steering({3: crash}))
    orphan(folder)
    (folder.path / "checkpoint.safetensors").unlink()
    assert folder.info().message == "the process that trained it has gone; it has no checkpoint to go on from"
    with pytest.raises(RunError, match="has no checkpoint to go on from"):
        check_resumable(folder)


def test_a_run_killed_between_its_first_checkpoint_and_the_note_of_it_names_the_checkpoints_step(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = RunFolder.create(tmp_path, tiny(optimizer__steps=4, run__checkpoint_every=2))
    save = RunFolder.save_tensors

    def killed(self: RunFolder, name: str, tensors: dict[str, torch.Tensor]) -> None:
        save(self, name, tensors)
        if name == "checkpoint":
            crash()

    monkeypatch.setattr(RunFolder, "save_tensors", killed)
    with pytest.raises(Crash):
        execute(folder, Control())
    orphan(folder)
    assert folder.info().steps_done == 0
    assert folder.info().message.endswith("; it can be resumed at step 2")


@pytest.mark.parametrize("more_types", [False, True])
def test_a_damaged_checkpoint_is_named_where_its_step_would_be(tmp_path: Path, more_types: bool) -> None:
    """Also where another library has taught NumPy bfloat16."""
    if more_types:
        pytest.importorskip("ml_dtypes")
    folder = RunFolder.create(tmp_path, tiny(optimizer__steps=4, run__checkpoint_every=2))
    with pytest.raises(Crash):
        execute(folder, Control(), steering({3: crash}))
    orphan(folder)
    for damage in (torch.zeros(()), torch.tensor([99.0, 0.0]), torch.tensor([torch.nan, 0]), torch.ones(2).bfloat16()):
        folder.save_tensors("checkpoint", {"progress": damage})
        info = folder.info()
        assert info.status == "interrupted"
        assert "checkpoint.safetensors is damaged (" in info.message
        assert "resumed" not in info.message
