"""Data sets: splits, determinism, and errors of folders and files."""

from __future__ import annotations

import io
import tarfile
import time
import zipfile
from collections import Counter
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import soundfile
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from cpc_engine import media
from cpc_engine.config import RunConfig
from cpc_engine.data import Dataset, Split, load_dataset, loading, preview_png, preview_wav
from cpc_engine.data import fsdd as fsdd_module
from cpc_engine.data.signals import KEYS, SHAPES, key_pair, synthesize
from cpc_engine.data.splits import balanced, holdout
from cpc_engine.errors import ConfigError, CpcError, DataError

GENERATED = ["tones", "chirps", "bars", "tones_bars", "keypad"]


def load(dataset: str, **data: Any) -> Dataset:
    changes = {f"data.{key}": value for key, value in data.items()}
    return load_dataset(RunConfig().replace({"data.dataset": dataset, "image.size": 32, **changes}))


def same(a: Split, b: Split) -> bool:
    pairs = [(a.audio, b.audio), (a.image, b.image), (a.labels, b.labels)]
    return all(x is None or torch.equal(x, y) for x, y in pairs) and a.names == b.names


def disjoint(sets: list[set[str]]) -> bool:
    return len(set.union(*sets)) == sum(map(len, sets))


def check_format(data: Dataset) -> None:
    """Check the shapes, types, and splits that `data/dataset.py` documents."""
    for _, split in data.splits():
        count = len(split)
        assert count == len(split.names) == len(split.groups)
        assert split.labels.dtype == torch.int64
        assert set(split.labels.tolist()) == set(range(len(data.classes)))
        if split.audio is not None:
            lengths = split.lengths
            assert split.audio.dtype == torch.int16
            assert lengths is not None or split.audio.shape == (count, 16000)
            if lengths is not None:
                assert split.audio.shape[1] >= lengths.max()
                assert lengths.min() >= 16000
                assert all((split.audio[row, length:] == 0).all() for row, length in enumerate(lengths.tolist()))
        if split.image is not None:
            assert split.image.shape == (count, 3, data.image_side, data.image_side)
            assert split.image.dtype == torch.uint8
            assert split.image.is_contiguous()
    names = [set(split.names) for _, split in data.splits()]
    assert disjoint(names)
    assert (data.sample_rate > 0) == ("audio" in data.modalities)
    assert (data.image_side > 0) == ("image" in data.modalities)


def write_tone(path: Path, hertz: float = 440, rate: int = 8000, seconds: float = 0.3) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    soundfile.write(path, 0.5 * np.sin(2 * np.pi * hertz * np.arange(int(rate * seconds)) / rate), rate)


def write_image(path: Path, shade: int = 100) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.new("RGB", (50, 40), (shade, 0, 255 - shade)).save(path)


@pytest.fixture
def pictures(tmp_path: Path) -> Path:
    for label, name in enumerate(("cat", "dog")):
        for i in range(10):
            write_image(tmp_path / "pictures" / name / f"sub{i % 2}" / f"{i:02d}.png", 100 * label + i)
    return tmp_path / "pictures"


@pytest.fixture
def sounds(tmp_path: Path) -> Path:
    for label, name in enumerate(("cat", "dog")):
        for i in range(8):
            write_tone(tmp_path / "sounds" / name / f"{i}.wav", 300 + 200 * label + i)
    return tmp_path / "sounds"


# Built-in data sets


@pytest.mark.parametrize("name", GENERATED)
def test_generated_data_have_the_documented_format(name: str) -> None:
    data = load(name, train_items=200, test_items=60)
    check_format(data)
    assert len(data.train) + len(data.validation) == 200
    assert len(data.test) == 60
    counts = Counter(data.test.labels.tolist()).values()
    assert max(counts) - min(counts) <= 1


@pytest.mark.parametrize("name", GENERATED)
def test_generated_data_depend_on_the_seed_only(name: str) -> None:
    first, again, other = (load(name, train_items=120, test_items=40, seed=seed) for seed in (3, 3, 4))
    for (_, a), (_, b), (_, c) in zip(first.splits(), again.splits(), other.splits(), strict=True):
        assert same(a, b)
        assert not same(a, c)


def test_generated_data_are_fast_to_make() -> None:
    load("tones", train_items=64, test_items=64)
    start = time.perf_counter()
    load("tones")
    assert time.perf_counter() - start < 5  # takes about 0.5 s on an idle machine


def test_classes_can_be_chosen() -> None:
    data = load("tones", train_items=64, test_items=16, classes=["880 Hz", "220 Hz"])
    assert data.classes == ("880 Hz", "220 Hz")
    assert data.train.audio is not None
    for row in range(8):
        spectrum = np.abs(np.fft.rfft(data.train.audio[row].double().numpy()))
        expected = (880, 220)[int(data.train.labels[row])]
        assert abs(int(spectrum.argmax()) - expected) <= 0.03 * expected
    with pytest.raises(ConfigError, match=r"unknown class '440 hz' \(did you mean '440 Hz'\?\)"):
        load("tones", classes=["440 hz"])
    with pytest.raises(ConfigError, match="twice"):
        load("tones", classes=["440 Hz", "440 Hz"])
    with pytest.raises(DataError, match="at least two classes"):
        load("tones", classes=["440 Hz"])


