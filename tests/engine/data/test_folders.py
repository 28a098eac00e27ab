"""Folders of pictures, sounds, and pairs."""

from __future__ import annotations

from pathlib import Path

import pytest

from cpc_engine.api.verbs import configured
from cpc_engine.config import RunConfig
from cpc_engine.data import follow_data, load_dataset
from cpc_engine.errors import ConfigError, DataError
from cpc_engine.presets import preset
from tests.support.data_files import check_format, disjoint, load, same, write_image, write_tone

# Folders


def test_image_folder(pictures: Path) -> None:
    data = load("image_folder", path=str(pictures))
    check_format(data)
    assert data.classes == ("cat", "dog")
    assert [len(split) for _, split in data.splits()] == [10, 4, 6]
    assert data.test.names[0].startswith("cat/sub")
    assert same(data.train, load("image_folder", path=str(pictures)).train)


def test_audio_folder_is_capped(sounds: Path) -> None:
    data = load("audio_folder", path=str(sounds), train_items=0, test_items=0)
    check_format(data)
    assert len(data.train) + len(data.validation) + len(data.test) == 16
    capped = load("audio_folder", path=str(sounds), train_items=10, test_items=2)
    assert (len(capped.train) + len(capped.validation), len(capped.test)) == (10, 2)


def test_train_and_test_folders_are_respected(tmp_path: Path) -> None:
    for part, count in (("train", 6), ("test", 2)):
        for name in ("a", "b"):
            for i in range(count):
                write_image(tmp_path / part / name / f"{i}.png", 20 * i + 3 * len(part) + 7 * (name == "b"))
    data = load("image_folder", path=str(tmp_path))
    assert data.classes == ("a", "b")
    assert all(name.startswith("test/") for name in data.test.names)
    assert len(data.test) == 4


@pytest.mark.parametrize("train", ["train", "Train", "training"])
@pytest.mark.parametrize("test", ["TEST", "testing", "val", "Valid", "validation"])
def test_split_folders_have_several_names(train: str, test: str, tmp_path: Path) -> None:
    for part, count in ((train, 6), (test, 2)):
        for name in ("a", "b"):
            for i in range(count):
                write_image(tmp_path / part / name / f"{i}.png", 20 * i + 3 * (part == train) + 7 * (name == "b"))
    data = load("image_folder", path=str(tmp_path))
    assert data.classes == ("a", "b")
    assert len(data.test) == 4
    assert all(name.startswith(f"{test}/") for name in data.test.names)
    told = f"the files in {test} are the test items; validation items are drawn from {train}"
    assert (told in data.remarks) == test.lower().startswith("val")


def test_test_items_come_from_the_test_folder_where_there_are_all_three(tmp_path: Path) -> None:
    for part in ("train", "val", "test"):
        for name in ("a", "b"):
            for i in range(5):
                write_image(tmp_path / part / name / f"{i}.png", 20 * i + 3 * len(part) + 7 * (name == "b"))
    data = load("image_folder", path=str(tmp_path))
    assert all(name.startswith("test/") for name in data.test.names)
    assert "the files in val are not used; validation items are drawn from train" in data.remarks


def test_every_folder_beside_a_given_split_is_told(tmp_path: Path) -> None:
    for part in ("Train", "test", "training", "more", ".cache"):
        for name in ("a", "b"):
            for i in range(6):
                write_image(tmp_path / part / name / f"{i}.png", 20 * i + 3 * len(part) + 7 * (name == "b"))
    told = [line for line in load("image_folder", path=str(tmp_path)).remarks if "not used" in line]
    assert told == ["the files in more and training are not used; validation items are drawn from Train"]


