"""TensorBoard event files: what TensorBoard reads back is what the run recorded."""

from __future__ import annotations

from pathlib import Path

import pytest

from cpc_engine.execution.execute import execute
from cpc_engine.storage.folder import RunFolder
from cpc_engine.training.control import Control
from tests.support.exported import trained
from tests.support.tiny import tiny

reader = pytest.importorskip("tensorboard.backend.event_processing.event_accumulator")


def read(folder: RunFolder, name: str) -> dict[int, float]:
    events = reader.EventAccumulator(str(folder.path / "tensorboard"))
    events.Reload()
    return {event.step: event.value for event in events.Scalars(name)}


def test_tensorboard_reads_what_the_run_recorded(tmp_path: Path) -> None:
    folder = trained(tmp_path, run__tensorboard=True, optimizer__steps=4)
    records = folder.records()
    assert read(folder, "loss") == pytest.approx({row["step"]: row["loss"] for row in records})
    share = "modalities/audio/sources/in_batch/share"
    assert read(folder, share) == pytest.approx(
        {row["step"]: row["modalities"]["audio"]["sources"]["in_batch"]["share"] for row in records}
    )
    assert read(folder, "geometry/spread")[4] == pytest.approx(records[-1]["geometry"]["spread"])


def test_a_resumed_run_replaces_what_it_repeats(tmp_path: Path) -> None:
    control = Control()

    def stop(observed: object) -> None:
        if isinstance(observed, dict) and observed["step"] == 3:
            control.stop()

    folder = RunFolder.create(tmp_path, tiny(run__tensorboard=True, optimizer__steps=6))
    assert execute(folder, control, stop).status == "stopped"
    assert execute(folder, Control(), resume=True).status == "finished"
    assert sorted(read(folder, "loss")) == [1, 2, 3, 4, 5, 6]
