"""Placers of runs of tones, bars, and pairs."""

from __future__ import annotations

from pathlib import Path

import pytest

from cpc_engine.placing import Placer
from tests.support.placed import evaluated


@pytest.fixture(scope="module")
def root(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("runs")


@pytest.fixture(scope="module")
def tones(root: Path) -> Placer:
    return Placer(evaluated(root, data__train_items=256, data__test_items=48))


@pytest.fixture(scope="module")
def bars(root: Path) -> Placer:
    return Placer(evaluated(root, data__dataset="bars"))


@pytest.fixture(scope="module")
def pairs(root: Path) -> Placer:
    return Placer(evaluated(root, data__dataset="tones_bars"))
