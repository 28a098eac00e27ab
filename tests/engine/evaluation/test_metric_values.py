"""Metrics by their name: what a run will have is what its records hold, and a mean hides no missing half."""

from __future__ import annotations

import math
from typing import Any

import pytest

from cpc_engine.evaluation.metric_info import METRICS
from cpc_engine.evaluation.metric_values import given_metrics, metric_value
from cpc_engine.storage.folder import RunFolder
from tests.support.exported import trained
from tests.support.tiny import tiny

RUNS: dict[str, dict[str, Any]] = {
    "sounds": {"data__dataset": "tones"},
    "sounds, with a queue": {"data__dataset": "tones", "sampler__queue_size": 64},
    "pictures": {"data__dataset": "bars"},
    "both": {"data__dataset": "tones_bars", "sampler__queue_size": 64},
    "both, ahead in seconds": {"data__dataset": "tones_bars", "context__horizon_seconds": [0.1, 0.2]},
    "both, items only, with a queue": {
        "data__dataset": "tones_bars",
        "sampler__queue_size": 64,
        "loss__prediction_weight": 0.0,
        "loss__item_weight": 1.0,
    },
}


@pytest.fixture(scope="module", params=RUNS)
def run(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> RunFolder:
    return trained(tmp_path_factory.mktemp("given"), **RUNS[request.param])


def test_what_a_run_will_have_is_what_it_records(run: RunFolder) -> None:
    geometry = run.records()[-1]["geometry"]
    given = given_metrics(run.config())
    assert set(geometry) - set(given) <= {name for name in geometry if name.endswith("_items")}
    values = {name: metric_value(geometry, name) for name in given}
    assert [name for name, value in values.items() if value is None or not math.isfinite(value)] == []
    others = {*METRICS, *(f"{modality}.{name}" for modality in ("audio", "image") for name in METRICS)} - set(given)
    assert [name for name in others if metric_value(geometry, name) is not None] == []


def test_a_mean_over_modalities_is_not_that_of_the_finite_ones() -> None:
    for left, right, mean in ((0.25, 0.75, 0.5), (0.25, None, math.nan), (math.nan, 0.75, math.nan)):
        assert metric_value({"audio.spread": left, "image.spread": right}, "spread") == pytest.approx(mean, nan_ok=True)
    assert metric_value({"image.spread": 0.75}, "spread") == 0.75
    assert metric_value({"probe.image.spread": 0.75, "image.spread_2": 1.0}, "spread") is None
    assert given_metrics(tiny()) == given_metrics(tiny(data__dataset="fsdd"))
