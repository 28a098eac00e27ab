"""The benchmark of evaluation, on a small run of made-up pictures."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from benchmarks import evaluate as module
from benchmarks.tables import section
from cpc_engine.config import RunConfig
from cpc_engine.experiments.recipe import incomplete
from tests.support.tiny import tiny


def bars(data: Path, work: Path) -> RunConfig:
    """Bars that stand or lie, at random places in noise."""
    rng = np.random.default_rng(0)
    for number in range(120):
        pixels = rng.integers(0, 100, (32, 32, 3), dtype=np.uint8)
        place, upright = rng.integers(0, 32), number % 2
        pixels[:, place] += 100 * upright
        pixels[place] += 100 * (1 - upright)
        path = work / ("standing" if upright else "lying") / f"{number}.png"
        path.parent.mkdir(exist_ok=True)
        Image.fromarray(pixels).save(path)
    return tiny(data__dataset="image_folder", data__path=str(work), data__train_items=0, data__test_items=0)


def test_what_is_measured_is_told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "TASKS", {"bars": bars})
    module.main(["--tasks", "bars", "--steps", "1", "--out", str(tmp_path / "evaluate.json")])
    module.main(["--tasks", "bars", "--centroids", "8", "--seeds", "2", "--out", str(tmp_path / "patches.json")])
    found = json.loads((tmp_path / "evaluate.json").read_text())["tasks"]["bars"]
    for name in ("evaluate", "patches"):
        assert incomplete(json.loads((tmp_path / f"{name}.json").read_text())["recipe"]) == []
    assert len(found["features"]) == 15
    assert {name for name, row in found["features"].items() if "converged" in row} >= {"raw", "mean_context"}
    assert found["largest_gap"] <= 1 / found["items"][2]
    assert found["total_ratio"] > 0
    eight = json.loads((tmp_path / "patches.json").read_text())["tasks"]["bars"]["8"]
    assert (eight["seeds"], eight["kmeans_quarters"]["covers"]) == (2, "seeds × items")
    assert eight["kmeans_quarters"]["half"] > 0
    written = section(tmp_path)
    assert "### Evaluation" in written
    assert "| bars | 8 |" in written
