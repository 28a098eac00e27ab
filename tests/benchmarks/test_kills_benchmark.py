"""A short part of the kills of `python -m benchmarks.kills`, and that it notices what is wrong."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from benchmarks.kills import check_listed, check_same, kill
from cpc_engine.execution.execute import execute
from cpc_engine.storage.folder import RunFolder
from cpc_engine.training.control import Control
from tests.support.tiny import tiny


@pytest.mark.skipif(os.name != "posix", reason="Windows has no SIGKILL")
def test_killed_runs_lose_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    # A process forks from one other for good; servers of browser tests are forked from it, too.
    monkeypatch.setattr("benchmarks.kills.PRELOADED", ["tests.support.app_libraries"])
    found = kill(tmp_path, 4, seed=1, kinds=("train", "evaluate", "trash", "train"))
    assert found["failures"] == []
    assert sum(found["kills"].values()) >= 4


def test_what_differs_is_noticed(tmp_path: Path) -> None:
    one, other = (RunFolder.create(tmp_path, tiny()) for _ in range(2))
    for folder in (one, other):
        assert execute(folder, Control()).status == "finished"
    check_listed(tmp_path)
    check_same(one, other)
    record = one.records()[-1]
    one.append_record({**record, "loss": record["loss"] + 1})
    with pytest.raises(AssertionError, match=r"metrics\.jsonl differs"):
        check_same(one, other)
    (one.path / "map.json").write_text("{}")
    with pytest.raises(AssertionError, match=r"map\.json differs"):
        check_same(one, other)
