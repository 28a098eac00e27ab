"""Tests of the processes that other tests start as forks."""

from __future__ import annotations

import sys
from pathlib import Path
from types import ModuleType

import pytest

from tests.support.forks import Fork


def test_the_page_of_an_earlier_test_is_not_run_by_a_fork(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    page = tmp_path / "page.py"
    page.write_text("raise SystemExit(3)")
    main = ModuleType("__main__")
    main.__file__ = str(page)
    monkeypatch.setitem(sys.modules, "__main__", main)
    fork = Fork("json.tool", "--help", place=tmp_path, out=tmp_path / "out")
    said, told = fork.communicate(timeout=120)
    assert fork.poll() == 0, told
    assert "usage" in said
    assert sys.modules["__main__"] is main
