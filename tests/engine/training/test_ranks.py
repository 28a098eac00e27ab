"""Ranks that share every batch take the step that one process takes: gradients, weights, queues, losses."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest
import torch
from torch import Tensor

from cpc_engine.sources import SOURCES
from tests.support.paths import REPOSITORY
from tests.support.ranked import CHOICES, PAIRED, cases, trained

CASES = cases()


@pytest.fixture(scope="module")
def alone() -> list[dict[str, Tensor]]:
    return [trained(changes) for changes in CASES]


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    found = tmp_path_factory.mktemp("ranks")
    subprocess.run([sys.executable, "-m", "tests.support.ranked", str(found)], cwd=REPOSITORY, check=True, timeout=280)
    return found


@pytest.fixture(scope="module", params=[2, 3])
def together(request: pytest.FixtureRequest, folder: Path) -> list[list[dict[str, Tensor]]]:
    """For each rank what it found in each case."""
    return [torch.load(folder / str(request.param) / f"rank-{rank}.pt") for rank in range(request.param)]


def far(one: Tensor, other: Tensor) -> float:
    return float((one - other).double().norm())


def test_the_cases_have_all_sources_masks_and_terms() -> None:
    values = {(path, str(value)) for changes in CASES for path, value in changes.items()}
    wanted = [(path, value) for alternatives in CHOICES + PAIRED for one in alternatives for path, value in one.items()]
    wanted += [(path, value) for source in SOURCES.values() for path, value in source.recipe.items()]
    assert {(path, str(value)) for path, value in wanted} <= values


def test_the_gradient_is_that_of_the_whole_batch(
    alone: list[dict[str, Tensor]], together: list[list[dict[str, Tensor]]]
) -> None:
    for changes, expected, found in zip(CASES, alone, together[0], strict=True):
        names = [name for name in expected if name.startswith("gradient.")]
        assert names == [name for name in found if name.startswith("gradient.")]
        size = float(torch.stack([expected[name].double().norm() for name in names]).norm())
        for name in names:
            assert far(expected[name], found[name]) < 5e-6 * max(size, 0.1), (name, changes)


def test_so_are_the_weights_after_the_step_and_the_loss_of_the_next(
    alone: list[dict[str, Tensor]], together: list[list[dict[str, Tensor]]]
) -> None:
    """AdamW's first step is as long for a gradient of 0 but for rounding, whose direction may differ."""
    for changes, expected, found in zip(CASES, alone, together[0], strict=True):
        for name in (name for name in expected if name.startswith("weight.")):
            apart = (expected[name] - found[name]).abs()
            gradient = expected.get(f"gradient{name.removeprefix('weight')}")
            clear = torch.ones_like(apart, dtype=torch.bool) if gradient is None else gradient.abs() > 1e-5
            assert float(apart.max()) < 1e-3, (name, changes)  # both ways at the learning rate of the first step
            assert not bool((apart[clear] > 5e-6).any()), (name, changes, float(apart[clear].max()))
        torch.testing.assert_close(found["losses"], expected["losses"], rtol=1e-4, atol=1e-5)


def test_queues_and_all_else_are_identical_on_all_ranks(together: list[list[dict[str, Tensor]]]) -> None:
    for other in together[1:]:
        for changes, first, second in zip(CASES, together[0], other, strict=True):
            assert first.keys() == second.keys()
            for name, tensor in first.items():
                assert tensor.equal(second[name]), (name, changes)


def test_queues_hold_what_those_of_one_process_hold(
    alone: list[dict[str, Tensor]], together: list[list[dict[str, Tensor]]]
) -> None:
    for changes, expected, found in zip(CASES, alone, together[0], strict=True):
        names = [name for name in expected if ".queue." in name]
        assert names
        for name in names:
            if name.endswith(".vectors"):
                assert far(found[name], expected[name]) <= 1e-3 * float(expected[name].norm()), (name, changes)
            else:
                assert found[name].equal(expected[name]), (name, changes)
