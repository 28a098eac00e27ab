"""Held-out items: whole groups, every class, balanced."""

from __future__ import annotations

from collections import Counter

from hypothesis import given, settings
from hypothesis import strategies as st

from cpc_engine.data.splits import balanced, holdout

# Splitting


@settings(max_examples=80)
@given(
    st.lists(st.tuples(st.integers(0, 3), st.integers(0, 12)), min_size=1, max_size=80),
    st.floats(0.05, 0.5),
    st.integers(0, 9),
)
def test_holdout_keeps_groups_whole_and_every_class_in_training(
    rows: list[tuple[int, int]], share: float, seed: int
) -> None:
    labels, groups = [label for label, _ in rows], [str(group) for _, group in rows]
    kept, held = holdout(labels, groups, share, seed)
    assert sorted(kept + held) == list(range(len(rows)))
    assert not {groups[row] for row in kept} & {groups[row] for row in held}
    assert {labels[row] for row in kept} == set(labels)


def test_holdout_of_single_items_is_stratified() -> None:
    labels = [0] * 100 + [1] * 20
    _, held = holdout(labels, [str(i) for i in range(120)], 0.15, 0)
    assert Counter(labels[row] for row in held) == {0: 15, 1: 3}


@settings(max_examples=50)
@given(st.lists(st.integers(0, 3), max_size=60), st.integers(0, 70))
def test_balanced_cap(labels: list[int], limit: int) -> None:
    rows = balanced(labels, [str(row) for row in range(len(labels))], limit, 0)
    assert len(rows) == (min(limit, len(labels)) or len(labels))
    assert rows == sorted(set(rows))
    selected, available = Counter(labels[row] for row in rows), Counter(labels)
    most = max(selected.values(), default=0)
    assert all(count >= min(most - 1, available[label]) for label, count in selected.items())
