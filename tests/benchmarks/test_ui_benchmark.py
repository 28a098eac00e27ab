"""The benchmark of the app: what is kept of it, and the map that it lets a browser draw."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from benchmarks import timing, ui
from benchmarks.ui_moments import give_map
from cpc_engine.maps.stored import load_map


def test_what_was_found_is_not_measured_again_by_the_same_commit(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    measured: list[str] = []

    def measure() -> dict[str, Any]:
        measured.append("again")
        return {"p50_ms": len(measured)}

    def kept(name: str, quick: bool = False) -> dict[str, Any]:
        return timing.kept(tmp_path / name, {"quick": quick}, measure)

    monkeypatch.setattr(timing, "source", lambda: {"commit": "one", "dirty": False})
    assert kept("edit") == kept("edit") == {"p50_ms": 1}
    assert kept("click") == {"p50_ms": 2}
    monkeypatch.setattr(timing, "source", lambda: {"commit": "another", "dirty": False})
    assert kept("edit") == {"p50_ms": 3}
    assert kept("edit", quick=True) == {"p50_ms": 4}
    monkeypatch.setattr(timing, "source", lambda: {"commit": "another", "dirty": True})
    assert [kept("edit"), kept("edit")] == [{"p50_ms": 5}, {"p50_ms": 6}], "changes that no commit names"


@pytest.mark.slow
def test_a_map_of_any_size_is_one_that_the_app_reads(tmp_path: Path) -> None:
    folder = ui.stopped_run(tmp_path, 30)
    give_map(folder, 200)
    assert len(load_map(folder, "tsne").names) == 200
