"""Groups of files: patterns, folders, what is told, and that no split divides them."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import soundfile
from hypothesis import given
from hypothesis import strategies as st

from cpc_engine.config.name_pattern import GROUP, NamePattern
from cpc_engine.data import Dataset
from cpc_engine.data.relations.groups import file_groups, hint
from cpc_engine.errors import ConfigError
from cpc_engine.execution.execute import data_facts
from tests.engine.data.test_duplicates import load, picture, save, sound

pieces = st.lists(st.sampled_from(["-", "_", "a", "-_"]), min_size=1, max_size=3)


@given(pieces, pieces, st.text("ab-_", max_size=12))
def test_a_pattern_finds_what_a_regular_expression_finds(before: list[str], after: list[str], path: str) -> None:
    pattern = "*".join(["", *before])[-20:] + GROUP + "*".join([*after, ""])
    if pattern.count("*") > 4:
        return
    head, tail = pattern.split(GROUP)
    # Stars before the group as short as can be, then the longest group
    expression = re.escape(head).replace(r"\*", ".*?") + "(?P<group>.+)" + re.escape(tail).replace(r"\*", ".*?")
    expected = re.fullmatch(expression, path, re.DOTALL)
    assert NamePattern.parse(pattern).group(path) == (expected and expected["group"])


def test_folders_and_patterns_group_files() -> None:
    names = ["s1/x.wav", "s1/deep/y.wav", "s2/x.wav", "z.wav"]
    groups, told = file_groups(names, ["dog"] * 4, "folder")
    assert groups == ("dog/s1", "dog/s1", "dog/s2", "dog/z")
    assert told == ("1 of 4 files lie in no folder within their class and stand for themselves, for example z.wav",)
    groups, told = file_groups(["7_theo_1.wav", "3_theo_2.flac", "odd.wav"], ["7", "3", "3"], "*_{group}_*")
    assert groups == ("theo", "theo", "3/odd")
    assert told[0].startswith("1 of 3 files do not match the pattern *_{group}_*")
    assert file_groups(["a.b/c.d.wav", "a.b/c.d.ogg"], ["x", "x"], "")[0] == ("x/a.b/c.d", "x/a.b/c.d")


def save_sounds(root: Path, names: list[str]) -> None:
    first = len(list(root.rglob("*.wav")))  # no two files sound alike
    for number, name in enumerate(names, first):
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        soundfile.write(root / name, sound(number), 8000)


def parts_of(data: Dataset, group: str) -> set[str]:
    return {part for part, split in data.splits() for name in split.names if group in name}


@pytest.mark.parametrize("divided", [False, True])
def test_one_group_of_all_classes_can_be_held_out(tmp_path: Path, divided: bool) -> None:
    """Also of files that a folder divides into train and test otherwise."""
    for fold in (1, 2, 3):
        part = ("test/" if fold == 3 else "train/") if divided else ""
        save_sounds(tmp_path, [f"{part}{name}/fold{fold}_{take}.wav" for name in ("a", "b") for take in range(4)])
    held = {"groups": "fold{group}_*", "split": "group"}
    data = load("audio_folder", tmp_path, held_out="2", **held)
    assert parts_of(data, "fold2_") == {"test"}
    assert len(data.test) == 8
    assert parts_of(data, "fold1_") | parts_of(data, "fold3_") == {"train", "validation"}
    with pytest.raises(ConfigError, match="unknown group '7'"):
        load("audio_folder", tmp_path, held_out="7", **held)


@pytest.mark.parametrize("seed", range(4))
@pytest.mark.parametrize("groups", ["*_{group}_*", "folder"])
def test_no_split_divides_a_group(tmp_path: Path, groups: str, seed: int) -> None:
    people = [f"person{i}" for i in range(6)]
    for title in ("a", "b"):
        names = [f"{title}/{who}x/{title}_{who}x_{take}.wav" for who in people for take in range(4)]
        save_sounds(tmp_path, names)
    data = load("audio_folder", tmp_path, groups=groups, seed=seed)
    for who in people:
        for title in ("a", "b"):
            assert len(parts_of(data, f"{title}_{who}x")) == 1
        assert groups == "folder" or len(parts_of(data, f"{who}x")) == 1
    assert not any("takes" in line for line in data.remarks)
    assert all(len(split) for _, split in data.splits())


def test_pairs_use_the_groups_in_both_folders(tmp_path: Path) -> None:
    for title in ("a", "b"):
        save_sounds(tmp_path / "sounds", [f"{title}/s{i}_{take}.wav" for i in range(6) for take in range(3)])
        for i in range(6):
            for take in range(3):
                number = 1000 * (title == "b") + 10 * i + take
                save(tmp_path / "pictures" / title / f"p{i}_{take}.png", picture(number))
    changes: dict[str, Any] = {"image_path": str(tmp_path / "pictures"), "groups": "{group}_*"}
    data = load("paired_folders", tmp_path / "sounds", **changes)
    for i in range(6):
        for title in ("a", "b"):
            assert len(parts_of(data, f"{title}/s{i}_")) == 1
            assert len(parts_of(data, f"{title}/p{i}_")) == 1


ESC = [f"{fold}-{100000 + clip}-{take}-0" for fold in (1, 2) for clip in range(8) for take in "AB"]


@pytest.mark.parametrize(
    ("names", "pattern"),
    [
        (ESC, "{group}-*-*"),
        ([f"7_{who}_{take}" for who in ("theo", "lucas", "george") for take in range(5)], "{group}_*"),
        ([f"bass_synthetic_{i:03d}-036-{v:03d}" for i in range(9) for v in (25, 50)], "{group}-*"),
        ([f"bass_synthetic_{i % 8:03d}-{p:03d}-100" for i, p in enumerate(range(30, 62))], "{group}-*-*"),
        ([f"dog_{i:03d}" for i in range(40)], None),
        ([f"IMG {i}.copy" for i in range(40)], None),
        (["whistle", "bark", "growl"], None),
        ([*(f"dog_{i:03d}" for i in range(40)), "dog_007_b", "dog_007_c"], None),
    ],
)
def test_names_that_look_like_takes_are_told(names: list[str], pattern: str | None) -> None:
    told = hint([f"{name}.wav" for name in names], ["dog"] * len(names))
    assert [line.partition("data.groups to ")[2].split(" ")[0] for line in told] == ([pattern] if pattern else [])
    if pattern:
        groups, unmatched = file_groups([f"{name}.wav" for name in names], ["dog"] * len(names), pattern)
        assert not unmatched
        assert len(set(groups)) < len(names)


def test_the_remark_is_shown_until_groups_are_set(tmp_path: Path) -> None:
    for title in ("a", "b"):
        save_sounds(
            tmp_path, [f"{title}/{i}-{np.base_repr(i + 99, 36)}x-{take}.wav" for i in range(8) for take in "AB"]
        )
    data = load("audio_folder", tmp_path)
    shown = r"32 of 32 files look like several takes .* set data\.groups to \{group\}-\* .*"
    assert any(re.fullmatch(shown, line) for line in data.remarks)
    assert data_facts(data)["remarks"] == list(data.remarks)
    assert load("audio_folder", tmp_path, groups="{group}-*").remarks == ()
