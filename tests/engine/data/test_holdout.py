"""Held-out items: whole groups, every class, balanced."""

from __future__ import annotations

from collections import Counter, defaultdict
from pathlib import Path

import numpy as np
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st
from PIL import Image

from cpc_engine.data.splits import balanced, holdout
from cpc_engine.errors import DataError
from cpc_engine.maps.stored import check_mappable
from tests.support.data_files import load, write_image

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


def without_bound(labels: list[int], groups: list[str], share: float, seed: int) -> list[int]:
    """The rows held out by earlier versions, which took groups of any size."""
    members: dict[str, list[int]] = defaultdict(list)
    for row, group in enumerate(groups):
        members[group].append(row)
    order = sorted(members)
    np.random.default_rng([seed, 0x5011]).shuffle(order)
    sizes, taken, held = Counter(labels), Counter[int](), list[int]()
    for group in order:
        counts = Counter(labels[row] for row in members[group])
        if any(taken[label] < share * sizes[label] for label in counts) and all(
            taken[label] + count < sizes[label] for label, count in counts.items()
        ):
            taken.update(counts)
            held += members[group]
    return sorted(held)


@settings(max_examples=300)
@given(
    st.lists(st.tuples(st.integers(0, 3), st.integers(0, 30)), min_size=1, max_size=150),
    st.sampled_from([0.15, 0.2, 0.3, 0.5]),
    st.integers(0, 9),
)
def test_a_split_without_large_groups_is_that_of_earlier_versions(
    rows: list[tuple[int, int]], share: float, seed: int
) -> None:
    """A run whose data have not changed must find its own split again."""
    labels, groups = [label for label, _ in rows], [str(group) for _, group in rows]
    sizes, parts = Counter(labels), Counter(rows)
    assume(all(count <= max(1, 2 * share * sizes[label]) for (label, _), count in parts.items()))
    assert holdout(labels, groups, share, seed)[1] == without_bound(labels, groups, share, seed)


@settings(max_examples=100)
@given(st.integers(1, 6), st.integers(2, 9), st.integers(1, 4), st.floats(0.05, 0.5), st.integers(0, 9))
def test_groups_of_one_size_are_held_out_as_in_earlier_versions(
    size: int, count: int, classes: int, share: float, seed: int
) -> None:
    """Few takes of each of few speakers: every group is large, and none is smaller."""
    rows = [(label, group) for group in range(count) for label in range(classes) for _ in range(size)]
    labels, groups = [label for label, _ in rows], [str(group) for _, group in rows]
    assert holdout(labels, groups, share, seed)[1] == without_bound(labels, groups, share, seed)


@settings(max_examples=100)
@given(st.integers(41, 90), st.integers(0, 40), st.integers(0, 9))
def test_a_large_group_does_not_swallow_a_class(large: int, other: int, seed: int) -> None:
    labels = [0] * 100 + [1] * 100
    groups = ["large"] * large + [f"a{row}" for row in range(100 - large)]
    groups += ["large"] * other + [f"b{row}" for row in range(100 - other)]
    _, held = holdout(labels, groups, 0.2, seed)
    counts = Counter(labels[row] for row in held)
    assert counts[0] == min(20, -(-(100 - large) // 2))
    assert counts[1] == 20


def test_a_large_group_is_held_out_where_nothing_else_can_be() -> None:
    """The smaller group of class 0 is all of class 1."""
    labels, groups = [0] * 10 + [1] * 10, ["large"] * 8 + ["small"] * 12
    assert holdout(labels, groups, 0.2, 0)[1] == list(range(8))


@pytest.mark.parametrize("seed", range(4))
def test_a_burst_of_pictures_does_not_swallow_its_class(seed: int, tmp_path: Path) -> None:
    draw = np.random.default_rng(3)

    def scene() -> np.ndarray:
        small = Image.fromarray(draw.integers(0, 255, (10, 10, 3), dtype=np.uint8))
        return np.asarray(small.resize((96, 96), Image.Resampling.BICUBIC)).astype(float)

    for title, count in (("cat", 25), ("dog", 85)):
        (tmp_path / title).mkdir()
        for number in range(count):
            Image.fromarray(scene().astype(np.uint8)).save(tmp_path / title / f"photo_{number}.png")
    frame = scene()
    for number in range(60):
        frame = (frame + draw.normal(0, 3, frame.shape)).clip(0, 255)
        Image.fromarray(frame.astype(np.uint8)).save(tmp_path / "cat" / f"frame_{number}.png")
    data = load("image_folder", path=str(tmp_path), seed=seed, train_items=0, test_items=0)
    counts = {name: np.bincount(split.labels, minlength=2).tolist() for name, split in data.splits()}
    assert 8 <= counts["test"][0] <= counts["test"][1] == 17, counts
    assert counts["train"][0] >= 40, counts


def test_a_share_that_ends_up_far_off_is_told(tmp_path: Path) -> None:
    draw = np.random.default_rng(0)
    for title in ("cat", "dog"):
        for number in range(40):
            take = "long" if title == "cat" and number < 34 else f"take{number}"
            path = tmp_path / title / f"{title}-{take}_{number}.png"
            path.parent.mkdir(exist_ok=True)
            Image.fromarray(draw.integers(0, 255, (40, 40, 3), dtype=np.uint8)).save(path)
    data = load("image_folder", path=str(tmp_path), groups="{group}_*")
    why = "because files that stay together are not divided"
    assert f"3 of 40 items of 'cat' are test items, where 20 % were to be, {why}" in data.remarks
    assert f"2 of 37 items of 'cat' are validation items, where 15 % were to be, {why}" in data.remarks
    assert not [line for line in data.remarks if "dog" in line]
    assert load("image_folder", path=str(tmp_path)).remarks == ()


@pytest.mark.parametrize("few", [1, 2, 3])
def test_files_that_stand_alone_are_not_said_to_stay_together(few: int, tmp_path: Path) -> None:
    shade = 0
    for title, count in (("few", few), ("many", 20), ("more", 20)):
        for number in range(count):
            write_image(tmp_path / title / f"{number}.png", shade := shade + 5)
    with pytest.raises(DataError, match="too few items of class 'few'") as caught:
        load("image_folder", path=str(tmp_path))
    assert "stay together" not in str(caught.value)


def write_classes(root: Path, counts: tuple[int, ...]) -> None:
    shade = 0
    for label, count in enumerate(counts):
        for number in range(count):
            write_image(root / f"class {label}" / f"{number}.png", shade := shade + 5)


@pytest.mark.parametrize("counts", [(8, 8), (10, 10), (9, 12), (5, 5, 5, 5)])
def test_of_few_files_as_many_are_held_out_as_a_map_needs(counts: tuple[int, ...], tmp_path: Path) -> None:
    write_classes(tmp_path, counts)
    data = load("image_folder", path=str(tmp_path))
    check_mappable(data)
    assert data.remarks == ()


@pytest.mark.parametrize("counts", [(7, 7), (4, 4, 4), (4, 4, 4, 4)])
def test_too_few_files_are_refused_with_what_helps(counts: tuple[int, ...], tmp_path: Path) -> None:
    write_classes(tmp_path, counts)
    with pytest.raises(DataError, match="add files"):
        check_mappable(load("image_folder", path=str(tmp_path)))


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
