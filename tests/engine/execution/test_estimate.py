"""Tests of the estimate of training time, from earlier runs and from a few measured steps."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from cpc_engine.errors import RunError
from cpc_engine.execution.duration.estimate import Estimate, estimate
from cpc_engine.execution.duration.step_time import measure_step_time
from cpc_engine.storage.folder import RunFolder
from cpc_engine.storage.listing import list_runs
from tests.support.tiny import tiny


def finished(root: Path, speed: float, device: str = "cpu", steps: int = 50, **changes: Any) -> RunFolder:
    folder = RunFolder.create(root, tiny(**changes))
    folder.update(status="finished", steps_done=steps, seconds=steps / speed, device=device)
    return folder


def test_estimate_is_the_median_of_runs_of_the_same_size(tmp_path: Path) -> None:
    for speed in (4.0, 5.0, 50.0):
        finished(tmp_path, speed, run__seed=int(speed), run__name="a", loss__temperature=0.3, optimizer__steps=7)
    finished(tmp_path, 100.0, optimizer__batch_size=32)  # another size
    finished(tmp_path, 100.0, sampler__queue_size=64)
    finished(tmp_path, 100.0, device="cuda:0")
    finished(tmp_path, 100.0, steps=2)  # too few steps
    finished(tmp_path, 100.0).mark_example("trained elsewhere", 1)
    (finished(tmp_path, 100.0).path / "config.json").write_text("{")
    infos = list_runs(tmp_path)
    assert estimate(tiny(optimizer__steps=200), "cpu", infos, tmp_path) == Estimate(40.0, 3)
    on_gpu = estimate(tiny(optimizer__steps=200), "cuda:0", infos, tmp_path)
    assert on_gpu is not None
    assert on_gpu.seconds == pytest.approx(2.0)


def test_no_estimate_without_a_run_of_the_same_size(tmp_path: Path) -> None:
    finished(tmp_path, 5.0)
    infos = list_runs(tmp_path)
    assert estimate(tiny(context__hidden_dim=32), "cpu", infos, tmp_path) is None
    assert estimate(tiny(), "cpu", [], tmp_path) is None


def test_step_time_is_measured_in_a_temporary_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    assert 0 < measure_step_time(tiny(optimizer__steps=100_000, run__record_every=7)) < 10
    assert not list(tmp_path.iterdir()), "nothing is left behind"
    with pytest.raises(RunError, match=r"these settings do not train: .*gone"):
        measure_step_time(tiny(data__dataset="audio_folder", data__path=str(tmp_path / "gone")))
    assert not list(tmp_path.iterdir())
