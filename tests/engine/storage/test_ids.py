"""Folders with unusual names: what is listed opens by its id, and no id leads out of the folder of runs."""

from __future__ import annotations

import os
import shutil
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cpc_engine.errors import RunError
from cpc_engine.storage.folder import RunFolder
from cpc_engine.storage.info import is_id
from cpc_engine.storage.listing import scan_runs
from tests.support.tiny import tiny

NAMES = ["Anna's tones", "a, b", "\N{SPEAKER} loud", "Cafe\u0301", "ünïcode", "100 %", "a&b=c", "-dash", "x" * 200]


def test_what_is_listed_opens(tmp_path: Path) -> None:
    first = RunFolder.create(tmp_path, tiny())
    for name in NAMES:
        shutil.copytree(first.path, tmp_path / name)
    infos, broken = scan_runs(tmp_path)
    assert broken == []
    assert {info.id for info in infos} == {first.id, *NAMES}
    for info in infos:
        assert RunFolder.open(info.id, tmp_path).path == (tmp_path / info.id).resolve()


@pytest.mark.parametrize("name", ["two\nlines", os.fsdecode(b"caf\xe9")])
def test_what_cannot_be_opened_is_told_with_the_reason(name: str, tmp_path: Path) -> None:
    first = RunFolder.create(tmp_path, tiny())
    shutil.copytree(first.path, tmp_path / name)
    infos, broken = scan_runs(tmp_path)
    assert [info.id for info in infos] == [first.id]
    assert len(broken) == 1
    assert "rename the folder" in broken[0]
    assert "\n" not in broken[0]
    assert broken[0].encode()  # can be printed


@given(st.text(max_size=20))
def test_no_id_leads_out_of_the_folder(name: str) -> None:
    root = Path("/runs")
    if is_id(name):
        assert (root / name).parent == root
        assert (root / name).name == name


@pytest.mark.parametrize(
    "name", ["..", ".", "", "../x", "a/b", "/etc", "a\\b", ".hidden", "nul\0", "x" * 300, "caf\udce9"]
)
def test_paths_are_no_ids(tmp_path: Path, name: str) -> None:
    assert not is_id(name)
    with pytest.raises(RunError):
        RunFolder.open(name, tmp_path)
