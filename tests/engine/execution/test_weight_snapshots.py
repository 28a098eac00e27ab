"""Weight snapshots: at the planned steps and only there, the same after a resume, small, and checked when read."""

from __future__ import annotations

import io
import shutil
from pathlib import Path

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from safetensors.torch import load_file, save_file

from cpc_engine.config import all_settings
from cpc_engine.errors import RunError
from cpc_engine.execution.execute import execute
from cpc_engine.execution.fork import fork
from cpc_engine.execution.weight_snapshots import FILES, WeightSnapshots, kept_snapshots, load_state, snapshot_steps
from cpc_engine.exports.bring import bring_run
from cpc_engine.exports.bundle import pack_run
from cpc_engine.storage.folder import RunFolder
from cpc_engine.training.control import Control
from tests.support.tiny import tiny

KINDS = {"sampler__queue_size": 60, "sampler__key_momentum": 0.9, "loss__item_weight": 0.5}
STEPS = 12
PLANNED = [1, 2, 4, 8]  # of 12, at most 4


@pytest.fixture(scope="module")
def finished(tmp_path_factory: pytest.TempPathFactory) -> RunFolder:
    folder = RunFolder.create(tmp_path_factory.mktemp("kept"), tiny(**KINDS, optimizer__steps=STEPS))
    assert execute(folder, Control()).status == "finished"
    return folder


@pytest.fixture
def copied(finished: RunFolder, tmp_path: Path) -> RunFolder:
    return RunFolder(Path(shutil.copytree(finished.path, tmp_path / finished.id)))


@given(total=st.integers(1, 5000), count=st.integers(0, 10))
def test_the_steps_lie_within_the_run_and_are_not_too_many(total: int, count: int) -> None:
    steps = snapshot_steps(total, count)
    assert len(steps) <= count
    assert all(0 < step < total for step in steps)
    assert steps == sorted(set(steps))
    if total > count * (count + 2) ** 2:
        assert len(steps) == count


def test_there_is_a_file_for_each_that_can_be_asked_for() -> None:
    asked = next(setting for setting in all_settings() if setting.path == "run.snapshots")
    assert asked.maximum == len(FILES)


def test_a_run_keeps_itself_at_the_planned_steps(finished: RunFolder) -> None:
    kept = kept_snapshots(finished)
    assert list(kept) == PLANNED == snapshot_steps(STEPS, 4)
    state = finished.tensors("checkpoint")
    small = load_state(finished, kept[8])
    assert small.keys() == {name for name in state if not name.startswith("optimizer.")}
    for name, tensor in small.items():
        halved = tensor.ndim > 1 and state[name].dtype == torch.float32
        assert tensor.dtype == (torch.float16 if halved else state[name].dtype), name
    assert small["queue.audio.vectors"].shape == (60, 8)
    size = (finished.path / "snapshot-1.safetensors").stat().st_size
    assert size < 0.5 * (finished.path / "checkpoint.safetensors").stat().st_size


def test_keeping_them_changes_nothing_else_and_none_are_kept_where_none_are_wanted(
    finished: RunFolder, tmp_path: Path
) -> None:
    plain = RunFolder.create(tmp_path, tiny(**KINDS, optimizer__steps=STEPS, run__snapshots=0))
    execute(plain, Control())
    assert kept_snapshots(plain) == {}
    mine, other = finished.tensors("checkpoint"), plain.tensors("checkpoint")
    assert all(torch.equal(mine[name], other[name]) for name in mine if name != "progress")


@pytest.mark.parametrize("stop_at", [1, 5, 8])
def test_a_resumed_run_has_the_snapshots_of_one_that_was_not_stopped(
    finished: RunFolder, tmp_path: Path, stop_at: int
) -> None:
    """It breaks off two steps after its last checkpoint, with snapshots that the checkpoint does not know."""
    config = tiny(**KINDS, optimizer__steps=STEPS, run__checkpoint_every=max(1, stop_at - 1))
    folder = RunFolder.create(tmp_path, config)

    def break_off(observed: object) -> None:
        if isinstance(observed, dict) and observed["step"] == stop_at:
            raise RuntimeError("the power went")

    execute(folder, Control(), break_off)
    assert execute(folder, Control(), resume=True).status == "finished"
    kept, expected = kept_snapshots(folder), kept_snapshots(finished)
    assert kept == expected
    for name in kept.values():
        mine, other = load_state(folder, name), load_state(finished, name)
        assert mine.keys() == other.keys()
        assert all(torch.equal(mine[key], other[key]) for key in mine if key != "progress")


def test_what_is_newer_than_the_checkpoint_goes_before_the_run_goes_on(copied: RunFolder) -> None:
    (copied.path / "snapshot-1.safetensors").write_bytes(b"half")
    WeightSnapshots(copied, copied.config()).go_on(4)
    assert list(kept_snapshots(copied)) == [2, 4]
    assert "a weight snapshot is lost" in (copied.path / "log.jsonl").read_text()


def test_a_fork_keeps_the_step_where_it_branched_off_and_those_of_its_own(finished: RunFolder, tmp_path: Path) -> None:
    forks = fork(finished, {"sampler.key_momentum": 0.8}, tmp_path, steps=20)
    for run in (forks.child, forks.control):
        assert list(kept_snapshots(run)) == [12]
        assert execute(run, Control(), resume=True).status == "finished"
        assert list(kept_snapshots(run)) == [12, 20], "1, 5 and 12 of 32 lie before it"
    assert list(kept_snapshots(finished)) == PLANNED


def test_they_go_along_when_a_run_is_handed_on(finished: RunFolder, tmp_path: Path) -> None:
    file = tmp_path / "run.zip"
    stream = io.BytesIO()
    pack_run(finished, stream)
    file.write_bytes(stream.getvalue())
    brought, skipped = bring_run(file, tmp_path / "runs")
    assert skipped == []
    assert kept_snapshots(brought) == kept_snapshots(finished)
    for name in FILES[:4]:
        assert (brought.path / name).read_bytes() == (finished.path / name).read_bytes()


def damage(path: Path, **changes: torch.Tensor) -> None:
    save_file({**load_file(path), **changes}, path)


def test_a_damaged_one_is_told_in_one_line(copied: RunFolder, tmp_path: Path) -> None:
    path = copied.path / "snapshot-2.safetensors"
    damage(path, **{"model.log_scale": torch.tensor(torch.nan)})
    with pytest.raises(RunError, match=r"snapshot-2\.safetensors is damaged \(model\.log_scale has values"):
        load_state(copied, "snapshot-2")
    with pytest.raises(RunError, match=r"snapshot-2\.safetensors is damaged"):
        bring_run(copied.path, tmp_path / "runs")
    damage(path, **{"model.log_scale": torch.tensor(0.0), "optimizer.0.exp_avg": torch.zeros(1)})
    with pytest.raises(RunError, match="no part of a snapshot"):
        load_state(copied, "snapshot-2")
    damage(path, progress=torch.tensor([STEPS + 1.0, 0.0], dtype=torch.float64))
    with pytest.raises(RunError, match="no step of this run"):
        kept_snapshots(copied)
    path.write_bytes(b"half")
    with pytest.raises(RunError, match=r"snapshot-2\.safetensors is damaged"):
        kept_snapshots(copied)
