"""Docstrings: every module says what it is, every name at the door has an example, and all examples run."""

from __future__ import annotations

import doctest
import importlib
from pathlib import Path

import pytest

import cpc_engine
from benchmarks.architecture import modules
from tests.support.paths import REPOSITORY

WITH_EXAMPLES = [name for name, path in modules().items() if ">>> " in path.read_text(encoding="utf-8")]


@pytest.mark.parametrize("module", WITH_EXAMPLES)
def test_examples_run(module: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CPC_RUNS", str(REPOSITORY / "checkpoints"))
    result = doctest.testmod(importlib.import_module(module), verbose=False)
    assert result.attempted > 0
    assert result.failed == 0


@pytest.mark.parametrize("name", sorted({*cpc_engine.__all__} - {"PRESETS"}))  # which is a dictionary
def test_what_stands_at_the_door_has_an_example(name: str) -> None:
    text = getattr(cpc_engine, name).__doc__ or ""
    assert "Example:" in text
    assert ">>> " in text


@pytest.mark.parametrize("module", sorted(modules()))
def test_every_module_says_what_it_is(module: str) -> None:
    if modules()[module].stat().st_size:
        first = (modules()[module].read_text(encoding="utf-8")).lstrip()
        assert first.startswith('"""'), f"{module} has no docstring"


def test_there_is_one_version_number() -> None:
    assert f"version: {cpc_engine.__version__}\n" in (REPOSITORY / "CITATION.cff").read_text(encoding="utf-8")
    assert 'attr = "cpc_engine.__version__"' in (REPOSITORY / "pyproject.toml").read_text(encoding="utf-8")
    assert Path(cpc_engine.__file__).is_relative_to(REPOSITORY)
