"""Data that a user brings: where they are kept, which preset fits, and what a check says before a run begins."""

from __future__ import annotations

import io
import os
import time
import wave
import zipfile
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from cpc_engine.data import load_dataset
from cpc_engine.errors import CpcError, DataError, MediaError
from cpc_engine.execution.own_data import check_data, keep_upload
from cpc_engine.presets import preset
from cpc_engine.storage.folder import RunFolder
from cpc_engine.storage.listing import scan_runs
from tests.support.clock import HOUR, Clock


def sound(seed: int) -> bytes:
    samples = (8000 * np.random.default_rng(seed).normal(size=4000)).clip(-32000, 32000).astype("<i2")
    stream = io.BytesIO()
    with wave.open(stream, "wb") as file:
        file.setnchannels(1)
        file.setsampwidth(2)
        file.setframerate(8000)
        file.writeframes(samples.tobytes())
    return stream.getvalue()


def picture(seed: int) -> bytes:
    pixels = np.random.default_rng(seed).integers(0, 255, (16, 16, 3), dtype=np.uint8)
    stream = io.BytesIO()
    Image.fromarray(pixels).save(stream, "PNG")
    return stream.getvalue()


def zipped(members: dict[str, bytes]) -> io.BytesIO:
    stream = io.BytesIO()
    with zipfile.ZipFile(stream, "w") as opened:
        for name, content in members.items():
            opened.writestr(name, content)
    stream.seek(0)
    return stream


def two_classes(count: int = 16, prefix: str = "") -> dict[str, bytes]:
    names = [(title, number) for title in ("dog", "frog") for number in range(count)]
    return {f"{prefix}{title}/{number}.wav": sound(hash_of(title, number)) for title, number in names}


def hash_of(title: str, number: int) -> int:
    return 1000 * len(title) + number


def test_a_zip_becomes_settings_that_train_on_it(tmp_path: Path) -> None:
    for prefix in ("", "my sounds/"):
        kept = keep_upload([("mine.zip", zipped(two_classes(prefix=prefix) | {"read me.txt": b"hello"}))], tmp_path)
        assert kept.preset == "audio_folder"
        assert kept.skipped == ("read me.txt: neither a sound nor a picture",)
        data, part = check_data(preset(kept.preset).config().replace(kept.changes))
        assert data.classes == ("dog", "frog")
        assert sum(len(split) for _, split in data.splits()) == 32
        assert not part
    assert scan_runs(tmp_path) == ([], []), "an upload is no run"


def test_loose_files_are_sorted_by_how_their_names_begin(tmp_path: Path) -> None:
    names = [(title, number) for title in ("cat", "doggy") for number in range(16)]
    files = [(f"{title}_{number:02d}.png", io.BytesIO(picture(hash_of(title, number)))) for title, number in names]
    kept = keep_upload([*files, ("notes.txt", io.BytesIO(b"?"))], tmp_path)
    assert kept.preset == "image_folder"
    assert kept.skipped == ("notes.txt: neither a sound nor a picture",)
    assert check_data(preset(kept.preset).config().replace(kept.changes))[0].classes == ("cat", "doggy")


def test_loose_files_in_the_parts_of_a_split_are_sorted_too(tmp_path: Path) -> None:
    for parts in (("train", "test"), ("Training", "val"), ("train",)):
        members = {
            f"mine/{part}/{title}_{number}.wav": sound(9000 * len(part) + hash_of(title, number))
            for part in parts
            for title in ("dog", "frog")
            for number in range(14)
        }
        kept = keep_upload([("mine.zip", zipped(members))], tmp_path)
        data, _ = check_data(preset(kept.preset).config().replace(kept.changes))
        assert data.classes == ("dog", "frog")
        assert len(parts) == 1 or all(name.startswith(f"{parts[1]}/") for name in data.test.names)


@pytest.mark.parametrize("train", ["train/{}/{}.wav", "train/{}.{}.wav"])
def test_a_part_without_labels_is_left_out_and_told(train: str, tmp_path: Path) -> None:
    members = {train.format(title, n): sound(hash_of(title, n)) for title in ("dog", "frog") for n in range(16)}
    kept = keep_upload([("a.zip", zipped(members | {f"test/{n}.wav": sound(n) for n in range(9)}))], tmp_path)
    data, _ = check_data(preset(kept.preset).config().replace(kept.changes))
    assert data.classes == ("dog", "frog")
    assert any("no class folders in test" in line for line in data.remarks)


@pytest.mark.parametrize("numbered", ["dog ({}).png", "dog({}).png", "dog [{}].png", "dog-{}.png", "dog{}.png"])
def test_a_file_is_of_the_class_of_its_numbered_ones(numbered: str, tmp_path: Path) -> None:
    names = ["dog.png", *(numbered.format(number) for number in range(1, 8)), "cat.png", "cat (1).png"]
    kept = keep_upload([(name, io.BytesIO(picture(seed))) for seed, name in enumerate(names)], tmp_path)
    folder = Path(kept.changes["data.path"])
    assert {path.name: len(list(path.iterdir())) for path in folder.iterdir()} == {"dog": 8, "cat": 2}


