"""Folders that are called as the parts of a split, where not all of them have class folders."""

from __future__ import annotations

from pathlib import Path

import pytest

from cpc_engine.errors import DataError
from tests.support.data_files import load, write_image

BARE = ""  # a part whose files lie in no class folders
TITLES = ("cat", "dog")


def write_parts(root: Path, parts: dict[str, tuple[str, ...]]) -> None:
    """Write 10 different pictures into each class folder {part: its classes}."""
    shade = 0
    for part, titles in parts.items():
        for title in titles:
            for number in range(10):
                write_image(root / part / title / f"{number}.png", shade := shade + 4)


@pytest.mark.parametrize(
    ("parts", "tested", "told"),
    [
        (
            {"train": TITLES, "test": (BARE,)},
            "train",
            "the files in test are not used (no class folders in test); test and validation items are drawn from train",
        ),
        (
            {"Training": TITLES, "testing": (BARE,), "valid": (BARE,)},
            "Training",
            "the files in testing and valid are not used (no class folders in testing and valid); "
            "test and validation items are drawn from Training",
        ),
        (
            {"train": TITLES, "test": (BARE,), "val": TITLES},
            "val",
            "the files in test are not used (no class folders in test); validation items are drawn from train",
        ),
        (
            {"train": TITLES, "testing": TITLES, "test": (BARE,)},
            "testing",
            "the files in test are not used (no class folders in test); validation items are drawn from train",
        ),
    ],
)
def test_parts_without_class_folders_are_no_classes(
    parts: dict[str, tuple[str, ...]], tested: str, told: str, tmp_path: Path
) -> None:
    write_parts(tmp_path, parts)
    data = load("image_folder", path=str(tmp_path))
    assert data.classes == TITLES
    assert {name.split("/")[0] for name in data.test.names} == {tested}
    assert told in data.remarks


@pytest.mark.parametrize(
    ("parts", "named"),
    [
        ({"train": (BARE,), "test": (BARE,)}, "test and train in .* are parts of a split"),
        ({"train": (BARE,)}, "train in .* is a part of a split"),
        ({"train": (BARE,), "val": (BARE,), "test": (BARE,)}, "test and train and val in .* are parts of a split"),
        ({"test": TITLES, "val": TITLES}, "test and val in .* are parts of a split"),
        ({"train": (BARE,), "test": TITLES}, "test and train in .* are parts of a split"),
    ],
)
def test_a_split_without_classes_to_train_on_is_refused(
    parts: dict[str, tuple[str, ...]], named: str, tmp_path: Path
) -> None:
    write_parts(tmp_path, parts)
    with pytest.raises(DataError, match=f"{named}, not classes: .*one folder per class.*rename"):
        load("image_folder", path=str(tmp_path))


@pytest.mark.parametrize("inside", [(BARE,), ("day 1", "day 2")])
def test_a_class_may_be_called_train(inside: tuple[str, ...], tmp_path: Path) -> None:
    write_parts(tmp_path, {"train": inside, "car": inside})
    assert load("image_folder", path=str(tmp_path)).classes == ("car", "train")
