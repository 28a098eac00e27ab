"""Tests of the trash: deleted runs come back until it is emptied."""

from __future__ import annotations

from pathlib import Path

import pytest

from cpc_engine import RunConfig
from cpc_engine.errors import RunError
from cpc_engine.storage.folder import RunFolder
from cpc_engine.storage.trash import discard, empty, restore, trashed


def test_the_trash_gives_back_and_forgets(tmp_path: Path) -> None:
    run = RunFolder.create(tmp_path, RunConfig())
    with pytest.raises(RunError, match="still going on"):
        discard(run.id, tmp_path)
    run.update(status="finished")
    discard(run.id, tmp_path)
    assert trashed(tmp_path) == [run.id]
    restore(run.id, tmp_path)
    assert run.config() == RunConfig()
    discard(run.id, tmp_path)
    empty(tmp_path)
    assert trashed(tmp_path) == []
    for name in ("../x", "", ".trash", "a/b", "gone"):
        with pytest.raises(RunError):
            restore(name, tmp_path)
