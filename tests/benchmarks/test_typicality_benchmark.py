"""The benchmark of held-out items against unlike items."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from sklearn.metrics import roc_auc_score

from benchmarks.typicality import auroc, measure, text, with_interval
from benchmarks.unlike import pictures, sounds
from cpc_engine.errors import RunError
from cpc_engine.execution.evaluate import evaluate_run
from cpc_engine.execution.execute import execute
from cpc_engine.storage.folder import RunFolder
from cpc_engine.training.control import Control
from tests.support.tiny import tiny

PERCENTILES = st.lists(st.integers(0, 5), min_size=1, max_size=30).map(np.array)


@given(PERCENTILES, PERCENTILES)
def test_auroc_is_scikit_learns(known: np.ndarray, strange: np.ndarray) -> None:
    labels = np.repeat([1, 0], [len(known), len(strange)])
    assert auroc(known, strange) == pytest.approx(roc_auc_score(labels, np.concatenate([known, strange])))


def test_the_interval_holds_the_value_and_narrows_with_more_items() -> None:
    draw = np.random.default_rng(0)
    few, many = (with_interval(draw.uniform(20, 100, n), draw.uniform(0, 60, n), 0) for n in (20, 2000))
    for found in (few, many):
        low, high = found["interval"]
        assert low < found["auroc"] < high
    assert np.ptp(few["interval"]) > 3 * np.ptp(many["interval"])


def test_unlike_items_are_what_a_decoder_would_give_and_follow_the_seed() -> None:
    heard, seen = sounds(3, 8000, 0.5, 1), pictures(3, 1)
    for kind, items in heard.items():
        assert all(s.samples.dtype == np.float32 and np.abs(s.samples).max() <= 1 for s in items), kind
        assert len({len(s.samples) for s in items}) == 3
    assert np.abs(heard["silence"][0].samples).max() < 0.001
    for kind, shown in seen.items():
        assert all(p.pixels.dtype == np.uint8 and p.pixels.shape[2] == 3 for p in shown), kind
    again = sounds(3, 8000, 0.5, 1)["rain"]
    assert all(np.array_equal(a.samples, b.samples) for a, b in zip(heard["rain"], again, strict=True))


def test_it_measures_an_evaluated_run(tmp_path: Path) -> None:
    folder = RunFolder.create(tmp_path, tiny())
    execute(folder, Control())
    (folder.path / "typicality.safetensors").unlink(missing_ok=True)
    with pytest.raises(RunError, match="no typicality yet"):
        measure(folder, tmp_path, 5)
    evaluate_run(folder)
    found = measure(folder, tmp_path, 8)
    assert found["overall"]["items"] == 8 * len(found["kinds"])
    assert found["overall"]["auroc"] > 0.8
    assert "white noise" in text({"runs": [found]})