def test_two_uploaded_files_of_one_name_are_both_kept(tmp_path: Path) -> None:
    """They come from two folders, of which an upload tells nothing."""
    names = ["dog.png", "dog.png", "dog (2).png", "dog.png", "a/cat.png", "b\\cat.png"]
    contents = [picture(seed) for seed in range(len(names))]
    kept = keep_upload([(name, io.BytesIO(one)) for name, one in zip(names, contents, strict=True)], tmp_path)
    folder = Path(kept.changes["data.path"])
    assert sorted(path.read_bytes() for path in folder.glob("dog/*")) == sorted(contents[:4])
    assert sorted(path.read_bytes() for path in folder.glob("cat/*")) == sorted(contents[4:])


def test_two_folders_of_one_kind_each_are_pairs(tmp_path: Path) -> None:
    members = two_classes(prefix="sounds/")
    names = [name.replace("sounds/", "pictures/").replace(".wav", ".png") for name in members]
    members |= {name: picture(number) for number, name in enumerate(names)}
    kept = keep_upload([("pairs.zip", zipped(members))], tmp_path)
    assert kept.preset == "paired_folders"
    data, _ = check_data(preset(kept.preset).config().replace(kept.changes))
    assert data.modalities == ("audio", "image")


def test_the_same_files_lie_there_once(tmp_path: Path) -> None:
    members = two_classes(2) | {"x.txt": b""}
    first, second = (keep_upload([("mine.zip", zipped(members))], tmp_path) for _ in range(2))
    assert first == second


@pytest.mark.parametrize(
    ("files", "words"),
    [
        ([("a.zip", b"no zip")], "not a zip file"),
        ([("a.txt", b"?"), ("b.csv", b"?")], "none of these files"),
        ([("a.zip", b""), ("b.zip", b"")], "one zip file at a time"),
    ],
)
def test_a_refused_upload_leaves_nothing(tmp_path: Path, files: list[tuple[str, bytes]], words: str) -> None:
    with pytest.raises(MediaError, match=words):
        keep_upload([(name, io.BytesIO(content)) for name, content in files], tmp_path)
    assert [path for path in tmp_path.rglob("*") if path.is_file()] == []


def test_a_check_says_what_a_run_would_fail_of(tmp_path: Path) -> None:
    config = preset("audio_folder").config()
    with pytest.raises(DataError, match="no such folder"):
        check_data(config.replace({"data.path": str(tmp_path / "nowhere")}))
    kept = keep_upload([("one.zip", zipped(two_classes(1)))], tmp_path)
    with pytest.raises(CpcError, match="too few items of class 'dog'"):
        check_data(config.replace(kept.changes))


@pytest.mark.parametrize("share", [0.15, 0.5])
def test_a_check_takes_as_many_classes_as_a_run(share: float, tmp_path: Path) -> None:
    for label in range(200):
        (tmp_path / f"class {label:03}").mkdir()
        for number in range(6):
            (tmp_path / f"class {label:03}" / f"{number}.png").write_bytes(picture(6 * label + number))
    changes = {"data.path": str(tmp_path), "data.train_items": 0, "data.test_items": 0, "data.validation_share": share}
    config = preset("image_folder").config().replace(changes)
    assert len(load_dataset(config).classes) == len(check_data(config)[0].classes) == 200


def test_old_uploads_that_no_run_has_learned_from_are_deleted(tmp_path: Path) -> None:
    kept = {}
    for name in ("learned", "discarded", "old", "young"):
        members = {f"{name}/{title}/{number}.wav": sound(number) for title in ("a", "b") for number in range(2)}
        kept[name] = keep_upload([("mine.zip", zipped(members))], tmp_path)
    for name, place in {"learned": tmp_path, "discarded": tmp_path / ".trash"}.items():
        RunFolder.create(place, preset(kept[name].preset).config().replace(kept[name].changes))
    uploads = {}
    for name, one in kept.items():
        path = Path(one.changes["data.path"])
        uploads[name] = next(part for part in (path, *path.parents) if part.parent.name == ".uploads")
    for name in ("learned", "discarded", "old"):
        os.utime(uploads[name].with_suffix(".skipped"), (0, time.time() - 25 * 3600))
    keep_upload([("other.zip", zipped(two_classes(2)))], tmp_path)
    assert {name for name, folder in uploads.items() if folder.is_dir()} == {"learned", "discarded", "young"}
    assert not uploads["old"].with_suffix(".skipped").exists()


@pytest.mark.parametrize("jumps", [(HOUR,), (-HOUR,), (HOUR, -2 * HOUR), (-HOUR, 2 * HOUR)])
def test_a_clock_that_is_set_deletes_no_upload_of_today_and_none_in_use(
    jumps: tuple[float, ...], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    kept, clock = [], Clock(monkeypatch)
    for number, jump in enumerate((0.0, *jumps)):
        clock.jump(jump)
        kept.append(keep_upload([(f"{number}.zip", zipped(two_classes(2)))], tmp_path))
    RunFolder.create(tmp_path, preset(kept[0].preset).config().replace(kept[0].changes))
    assert all(Path(one.changes["data.path"]).is_dir() for one in kept)
    clock.jump(48 * HOUR)
    last = keep_upload([("last.zip", zipped(two_classes(2)))], tmp_path)
    assert Path(last.changes["data.path"]).is_dir(), "new, although the disk's clock is two days behind"
    there = [Path(one.changes["data.path"]).is_dir() for one in kept]
    assert there == [True, *[False] * len(jumps)], "two days later only the one in use"
