"""When checkpoints are written."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from cpc_engine.execution.execute import execute
from cpc_engine.storage.folder import RunFolder
from cpc_engine.training.control import Control
from tests.support.tiny import tiny


@pytest.mark.parametrize(("every", "record_every", "wanted"), [(2, 3, [2, 4, 6, 7]), (3, 1, [3, 6, 7]), (5, 4, [5, 7])])
def test_checkpoints_are_written_at_their_steps_whether_or_not_these_are_recorded(
    every: int, record_every: int, wanted: list[int], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    steps: list[int] = []
    save = RunFolder.save_tensors

    def note(self: RunFolder, name: str, tensors: dict[str, Any], *others: Any, **more: Any) -> None:
        if name == "checkpoint":
            steps.append(int(tensors["progress"][0]))
        save(self, name, tensors, *others, **more)  # type: ignore[arg-type]

    monkeypatch.setattr(RunFolder, "save_tensors", note)
    config = tiny(optimizer__steps=7, run__checkpoint_every=every, run__record_every=record_every, evaluation__every=0)
    assert execute(RunFolder.create(tmp_path, config), Control()).status == "finished"
    assert steps == wanted
