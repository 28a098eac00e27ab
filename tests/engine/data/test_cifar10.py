"""Photographs in one file of arrays."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from cpc_engine.errors import ConfigError, DataError
from tests.support.data_files import check_format, load, write_npz

# Public data sets


def test_cifar10_file(shared: Path) -> None:
    path = str(shared / "data" / "cifar10_two_class.npz")
    data = load("cifar10", path=path, train_items=0, test_items=0)
    check_format(data)
    assert [len(split) for _, split in data.splits()] == [8498, 1500, 2000]
    assert data.classes == ("airplane", "automobile")
    assert data.image_side == 32
    with np.load(path) as file:
        row = int(data.test.names[7].rsplit("/", 1)[1])
        assert data.test.image is not None
        np.testing.assert_array_equal(data.test.image[7].permute(1, 2, 0).numpy(), file["x_test"][row])
        assert data.test.labels[7] == file["y_test"][row]


@pytest.mark.parametrize(
    ("changes", "match"),
    [
        ({"y_test": None}, "lacks y_test"),
        ({"x_train": np.zeros((40, 32, 32, 3), np.float32)}, "x_train must be uint8"),
        ({"x_test": np.zeros((40, 3, 32, 32), np.uint8)}, "x_test must be uint8 of shape"),
        ({"x_train": np.zeros(40, np.uint8)}, "x_train must be uint8 of shape"),
        ({"y_train": np.zeros(39, int)}, "y_train must be whole numbers"),
        ({"y_train": np.full(40, 10)}, "there are 10 class names"),
        ({"y_train": np.array([{}] * 40, object)}, "not a usable .npz"),
        ({"class_names": np.array(list("abcdefghia"))}, r"x\.npz: class_names has 'a' more than once"),
        ({"class_names": np.array([b"cat", b"dog", *[b"cat"] * 8])}, "class_names has 'cat' more than once"),
    ],
)
def test_malformed_cifar10_arrays(tmp_path: Path, changes: dict[str, Any], match: str) -> None:
    with pytest.raises(DataError, match=match):
        load("cifar10", path=write_npz(tmp_path / "x.npz", **changes))


@pytest.mark.parametrize("names", [("cat", "dog"), ("café", "🐶")])
@pytest.mark.parametrize("as_bytes", [True, False])
def test_class_names_are_read_as_text_and_as_bytes(names: tuple[str, ...], as_bytes: bool, tmp_path: Path) -> None:
    stored = np.array([name.encode() for name in names] if as_bytes else names)
    labels = np.arange(40) % 2
    path = write_npz(tmp_path / "x.npz", class_names=stored, y_train=labels, y_test=labels)
    assert load("cifar10", path=path).classes == names
    assert load("cifar10", path=path, classes=list(names[::-1])).classes == names[::-1]


def test_cifar10_classes_and_missing_files(tmp_path: Path) -> None:
    path = write_npz(tmp_path / "x.npz", y_train=np.arange(40) % 4)
    assert load("cifar10", path=path).classes == ("airplane", "automobile")
    assert load("cifar10", path=path, classes=["cat", "bird"]).classes == ("cat", "bird")
    with pytest.raises(ConfigError, match="did you mean 'airplane'"):
        load("cifar10", path=path, classes=["aeroplane", "cat"])
    for missing in (tmp_path / "missing.npz", tmp_path / "missing"):
        with pytest.raises(DataError, match=r"--set data\.download=true"):
            load("cifar10", path=str(missing))
    (tmp_path / "text.npz").write_text("hello")
    (tmp_path / "short.npz").write_bytes(Path(path).read_bytes()[:300])
    np.save(tmp_path / "single.npy", np.zeros(3))
    for name in ("text.npz", "short.npz", "single.npy"):
        with pytest.raises(DataError, match="not a usable"):
            load("cifar10", path=str(tmp_path / name))
