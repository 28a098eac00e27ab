"""Tests of the registry of data sets."""

from __future__ import annotations

import pytest

from cpc_engine import RunConfig
from cpc_engine.datasets import DATASETS, own_settings
from cpc_engine.terms import MODALITIES


def test_titles_are_unique() -> None:
    titles = [spec.title for spec in DATASETS.values()]
    assert len(set(titles)) == len(titles) > 4


@pytest.mark.parametrize("name", DATASETS)
def test_a_data_set_is_described_whole(name: str) -> None:
    spec = DATASETS[name]
    assert spec.name == name
    assert callable(spec.loader)
    assert set(spec.modalities) <= set(MODALITIES)
    assert spec.modalities
    settings = RunConfig().replace({"data.dataset": name}).flat()
    assert {path for path, _ in spec.needs} <= set(settings)
    assert set(spec.own_settings) <= set(settings)
    assert set(spec.own_settings) <= own_settings()
