"""Experiments by command, with few centroids."""

from __future__ import annotations

from pathlib import Path

import pytest

from cpc_engine.cli import main
from cpc_engine.evaluation import baselines
from cpc_engine.experiments import definitions
from tests.support.tiny_experiment import FOLDED, TINY, Run


@pytest.fixture(autouse=True)
def few_centroids(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(baselines, "CENTROIDS", 8)
    monkeypatch.setattr("cpc_engine.model.patches.SAMPLED", 500)


@pytest.fixture
def run(monkeypatch: pytest.MonkeyPatch, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> Run:
    """Run `experiment NAME …` in an empty folder, with the tiny experiments instead of the real ones."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(definitions, "EXPERIMENTS", {"keypad": TINY, "tones": FOLDED})

    def call(*arguments: str) -> tuple[int, str, str]:
        capsys.readouterr()
        code = main(["experiment", *arguments])
        return code, *capsys.readouterr()

    return call
