"""How long it will take, from what was trained before."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from cpc_engine.config import RunConfig
from cpc_engine.errors import RunError
from cpc_engine.runs.estimate import FREE, Estimate, estimate
from cpc_engine.runs.folder import RunFolder, list_runs
from cpc_engine.runs.trial import seconds_a_step
from tests.tiny import tiny


def done(root: Path, speed: float, device: str = "cpu", steps: int = 50, **changes: Any) -> RunFolder:
    folder = RunFolder.create(root, tiny(**changes))
    folder.update(status="finished", steps_done=steps, seconds=steps / speed, device=device)
    return folder


def test_the_median_of_runs_of_the_same_size_counts(tmp_path: Path) -> None:
    for speed in (4.0, 5.0, 50.0):
        done(tmp_path, speed, run__seed=int(speed), run__name="a", loss__temperature=0.3, optimiser__steps=7)
    done(tmp_path, 100.0, optimiser__batch_size=32)  # another size
    done(tmp_path, 100.0, sampler__queue_size=64)
    done(tmp_path, 100.0, device="cuda:0")
    done(tmp_path, 100.0, steps=2)  # too few to tell
    done(tmp_path, 100.0).mark_example("trained elsewhere", 1)
    (done(tmp_path, 100.0).path / "config.json").write_text("{")
    known = list_runs(tmp_path)
    assert estimate(tiny(optimiser__steps=200), "cpu", known, tmp_path) == Estimate(40.0, 3)
    found = estimate(tiny(optimiser__steps=200), "cuda:0", known, tmp_path)
    assert found is not None
    assert found.seconds == pytest.approx(2.0)


def test_nothing_like_it_gives_no_number(tmp_path: Path) -> None:
    done(tmp_path, 5.0)
    known = list_runs(tmp_path)
    assert estimate(tiny(context__hidden_dim=32), "cpu", known, tmp_path) is None
    assert estimate(tiny(), "cpu", [], tmp_path) is None


def test_a_few_steps_tell_how_long_one_takes(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    assert 0 < seconds_a_step(tiny(optimiser__steps=100_000, run__record_every=7)) < 10
    assert not list(tmp_path.iterdir()), "nothing is left behind"
    with pytest.raises(RunError, match=r"these settings do not train: .*gone"):
        seconds_a_step(tiny(data__dataset="audio_folder", data__path=str(tmp_path / "gone")))
    assert not list(tmp_path.iterdir())


def test_the_free_knobs_exist() -> None:
    sections = RunConfig().to_dict()
    for path in FREE:
        section, _, name = path.partition(".")
        assert name in sections[section], path
