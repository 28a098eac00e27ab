"""A folder too many above the class folders: stepped into, and told, where nothing else can be meant."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cpc_engine.config import RunConfig
from cpc_engine.data.follow import follow_data
from cpc_engine.data.listing.class_level import class_level
from tests.support.data_files import load, write_image, write_tone

# Files below the folder that was typed, and the folder whose sub-folders are the classes.
SHAPES = {
    "classes": (["cat/1", "dog/1"], ""),
    "one folder": (["pets/cat/1", "pets/dog/1"], "pets"),
    "two folders": (["a/pets/cat/1", "a/pets/dog/1"], "a/pets"),
    "a file beside it": (["README.md", "pets/cat/1", "pets/dog/1"], "pets"),
    "what systems add": ([".DS_Store", "__MACOSX/pets/1", ".git/a/1", "pets/.x", "pets/cat/1", "pets/dog/1"], "pets"),
    "a split below it": (["set/train/cat/1", "set/train/dog/1", "set/test/cat/1", "set/test/dog/1"], "set"),
    "files in sub-folders of classes": (["pets/cat/a/1", "pets/cat/b/1", "pets/dog/a/1"], "pets"),
    "one part of a split": (["train/cat/1", "train/dog/1"], "train"),
    "one part in capitals": (["Test/cat/1", "Test/dog/1"], "Test"),
    "one part below another folder": (["set/validation/cat/1", "set/validation/dog/1"], "set/validation"),
    "one class": (["cat/1", "cat/2"], ""),
    "one class below another folder": (["pets/cat/1"], ""),
    "one class in sub-folders": (["cat/a/1", "cat/b/1", "cat/2"], ""),
    "files lower down": (["a/b/x/1", "a/b/y/1", "a/b/2"], ""),
    "two folders of folders": (["a/x/1", "a/y/1", "b/x/1"], ""),
    "nothing": ([], ""),
}


def make(root: Path, files: list[str]) -> None:
    for name in files:
        path = root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(b"x")


@pytest.mark.parametrize("shape", SHAPES)
def test_only_a_folder_too_many_is_stepped_into(shape: str, tmp_path: Path) -> None:
    files, inside = SHAPES[shape]
    make(tmp_path, files)
    assert class_level(tmp_path) == tmp_path / inside
    assert class_level(class_level(tmp_path)) == tmp_path / inside


@given(depth=st.integers(0, 5), classes=st.integers(2, 4), split=st.sampled_from(["", "train", "VAL", "testing"]))
def test_folders_are_stepped_into_to_any_depth(
    depth: int, classes: int, split: str, tmp_path_factory: pytest.TempPathFactory
) -> None:
    root = tmp_path_factory.mktemp("data")
    above = [f"level {number}" for number in range(depth)] + ([split] if split else [])
    make(root, ["/".join([*above, f"class {number}", "1"]) for number in range(classes)])
    assert class_level(root) == root.joinpath(*above)


def test_links_that_lead_back_end(tmp_path: Path) -> None:
    (tmp_path / "pets").symlink_to(tmp_path, target_is_directory=True)
    assert class_level(tmp_path) == tmp_path
    assert class_level(tmp_path / "none") == tmp_path / "none"


@pytest.mark.parametrize("kind", ["image_folder", "audio_folder", "paired_folders"])
def test_data_below_a_folder_too_many_are_those_without_it_and_it_is_told(kind: str, tmp_path: Path) -> None:
    for number in range(16):
        for name in ("cat", "dog"):
            write_image(tmp_path / "p" / "pets" / name / f"{number}.png", 9 * number + 100 * (name == "dog"))
            write_tone(tmp_path / "s" / "more" / "pets" / name / f"{number}.wav", 100 + 50 * number + 7 * len(name))
    sounds, pictures = tmp_path / "s", tmp_path / "p"
    inner = {"path": sounds / "more" / "pets", "image_path": pictures / "pets"}
    outer = {"path": sounds, "image_path": pictures}
    if kind == "image_folder":
        inner, outer = {"path": inner["image_path"]}, {"path": outer["image_path"]}
    elif kind == "audio_folder":
        del inner["image_path"], outer["image_path"]
    without, with_it = (load(kind, **{name: str(path) for name, path in paths.items()}) for paths in (inner, outer))
    assert with_it.classes == without.classes == ("cat", "dog")
    assert with_it.train.names == without.train.names
    told = {
        "audio_folder": ["the classes are the folders in more/pets, the only folder in s"],
        "image_folder": ["the classes are the folders in pets, the only folder in p"],
    }
    expected = told.get(kind, [line for lines in told.values() for line in lines])
    assert [line for line in with_it.remarks if line not in without.remarks] == expected


def test_sizes_follow_the_files_below_a_folder_too_many(tmp_path: Path) -> None:
    for number in range(4):
        for name in ("cat", "dog"):
            write_image(tmp_path / "pets" / name / f"{number}.png", 9 * number)
    outer, inner = (
        follow_data(RunConfig().replace({"data.dataset": "image_folder", "data.path": str(path), "image.size": 0}))
        for path in (tmp_path, tmp_path / "pets")
    )
    assert outer.image.size == inner.image.size > 0


def test_one_part_of_a_split_alone_has_the_classes(tmp_path: Path) -> None:
    for number in range(16):
        for name in ("cat", "dog"):
            write_image(tmp_path / "train" / name / f"{number}.png", 9 * number + 100 * (name == "dog"))
    data = load("image_folder", path=str(tmp_path))
    assert data.classes == ("cat", "dog")
    assert any("the classes are the folders in train" in remark for remark in data.remarks)
