"""Too few items are told, with what would help."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch

from cpc_engine.config import with_labels
from cpc_engine.data.dataset import Split
from cpc_engine.data.splits import check_enough
from cpc_engine.errors import DataError
from tests.support.data_files import load, write_image


def split(counts: list[int]) -> Split:
    labels = [label for label, count in enumerate(counts) for _ in range(count)]
    none = tuple(map(str, range(len(labels))))
    return Split(
        None, torch.zeros(len(labels), 3, 2, 2, dtype=torch.uint8), torch.tensor(labels, dtype=torch.int64), none, none
    )


def told(train: list[int]) -> str:
    """The message for classes a, b, … with so many training items."""
    parts = {"train": split(train), "validation": split([1] * len(train)), "test": split([1] * len(train))}
    with pytest.raises(DataError) as found:
        check_enough("mine", "abcdef"[: len(train)], parts, ["x: damaged"], ["a remark"])
    return str(found.value)


@pytest.mark.parametrize(
    ("train", "advice"),
    [
        ([9, 1, 9], "; to leave it out, name the other classes in data.classes"),
        ([0, 9, 9, 9], "; to leave it out, name the other classes in data.classes"),
        ([9, 0, 9, 1], "; to leave it and 1 more with too few items out, name the other classes in data.classes"),
        ([0, 9, 0, 9, 1], "; to leave it and 2 more with too few items out, name the other classes in data.classes"),
    ],
)
def test_a_class_with_too_few_items_can_be_left_out(train: list[int], advice: str) -> None:
    first = "abcdef"[next(label for label, count in enumerate(train) if count < 2)]
    needed = "2 train, 1 validation, 1 test needed)"
    assert f"too few items of class {first!r}" in told(train)
    assert told(train).endswith(f"{needed}{advice}; 1 files were skipped, first x: damaged; a remark")
    assert "“Classes”" in with_labels(told(train))


@pytest.mark.parametrize("train", [[9, 1], [1, 1, 9], [1, 1, 1], [0, 0]])
def test_nothing_is_advised_that_leaves_less_than_two_classes(train: list[int]) -> None:
    assert "leave" not in told(train)


def test_the_advice_helps(tmp_path: Path) -> None:
    """As with the folders of noise and of notes that lie in many public sets."""
    for number in range(12):
        for name in ("cat", "dog"):
            write_image(tmp_path / name / f"{number}.png", 9 * number + 100 * (name == "dog"))
    write_image(tmp_path / "_background_noise_" / "1.png", 5)
    with pytest.raises(DataError, match=r"'_background_noise_'.*data\.classes"):
        load("image_folder", path=str(tmp_path))
    assert load("image_folder", path=str(tmp_path), classes=["cat", "dog"]).classes == ("cat", "dog")
