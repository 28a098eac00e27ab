"""Data that would need too much memory are refused before they are read."""

from __future__ import annotations

import io
import zipfile
from pathlib import Path

import numpy as np
import pytest

from cpc_engine.data import loading
from cpc_engine.errors import DataError
from tests.support.data_files import load, write_npz


@pytest.mark.parametrize(("name", "items"), [("tones", 1_000_000), ("bars", 1_000_000), ("keypad", 330_000)])
def test_a_data_set_that_needs_too_much_memory_is_refused_at_once(name: str, items: int) -> None:
    with pytest.raises(DataError, match=rf"{name}: \d+ items needs [\d.]+ GiB of memory, more than .* GiB; lower data"):
        load(name, train_items=items)


def test_what_is_free_counts(monkeypatch: pytest.MonkeyPatch) -> None:
    assert 2**20 < loading._free_memory() < 2**50
    monkeypatch.setattr(loading, "_free_memory", lambda: 1000.0)
    with pytest.raises(DataError, match=r"needs 0\.0 GiB of memory"):
        load("tones", train_items=40)


@pytest.mark.parametrize(("items", "match"), [(2**24, "of memory, more than"), (-5, "not a usable")])
def test_arrays_that_say_they_are_huge_are_not_read(items: int, match: str, tmp_path: Path) -> None:
    """100 GiB by its header, a few bytes in truth; and one that unpacks to as much."""
    path = write_npz(tmp_path / "x.npz")
    small, header = tmp_path / "huge.npz", io.BytesIO()
    np.lib.format.write_array_header_1_0(
        header, {"shape": (items, 45, 45, 3), "fortran_order": False, "descr": np.dtype(np.uint8).str}
    )
    with zipfile.ZipFile(path) as old, zipfile.ZipFile(small, "w", zipfile.ZIP_DEFLATED) as new:
        for name in old.namelist():
            new.writestr(name, header.getvalue() if name == "x_train.npy" else old.read(name))
    with pytest.raises(DataError, match=match):
        load("cifar10", path=str(small))


def test_an_encrypted_npz_is_told(tmp_path: Path) -> None:
    content = bytearray(Path(write_npz(tmp_path / "x.npz")).read_bytes())
    for mark in (b"PK\x03\x04", b"PK\x01\x02"):
        at = content.find(mark)
        while at >= 0:
            content[at + (6 if mark[2] == 3 else 8)] |= 1
            at = content.find(mark, at + 4)
    (tmp_path / "x.npz").write_bytes(content)
    with pytest.raises(DataError, match=r"not a usable \.npz"):
        load("cifar10", path=str(tmp_path / "x.npz"))
