"""Names of files and folders that are not UTF-8, as old archives bring them: readable everywhere, and told apart."""

from __future__ import annotations

import os
import sys
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

import cpc_engine as cpc
from cpc_engine.cli import main
from cpc_engine.data import load_dataset
from tests.support.tiny import CHANGES, tiny

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="this system only has names that are text")


def folder_of(root: Path, titles: list[bytes], files: list[bytes]) -> Path:
    draw = np.random.default_rng(0)
    for title in titles:
        for number in range(20):
            name = files[number] if number < len(files) else b"%d" % number
            path = root / os.fsdecode(title) / f"{os.fsdecode(name)}.png"
            path.parent.mkdir(parents=True, exist_ok=True)
            with path.open("wb") as file:
                Image.fromarray(draw.integers(0, 255, (40, 40, 3), dtype=np.uint8)).save(file, "PNG")
    return root


NAMES = [b"caf\xe9", b"caf\xe8", b"caf\\udce9", "café".encode(), b"\xff\xfe"]


@pytest.mark.parametrize(("titles", "files"), [([b"a", b"b"], NAMES), (NAMES, []), (NAMES, NAMES)])
def test_names_that_are_not_text_become_it_and_stay_apart(
    titles: list[bytes], files: list[bytes], tmp_path: Path
) -> None:
    root = folder_of(tmp_path, titles, files)
    data = load_dataset(tiny(data__dataset="image_folder", data__path=str(root), data__train_items=0))
    assert len(data.classes) == len(set(data.classes)) == len(titles)
    names = [name for _, split in data.splits() for name in split.names]
    assert len(names) == len(set(names)) == 20 * len(titles)
    for text in (*names, *data.classes, *data.remarks, *data.skipped):
        text.encode()
    some = load_dataset(
        tiny(data__dataset="image_folder", data__path=str(root), data__classes=data.classes[:2], data__train_items=0)
    )
    assert some.classes == data.classes[:2]
    assert sum(len(split) for _, split in some.splits()) == 40


def test_files_that_cannot_be_read_are_named_in_text(tmp_path: Path) -> None:
    root = folder_of(tmp_path, [b"a", b"b"], [])
    (root / "a" / os.fsdecode(b"\xe9.png")).write_bytes(b"nothing")
    data = load_dataset(tiny(data__dataset="image_folder", data__path=str(root)))
    assert len(data.skipped) == 1
    data.skipped[0].encode()


def test_a_run_of_such_files_is_of_use(tmp_path: Path) -> None:
    data = str(folder_of(tmp_path / "data", [b"caf\xe9", b"th\xe9"], NAMES))
    settings = {name: value for name, value in CHANGES.items() if name != "data.dataset"}
    run = cpc.train("image_folder", data=data, settings=settings, root=tmp_path / "runs", progress=False)
    run.evaluate()
    assert len(run.map("pca"))
    assert len(run.embed("test")[1]) == len(run.explore().items)
    for kind in ("csv", "npz"):
        target = tmp_path / f"out.{kind}"
        assert main(["export", str(run.path), "--format", kind, "--out", str(target)]) == 0
    [placed] = run.place([str(next(Path(data).glob("th*/1*.png")))])
    assert placed.placement.predicted in run.info.data["classes"]