def test_pairs_share_only_their_class() -> None:
    data = load("tones_bars", train_items=200, test_items=40)
    assert data.modalities == ("audio", "image")
    assert data.train.image is not None
    wide = data.train.image[data.train.labels == 2].float().mean(1)  # vertical bars change along a row
    assert (wide.diff(dim=2).abs().mean() > 1.2 * wide.diff(dim=1).abs().mean()).item()


def test_keypad_tones_are_those_of_the_key() -> None:
    data = load("keypad", train_items=100, test_items=60)
    assert data.test.audio is not None
    for clip, label in zip(data.test.audio, data.test.labels.tolist(), strict=True):
        spectrum = np.abs(np.fft.rfft(clip.double().numpy()))
        low, high = key_pair(KEYS[label])
        assert abs(600 + int(spectrum[600:1050].argmax()) - low) <= 3
        assert abs(1100 + int(spectrum[1100:1600].argmax()) - high) <= 3


def test_keypad_images_are_in_one_split_only() -> None:
    data = load("keypad", train_items=3000, test_items=1500)
    groups = [set(split.groups) for _, split in data.splits()]
    assert disjoint(groups)
    assert len(groups[0]) < len(data.train)  # within a split, images are repeated


def test_too_few_or_too_many_generated_items() -> None:
    for count in (0, 4, 8):
        with pytest.raises(DataError, match="too few items"):
            load("tones", train_items=count)


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


@pytest.mark.parametrize("name", ["tones", "chirps", "keypad", "tones_bars"])
def test_frequencies_need_a_high_enough_sample_rate(name: str) -> None:
    config = RunConfig().replace({"data.dataset": name, "audio.sample_rate": 2000})
    with pytest.raises(ConfigError, match=r"needs audio\.sample_rate"):
        load_dataset(config)


@pytest.mark.parametrize("shape", SHAPES)
def test_chirps_change_their_frequency(shape: str) -> None:
    clip = synthesize("chirp", shape=shape, frequency=300, wobble=1.0)
    peaks = [int(np.abs(np.fft.rfft(part)).argmax()) for part in np.split(clip, 10)]
    assert clip.shape == (16000,)
    assert np.ptp(peaks) > 20
    if shape in ("up", "down"):
        assert peaks == sorted(peaks, reverse=shape == "down")


def test_synthesize_rejects_unknown_values() -> None:
    assert np.abs(synthesize("dtmf", key="0", noise=1.0)).max() <= 1
    for arguments in ({"kind": "bell"}, {"kind": "chirp", "shape": "flat"}, {"kind": "dtmf", "key": "A"}):
        with pytest.raises(ConfigError, match="unknown"):
            synthesize(**arguments)
    with pytest.raises(ConfigError, match="needs audio"):
        synthesize("tone", frequency=9000)


# Splitting


@settings(max_examples=80)
@given(
    st.lists(st.tuples(st.integers(0, 3), st.integers(0, 12)), min_size=1, max_size=80),
    st.floats(0.05, 0.5),
    st.integers(0, 9),
)
def test_holdout_keeps_groups_whole_and_every_class_in_training(
    rows: list[tuple[int, int]], share: float, seed: int
) -> None:
    labels, groups = [label for label, _ in rows], [str(group) for _, group in rows]
    kept, held = holdout(labels, groups, share, seed)
    assert sorted(kept + held) == list(range(len(rows)))
    assert not {groups[row] for row in kept} & {groups[row] for row in held}
    assert {labels[row] for row in kept} == set(labels)


def test_holdout_of_single_items_is_stratified() -> None:
    labels = [0] * 100 + [1] * 20
    _, held = holdout(labels, [str(i) for i in range(120)], 0.15, 0)
    assert Counter(labels[row] for row in held) == {0: 15, 1: 3}


@settings(max_examples=50)
@given(st.lists(st.integers(0, 3), max_size=60), st.integers(0, 70))
def test_balanced_cap(labels: list[int], limit: int) -> None:
    rows = balanced(labels, [str(row) for row in range(len(labels))], limit, 0)
    assert len(rows) == (min(limit, len(labels)) or len(labels))
    assert rows == sorted(set(rows))
    selected, available = Counter(labels[row] for row in rows), Counter(labels)
    most = max(selected.values(), default=0)
    assert all(count >= min(most - 1, available[label]) for label, count in selected.items())


# Folders


