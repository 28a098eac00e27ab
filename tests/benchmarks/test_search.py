"""The search of what the reference recipe leaves open: both sides equally long, decided on validation items."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from benchmarks import search
from cpc_engine.comparison.collect import chosen_probes
from cpc_engine.storage.folder import RunFolder
from cpc_engine.storage.listing import list_runs
from cpc_engine.sweeps.worker import Worker
from tests.support.tiny import CHANGES

pytest.importorskip("optuna")


@pytest.mark.parametrize("name", search.PAIRS)
def test_both_sides_see_as_many_items_in_equal_batches(name: str) -> None:
    pair = search.PAIRS[name]
    ours, reference = (search.base(side, pair, Path("data")) for side in (pair.ours, pair.reference))
    assert ours.optimizer.batch_size == reference.optimizer.batch_size
    assert ours.optimizer.steps == reference.optimizer.steps
    assert ours.data == reference.data
    assert "sampler.sigma" in search.searched(reference)


def test_validation_decides_and_nothing_is_trained_twice(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    changes = {path: value for path, value in CHANGES.items() if path != "data.dataset"}
    changes |= {"optimizer.steps": 2, "audio.window_ms": 25.0}
    monkeypatch.setitem(search.PAIRS, "tones_bars", search.Pair("tones", "reference_tones", None, changes))
    # In this process, since starting another one takes longer than all there is to train.
    monkeypatch.setattr(search, "run_workers", lambda url, name, root, workers: Worker(url, name, root).work())
    out = tmp_path / "found.json"
    arguments = ["--pairs", "tones_bars", "--trials", "2", "--work", str(tmp_path / "work"), "--out", str(out)]
    search.main(arguments)
    found = json.loads(out.read_text())["pairs"]["tones_bars"]
    assert [side["preset"] for side in found] == ["tones", "reference_tones"]
    runs = list_runs(tmp_path / "work")
    validation = {
        row["validation"]
        for run in runs
        for row in chosen_probes(RunFolder(tmp_path / "work" / run.id).json("evaluation")["probe"]).values()
    }
    for side in found:
        values = [trial["value"] for trial in side["trials"]]
        assert len(values) == 2
        assert side["best"]["value"] == max(values)
        assert set(values) <= validation
    search.main(arguments)
    assert [run.id for run in list_runs(tmp_path / "work")] == [run.id for run in runs]
    assert json.loads(out.read_text())["pairs"]["tones_bars"] == found
