"""Tests of the interval over seeds and items or folds: against loops, against its known cases, and its coverage."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats

from cpc_engine.evaluation.intervals import hierarchical_interval, mean_interval


def by_loops(table: list[list[float]], spare: int) -> tuple[float, float, bool]:
    """(squared standard error, degrees of freedom, whether the floor is a close call), one cell at a time."""
    seeds, units = len(table), len(table[0])
    grand = sum(sum(row) for row in table) / (seeds * units)
    rows = [sum(row) / units for row in table]
    columns = [sum(row[i] for row in table) / seeds for i in range(units)]
    between_seeds = sum((mean - grand) ** 2 for mean in rows) / (seeds - 1) / seeds
    between_units = (sum((m - grand) ** 2 for m in columns) + spare) / (units + spare - 1) / (units + spare)
    squares = 0.0
    for s in range(seeds):
        for i in range(units):
            squares += (table[s][i] - rows[s] - columns[i] + grand) ** 2
    rest = squares / ((seeds - 1) * (units - 1)) / (seeds * units)
    total = between_seeds + between_units - rest
    floor = max(between_seeds, between_units)
    close = abs(total - floor) < 1e-12 or abs(between_seeds - between_units) < 1e-12
    if total <= floor:
        return floor, seeds - 1 if between_seeds > between_units else units - 1, close
    parts = [
        between_seeds**2 / (seeds - 1),
        between_units**2 / (units - 1),
        rest**2 / ((seeds - 1) * (units - 1)),
    ]
    return total, total**2 / sum(parts), close


@given(st.integers(2, 6), st.integers(1, 5), st.integers(2, 12), st.integers(0, 10_000), st.booleans())
def test_it_is_the_loops(seeds: int, folds: int, items: int, seed: int, difference: bool) -> None:
    draw = np.random.default_rng(seed)
    low = -1 if difference else 0
    sizes = [items + fold for fold in range(folds)]  # items may differ between folds
    cells = {7 * s: [draw.integers(low, 2, size).astype(float) for size in sizes] for s in range(seeds)}
    found = hierarchical_interval(cells, "speakers")
    means = [[sum(values) / len(values) for values in row] for row in cells.values()]
    table = means if folds > 1 else [row[0].tolist() for row in cells.values()]
    squared, freedom, close = by_loops(table, 0 if folds > 1 else 1)
    assert found.mean == pytest.approx(sum(map(sum, means)) / seeds / folds, abs=1e-12)
    assert found.covers == ("seeds × speakers" if folds > 1 else "seeds × items")
    assert found.error == pytest.approx(math.sqrt(squared), rel=1e-6, abs=1e-7)
    if squared > 1e-12:
        assert close or found.freedom == pytest.approx(freedom, rel=1e-5)
        assert found.half == pytest.approx(stats.t.ppf(0.975, found.freedom) * found.error, rel=1e-9)
        assert found.p == pytest.approx(2 * stats.t.sf(abs(found.mean) / found.error, found.freedom), rel=1e-9)


def test_the_opposite_difference_has_the_same_interval() -> None:
    draw = np.random.default_rng(0)
    cells = {s: [draw.integers(-1, 2, 40).astype(float)] for s in range(5)}
    there, back = hierarchical_interval(cells), hierarchical_interval({s: [-row[0]] for s, row in cells.items()})
    assert (there.mean, there.error, there.freedom) == pytest.approx((-back.mean, back.error, back.freedom))


def test_one_value_for_each_seed_gives_the_interval_over_seeds() -> None:
    values = [0.8, 0.82, 0.87, 0.81]
    found = hierarchical_interval({s: [np.array([value])] for s, value in enumerate(values)})
    assert (found.mean, found.half, found.covers) == pytest.approx((*mean_interval(values), "seeds"))
    alone = hierarchical_interval({0: [np.array([1.0, 0.0])]})
    assert (alone.mean, alone.error, alone.half, alone.p) == (0.5, None, None, None)


def test_equal_values_of_all_seeds_have_an_interval_of_no_width() -> None:
    found = hierarchical_interval({s: [np.array([0.5])] for s in range(4)})
    assert (found.half, found.p) == (0.0, 0.0)
    nothing = hierarchical_interval({s: [np.array([0.0])] for s in range(4)})
    assert (nothing.half, nothing.p) == (0.0, 1.0)


def test_seeds_that_agree_leave_the_interval_over_items() -> None:
    right = np.array([1.0] * 80 + [0.0] * 20)
    found = hierarchical_interval({s: [right] for s in range(5)})
    assert found.half == pytest.approx(stats.t.ppf(0.975, 99) * math.sqrt((16 + 1) / 100 / 101), rel=1e-9)
    assert found.half is not None
    assert found.half > 0.07  # the interval over seeds would be 0


def test_an_accuracy_of_100_percent_has_an_interval() -> None:
    found = hierarchical_interval({s: [np.ones(60)] for s in range(5)})
    assert found.mean == 1
    assert found.half is not None
    assert 1 - 0.05 ** (1 / 60) < found.half + 0.02 < 0.1  # near the rule of three: 3 / 60


@pytest.mark.parametrize(
    "cells",
    [
        {},
        {0: []},
        {0: [np.array([])]},
        {0: [np.ones(2)], 1: [np.ones(3)]},
        {0: [np.ones(2)], 1: [np.ones(2), np.ones(2)]},
    ],
)
def test_incomplete_tables_are_refused(cells: dict[int, list[np.ndarray]]) -> None:
    with pytest.raises(ValueError, match="same folds with the same items"):
        hierarchical_interval(cells)
