"""The benchmark of the app: what it keeps, and the map that it lets a browser draw."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from benchmarks import ui
from benchmarks.ui_moments import give_map
from cpc_engine.maps.stored import load_map


def test_what_was_found_is_not_measured_again_by_the_same_commit(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    measured: list[str] = []

    def measure() -> dict[str, Any]:
        measured.append("again")
        return {"p50_ms": len(measured)}

    assert ui.kept("edit", measure, tmp_path) == ui.kept("edit", measure, tmp_path) == {"p50_ms": 1}
    assert ui.kept("click", measure, tmp_path) == {"p50_ms": 2}
    monkeypatch.setattr(ui, "source", lambda: {"commit": "another"})
    assert ui.kept("edit", measure, tmp_path) == {"p50_ms": 3}


@pytest.mark.slow
def test_a_map_of_any_size_is_one_that_the_app_reads(tmp_path: Path) -> None:
    folder = ui.stopped_run(tmp_path, 30)
    give_map(folder, 200)
    assert len(load_map(folder, "tsne").names) == 200