@pytest.mark.parametrize(
    ("groups", "told"),
    [
        ("{group}_*", "4 groups stand in both train and test, which are used as they are, for example bo"),
        ("folder", "1 group stands in both train and test, which are used as they are, for example a/x"),
        ("", ""),
    ],
)
def test_groups_on_both_sides_of_a_given_split_are_told(groups: str, told: str, tmp_path: Path) -> None:
    """Files with the same name on both sides are no group by themselves."""
    shade = 0
    for part, speakers in (("train", ("ann", "bo", "cy")), ("test", ("bo", "cy", "di"))):
        for title in ("a", "b"):
            for speaker in speakers:
                for i in range(4):
                    inside = "x" if (title, i) == ("a", 0) else ""
                    write_image(tmp_path / part / title / inside / f"{speaker}_{i}.png", shade := shade + 5)
            write_image(tmp_path / part / title / "alone.png", shade := shade + 5)
    data = load("image_folder", path=str(tmp_path), groups=groups, train_items=0, test_items=0)
    assert [line for line in data.remarks if "both" in line] == ([told] if told else [])


@pytest.mark.parametrize("typed", ['"{}"', "'{}'", "{} ", " {}", "file://{}", '"{}" '])
def test_a_path_is_understood_as_people_type_it(typed: str, tmp_path: Path) -> None:
    for name in ("a", "b"):
        for i in range(10):
            write_image(tmp_path / "my pictures" / name / f"{i}.png", 20 * i + 7 * (name == "b"))
    (tmp_path / "my pictures" / "__MACOSX").mkdir()
    (tmp_path / "my pictures" / "__MACOSX" / "._0.png").write_bytes(b"\0\5\x16\7")
    path = str(tmp_path / "my pictures")
    path = typed.format(path.replace(" ", "%20") if typed.startswith("file") else path)
    assert load("image_folder", path=path).classes == ("a", "b")
    config = preset("image_folder").config().replace({"data.path": path})
    assert follow_data(config).image.size == 32, "of a preset whose size follows from the data"
    assert configured(config, {}).data.path == str(tmp_path / "my pictures")
    assert configured(config, {}, data=path).data.path == str(tmp_path / "my pictures")


def test_files_in_linked_folders_are_read_once(tmp_path: Path) -> None:
    shade = 0
    for title in ("a", "b"):
        for i in range(10):
            write_image(tmp_path / "elsewhere" / title / "more" / f"{i}.png", shade := shade + 11)
        (tmp_path / "data" / title).mkdir(parents=True)
        (tmp_path / "data" / title / "link").symlink_to(tmp_path / "elsewhere" / title)
        (tmp_path / "data" / title / "z again").symlink_to(tmp_path / "elsewhere" / title / "more")
        (tmp_path / "elsewhere" / title / "circle").symlink_to(tmp_path / "data" / title)
        (tmp_path / "data" / title / "broken").symlink_to(tmp_path / "nowhere")
    data = load("image_folder", path=str(tmp_path / "data"))
    names = sorted(name for _, split in data.splits() for name in split.names)
    assert names == sorted(f"{title}/link/more/{i}.png" for title in ("a", "b") for i in range(10))


def test_files_that_differ_only_in_the_suffix_stay_together(tmp_path: Path) -> None:
    for name in ("a", "b"):
        for i in range(12):
            for suffix in ("png", "gif", "webp"):
                write_image(tmp_path / name / f"{i}.{suffix}", i)
    data = load("image_folder", path=str(tmp_path))
    groups = [set(split.groups) for _, split in data.splits()]
    assert disjoint(groups)


def test_unusable_files_are_skipped_and_reported(pictures: Path) -> None:
    (pictures / "cat" / "empty.png").touch()
    (pictures / "cat" / "sub0" / "broken.png").write_bytes(b"\x89PNG\r\n\x1a\n nothing")
    (pictures / "dog" / "notes.txt").write_text("hello")
    (pictures / "dog" / ".hidden").write_text("hello")
    write_tone(pictures / "dog" / "bark.wav")
    data = load("image_folder", path=str(pictures))
    reasons = dict(line.split(": ", 1) for line in data.skipped)
    assert set(reasons) == {"cat/empty.png", "cat/sub0/broken.png", "dog/notes.txt", "dog/bark.wav"}
    assert reasons["cat/empty.png"] == "empty file"
    assert reasons["dog/bark.wav"] == "a WAV sound, not a picture"
    assert len(data.train) + len(data.validation) + len(data.test) == 20


