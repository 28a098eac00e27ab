"""How a run's space changed: what is kept, how little it takes, and that stops and copies change nothing."""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from cpc_engine.data import load_dataset
from cpc_engine.errors import RunError
from cpc_engine.evaluation.embed import embed
from cpc_engine.execution.execute import execute
from cpc_engine.maps.snapshots import MOST, MapSnapshots, load_snapshots, planned_steps
from cpc_engine.storage.artifacts import load_model
from cpc_engine.storage.folder import RunFolder
from cpc_engine.training.control import Control
from tests.support.tiny import tiny


def trained(root: Path, stop_at: int | None = None, **changes: Any) -> RunFolder:
    folder, control = RunFolder.create(root, tiny(**changes)), Control()

    def steer(seen: object) -> None:
        if isinstance(seen, dict) and seen["step"] == stop_at:
            control.stop()

    execute(folder, control, steer)
    return folder


def loaded(folder: RunFolder) -> MapSnapshots:
    found = load_snapshots(folder)
    assert found is not None
    return found


def cosines(snapshots: MapSnapshots) -> np.ndarray:
    flat = snapshots.features.reshape(-1, snapshots.features.shape[2])
    return flat @ flat.T


@given(st.integers(1, 100_000), st.integers(0, 3000), st.integers(0, 99_999))
def test_planned_steps_are_few_measured_and_hold_both_ends(total: int, every: int, first: int) -> None:
    first %= total
    steps = planned_steps(total, every, first)
    measured = {first, total, *(step for step in (range(every, total, every) if every else ()) if step > first)}
    assert {first, total} <= steps <= measured
    assert len(steps) == min(MOST, len(measured))


def test_early_steps_lie_closer() -> None:
    gaps = np.diff(sorted(planned_steps(10_000, 10)))
    assert list(gaps) == sorted(gaps)


@pytest.mark.parametrize("dataset", ["tones", "tones_bars"])
def test_what_is_kept_is_what_the_network_says(tmp_path: Path, dataset: str) -> None:
    folder = trained(tmp_path, data__dataset=dataset, optimizer__steps=4, evaluation__every=2)
    found = loaded(folder)
    assert found.steps == [0, 2, 4]
    both = dataset == "tones_bars"
    held_out = len(load_dataset(folder.config()).validation)
    points = held_out * (1 + both)
    assert found.features.shape == (3, points, 16)
    assert found.modalities == ["audio"] * held_out + ["image"] * held_out * both
    assert len(found.names) == len(found.labels) == len(found.rows) == points
    items = load_dataset(folder.config()).validation.take(torch.from_numpy(found.rows[:held_out]))
    assert found.labels[:held_out].tolist() == items.labels.tolist()
    assert tuple(found.names[:held_out]) == items.names
    contexts = torch.cat([f.mean_context for f in embed(load_model(folder), items).values()])
    unit = torch.nn.functional.normalize(contexts, dim=1).numpy()
    np.testing.assert_allclose(found.features[-1] @ found.features[-1].T, unit @ unit.T, atol=5e-3)
    assert found.coordinates().shape == (3, points, 2)


def test_a_finished_run_keeps_its_evolution_small_and_its_distances(tmp_path: Path) -> None:
    folder = trained(
        tmp_path,
        data__dataset="tones_bars",
        data__train_items=1600,
        data__test_items=32,
        context__hidden_dim=256,
        evaluation__items=400,
        evaluation__every=1,
        optimizer__steps=20,
    )
    found = loaded(folder)
    assert len(found.steps) == MOST
    assert found.features.shape[1] <= 600
    size = sum(path.stat().st_size for path in folder.path.glob("evolution.*"))
    assert size <= 300_000
    norms = np.linalg.norm(found.features, axis=2)
    assert norms.min() > 0.9
    assert norms.max() < 1.01


@pytest.mark.parametrize("stop_at", [1, 3, 4])
def test_a_stopped_and_resumed_run_has_the_evolution_of_one_that_was_not(tmp_path: Path, stop_at: int) -> None:
    changes = {"optimizer__steps": 8, "evaluation__every": 2}
    whole = loaded(trained(tmp_path / "whole", **changes))
    folder = trained(tmp_path / "parts", stop_at=stop_at, **changes)
    so_far = loaded(folder)
    assert so_far.steps == sorted({*range(0, stop_at + 1, 2), stop_at})
    execute(folder, Control(), resume=True)
    resumed = loaded(folder)
    assert resumed.steps == whole.steps == [0, 2, 4, 6, 8]
    np.testing.assert_allclose(cosines(resumed), cosines(whole), atol=2e-3)
    assert resumed.names == whole.names


def test_steps_after_the_checkpoint_are_made_again(tmp_path: Path) -> None:
    folder = trained(tmp_path, stop_at=6, optimizer__steps=8, evaluation__every=2)
    early = trained(tmp_path / "early", stop_at=3, optimizer__steps=8, evaluation__every=2)
    shutil.copy(early.path / "checkpoint.safetensors", folder.path)
    before = loaded(folder)
    count = len(cosines(before))
    execute(folder, Control(), resume=True)
    after = loaded(folder)
    assert after.steps == [0, 2, 4, 6, 8]
    np.testing.assert_allclose(cosines(after)[:count, :count], cosines(before), atol=2e-3)


def test_a_copied_folder_has_its_evolution(tmp_path: Path) -> None:
    folder = trained(tmp_path / "here")
    copied = RunFolder(Path(shutil.copytree(folder.path, tmp_path / "there" / "a copy")))
    before = loaded(folder)
    shutil.rmtree(folder.path)
    np.testing.assert_array_equal(loaded(copied).features, before.features)


def test_training_is_the_same_whatever_is_kept(tmp_path: Path) -> None:
    often = trained(tmp_path, optimizer__steps=6, evaluation__every=1)
    never = trained(tmp_path, optimizer__steps=6, evaluation__every=0)
    assert [r["loss"] for r in often.records()] == [r["loss"] for r in never.records()]


def test_damaged_files_are_told_and_cost_no_run(tmp_path: Path) -> None:
    folder = trained(tmp_path, stop_at=2, optimizer__steps=4)
    (folder.path / "evolution.safetensors").write_bytes(b"half")
    with pytest.raises(RunError, match=r"evolution\.safetensors is damaged"):
        load_snapshots(folder)
    assert execute(folder, Control(), resume=True).status == "finished"
    assert loaded(folder).steps[-1] == 4
    assert "are lost" in (folder.path / "log.jsonl").read_text()
    folder.save_json("evolution", {})
    with pytest.raises(RunError, match=r"evolution\.json is damaged \(modalities: field required\)"):
        load_snapshots(folder)
    (folder.path / "evolution.json").unlink()
    assert load_snapshots(folder) is None


def test_the_picture_stays_put() -> None:
    """Snapshots that differ by a rotation of the space, and so have the same PCA up to turns, land on each other."""
    rng = np.random.default_rng(0)
    points = rng.normal(size=(40, 8)) * np.array([5, 3, 1, 0.5, 0.2, 0.1, 0.1, 0.1])
    turns = [np.linalg.qr(rng.normal(size=(8, 8)))[0] for _ in range(5)]
    features = np.stack([points @ turn for turn in turns]).astype(np.float32)
    nothing = np.zeros(40, dtype=np.int64)
    found = MapSnapshots(list(range(5)), features, nothing, nothing, ["audio"] * 40, [""] * 40, ["a"]).coordinates()
    for later in found[1:]:
        np.testing.assert_allclose(later, found[0], atol=1e-4)
