"""Fixtures that several test files share."""

from __future__ import annotations

import os
import sys
from pathlib import Path

import pytest
from hypothesis import settings

import cpc_engine  # noqa: F401  (before any test imports torch: it settles how torch's threads wait)

# The same examples every time, and no limit of time, which a busy machine would exceed. New ones are drawn by
# `pytest --hypothesis-profile explore`.
settings.register_profile("repeatable", deadline=None, derandomize=True)
settings.register_profile("explore", deadline=None)
settings.load_profile("repeatable")

pytest.register_assert_rewrite("tests.support")  # benchmarks import some of it before the tests that name it as plugin


@pytest.fixture(autouse=True)
def _same_draws_whichever_tests_ran_before() -> None:
    if torch := sys.modules.get("torch"):
        torch.manual_seed(0)
    if numpy := sys.modules.get("numpy"):
        numpy.random.seed(0)


@pytest.fixture(autouse=True)
def _threads_get_on_as_fast_as_their_test(monkeypatch: pytest.MonkeyPatch) -> None:
    """Threads of lower priority would get next to nothing where tests run on every core."""
    for name in ("execute", "evaluations"):
        if module := sys.modules.get(f"cpc_engine.execution.{name}"):
            monkeypatch.setattr(module, "lower_priority", lambda: None)


@pytest.fixture(scope="session")
def shared() -> Path:
    """The folder of real data: CPC_SHARED, or `shared` beside the repository; skips where there is none."""
    repository = Path(__file__).resolve().parents[1]
    folder = Path(os.environ.get("CPC_SHARED", repository.parent / "shared"))
    if not (folder / "data").is_dir():
        pytest.skip("no real data: set CPC_SHARED to the folder that holds data/")
    return folder