def test_folder_errors_are_one_line(tmp_path: Path) -> None:
    def check(path: Path, match: str) -> None:
        for name in ("image_folder", "audio_folder"):
            with pytest.raises(DataError, match=match) as caught:
                load(name, path=str(path))
            assert "\n" not in str(caught.value)

    check(tmp_path / "missing", "no such folder")
    (tmp_path / "file").write_text("x")
    check(tmp_path / "file", "not a folder")
    (tmp_path / "empty").mkdir()
    check(tmp_path / "empty", "needs one sub-folder per class")
    (tmp_path / "no_files" / "a").mkdir(parents=True)
    check(tmp_path / "no_files", "no files in")
    (tmp_path / "one_class" / "only").mkdir(parents=True)
    for i in range(9):
        (tmp_path / "one_class" / "only" / str(i)).write_text("x")
    check(tmp_path / "one_class", "at least two classes are needed, found only; 9 files were skipped, first only/0")


def test_too_few_items_names_the_class(pictures: Path) -> None:
    for i in range(2):
        write_image(pictures / "eel" / f"{i}.png", 200 + i)
    with pytest.raises(DataError, match=r"too few items of class 'eel' \(1 train, 0 validation, 1 test"):
        load("image_folder", path=str(pictures))
    assert load("image_folder", path=str(pictures), classes=["cat", "dog"]).classes == ("cat", "dog")
    with pytest.raises(ConfigError, match="did you mean 'cat'"):
        load("image_folder", path=str(pictures), classes=["cats", "dog"])


def test_paths_must_be_set(sounds: Path) -> None:
    for name in ("image_folder", "audio_folder", "paired_folders"):
        with pytest.raises(ConfigError, match=rf"{name} needs data\.path"):
            load(name)
    with pytest.raises(ConfigError, match=r"needs data\.image_path"):
        load("paired_folders", path=str(sounds))


def test_paired_folders(sounds: Path, pictures: Path) -> None:
    data = load("paired_folders", path=str(sounds), image_path=str(pictures), train_items=0, test_items=0)
    check_format(data)
    assert data.modalities == ("audio", "image")
    for part in (0, 1):
        files = [{name.split(" + ")[part] for name in split.names} for _, split in data.splits()]
        assert disjoint(files)
    assert len({name.split(" + ")[1] for name in data.train.names}) == len(data.train) == 12
    for name in data.train.names:
        sound, picture = name.split(" + ")
        assert sound.split("/")[0] == picture.split("/")[0]
    again = load("paired_folders", path=str(sounds), image_path=str(pictures), train_items=0, test_items=0)
    assert same(data.train, again.train)
    small = load("paired_folders", path=str(sounds), image_path=str(pictures), train_items=10, test_items=2)
    assert [len(split) for _, split in small.splits()] == [8, 2, 2]


def test_paired_folders_need_the_same_classes(sounds: Path, pictures: Path) -> None:
    write_image(pictures / "eel" / "0.png")
    with pytest.raises(DataError, match="'eel' has no sounds"):
        load("paired_folders", path=str(sounds), image_path=str(pictures))
    data = load("paired_folders", path=str(sounds), image_path=str(pictures), classes=["dog", "cat"])
    assert data.classes == ("dog", "cat")


def test_progress_reaches_the_end(sounds: Path) -> None:
    calls: list[tuple[str, float]] = []
    config = RunConfig().replace({"data.dataset": "audio_folder", "data.path": str(sounds)})
    load_dataset(config, progress=lambda description, done: calls.append((description, done)))
    assert calls[-1] == ("decoding files", 1.0)