def test_image_folder(pictures: Path) -> None:
    data = load("image_folder", path=str(pictures))
    check_format(data)
    assert data.classes == ("cat", "dog")
    assert [len(split) for _, split in data.splits()] == [12, 4, 4]
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


def write_npz(path: Path, **changes: Any) -> str:
    x, y = np.zeros((80, 32, 32, 3), np.uint8) + np.arange(80, dtype=np.uint8)[:, None, None, None], np.arange(40) % 10
    arrays = {"x_train": x[:40], "y_train": y, "x_test": x[40:], "y_test": y, **changes}
    np.savez(path, **{key: value for key, value in arrays.items() if value is not None})
    return str(path)


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
    ],
)
def test_malformed_cifar10_arrays(tmp_path: Path, changes: dict[str, Any], match: str) -> None:
    with pytest.raises(DataError, match=match):
        load("cifar10", path=write_npz(tmp_path / "x.npz", **changes))


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


@pytest.mark.parametrize("folder", ["data/fsdd", "data/fsdd/recordings"])
def test_fsdd_official_split(shared: Path, folder: str) -> None:
    data = load("fsdd", path=str(shared / folder), train_items=0, test_items=0, classes=["3", "7"])
    check_format(data)
    assert len(data.test) == 60
    assert len(data.train) + len(data.validation) == 540
    assert {int(name.removesuffix(".wav").split("_")[2]) for name in data.test.names} == set(range(5))
    assert set(data.validation.groups) == set(data.train.groups)


def test_fsdd_speaker_split(shared: Path) -> None:
    path = str(shared / "data" / "fsdd")
    changes = {"split": "speaker", "held_out": "theo", "train_items": 0, "test_items": 0, "classes": ["0", "1"]}
    data = load("fsdd", path=path, **changes)
    assert set(data.test.groups) == {"theo"}
    assert len(data.test) == 100
    assert len(set(data.validation.groups)) == 1
    assert len(set(data.train.groups)) == 4
    assert not set(data.validation.groups) & set(data.train.groups)
    speakers = {load("fsdd", path=path, **changes, seed=seed).validation.groups[0] for seed in range(1, 5)}
    assert len(speakers) > 1
    with pytest.raises(ConfigError, match="unknown speaker 'teo'"):
        load("fsdd", path=path, split="speaker", held_out="teo")


def test_fsdd_missing(tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"--set data\.download=true"):
        load("fsdd", path=str(tmp_path))


def archive(members: dict[str, bytes]) -> bytes:
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w:gz") as tar:
        for name, data in members.items():
            info = tarfile.TarInfo(name)
            info.size = len(data)
            tar.addfile(info, io.BytesIO(data))
    return buffer.getvalue()


def test_fsdd_archive_is_checked(shared: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    recordings = {path.name: path.read_bytes() for path in (shared / "data" / "fsdd" / "recordings").iterdir()}
    assert len(recordings) == fsdd_module.COUNT
    assert fsdd_module.digest(recordings) == fsdd_module.DIGEST
    expected = {f"top/recordings/{name}": data for name, data in recordings.items()}
    unexpected = {"../../evil.wav": b"x", "top/recordings/../../evil.wav": b"x", "top/README.md": b"x"}
    packed = archive({**expected, **unexpected})
    assert fsdd_module.unpack(packed) == recordings
    changed = {**expected, "top/recordings/0_theo_0.wav": b"other"}
    for bad in (archive(changed), archive({"top/recordings/0_theo_0.wav": b"x"}), packed[:1000], b"no archive"):
        with pytest.raises(DataError, match="archive"):
            fsdd_module.unpack(bad)

    monkeypatch.setattr(fsdd_module, "_download", lambda progress: packed)
    data = load("fsdd", path=str(tmp_path / "new"), download=True, train_items=40, test_items=20)
    assert len(data.test) == 20
    assert sorted(path.name for path in (tmp_path / "new").iterdir()) == ["recordings"]
    assert not list(tmp_path.rglob("evil*"))


# Previews


def test_previews_contain_the_item() -> None:
    data = load("tones_bars", train_items=64, test_items=16)
    assert data.train.audio is not None
    assert data.train.image is not None
    sound = media.decode_audio(preview_wav(data.train, 3, data.sample_rate), "x.wav")
    assert sound.rate == 16000
    assert torch.equal(media.fit_clips([(sound.samples, 16000)], 16000, 16000)[0], data.train.audio[3])
    picture = media.decode_image(preview_png(data.train, 3), "x.png")
    assert torch.equal(media.fit_picture(picture.pixels, data.image_side), data.train.image[3])


def test_previews_need_their_modality() -> None:
    tones, bars = (load(name, train_items=64, test_items=16) for name in ("tones", "bars"))
    with pytest.raises(CpcError, match="no pictures"):
        preview_png(tones.train, 0)
    with pytest.raises(CpcError, match="no sound"):
        preview_wav(bars.train, 0, 16000)
