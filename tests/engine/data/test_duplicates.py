"""Copies are found, kept in one split, left out of given training sets, and told; different files are not merged."""

from __future__ import annotations

import io
import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import soundfile
import torch
from PIL import Image

from cpc_engine.config import RunConfig
from cpc_engine.data import Dataset, load_dataset
from cpc_engine.data.dataset import Split
from cpc_engine.data.loading import load_sounds
from cpc_engine.data.relations.duplicates import copies, joined, leave_out
from cpc_engine.errors import DataError

SIDE, RATE = 32, 8000


def picture(number: int) -> Image.Image:
    """A smooth random picture of 120 × 120 px; no two are alike."""
    coarse = np.random.default_rng(number).integers(0, 256, (9, 9, 3), dtype=np.uint8)
    return Image.fromarray(coarse).resize((120, 120), Image.Resampling.BICUBIC)


def sound(number: int) -> np.ndarray:
    """Half a second of noise in random bands, rising and falling."""
    rng = np.random.default_rng(number)
    spectrum = np.fft.rfft(rng.normal(size=RATE // 2)) * np.repeat(rng.uniform(0, 1, 67) ** 3, 30)[: RATE // 4 + 1]
    wave = np.fft.irfft(spectrum) * np.interp(np.arange(RATE // 2), np.linspace(0, RATE // 2, 9), rng.uniform(0, 1, 9))
    return 0.5 * wave / np.abs(wave).max()


def save(path: Path, image: Image.Image, **options: Any) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    image.save(path, **options)


def save_sound(path: Path, wave: np.ndarray) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    soundfile.write(path, wave, RATE)


def load(name: str, path: Path, **changes: Any) -> Dataset:
    given = {"data.dataset": name, "data.path": str(path), "data.train_items": 0, "data.test_items": 0}
    small = {"image.size": SIDE, "audio.sample_rate": RATE, "audio.clip_seconds": 0.5}
    return load_dataset(RunConfig().replace(given | small | {f"data.{key}": value for key, value in changes.items()}))


def where(data: Dataset, *files: str) -> set[str]:
    """The splits in which files stand."""
    return {part for part, split in data.splits() for name in split.names if name in files}


PICTURE_COPIES = ("same.png", "jpeg.jpg", "small.png", "large.png", "bright.png")


@pytest.fixture
def pictures(tmp_path: Path) -> Path:
    """Two classes of 12 pictures; the first of class a has copies of every kind."""
    for label, title in enumerate("ab"):
        for i in range(12):
            save(tmp_path / title / f"{i}.png", picture(100 * label + i))
    first = picture(0)
    shutil.copy(tmp_path / "a" / "0.png", tmp_path / "a" / "same.png")
    save(tmp_path / "a" / "jpeg.jpg", first, quality=80)
    save(tmp_path / "a" / "small.png", first.resize((70, 70), Image.Resampling.LANCZOS))
    save(tmp_path / "a" / "large.png", first.resize((300, 300), Image.Resampling.BICUBIC))
    save(tmp_path / "a" / "bright.png", first.point(lambda value: min(255, int(1.1 * value))))
    return tmp_path


@pytest.mark.parametrize("seed", range(6))
def test_copies_of_a_picture_stay_in_one_split(pictures: Path, seed: int) -> None:
    data = load("image_folder", pictures, seed=seed)
    assert len(where(data, "a/0.png", *(f"a/{name}" for name in PICTURE_COPIES))) == 1
    assert sum(len(split) for _, split in data.splits()) == 24 + len(PICTURE_COPIES)
    assert len({group for _, split in data.splits() for group in split.groups}) == 24
    (told,) = [line for line in data.remarks if "copies" in line]
    assert told.startswith(
        "5 files are copies of others (4 of them near copies: encoded or changed in another way), for example a/"
    )


@pytest.mark.parametrize("seed", range(6))
def test_copies_of_a_sound_stay_in_one_split(tmp_path: Path, seed: int) -> None:
    for label, title in enumerate("ab"):
        for i in range(12):
            save_sound(tmp_path / title / f"{i}.wav", sound(100 * label + i))
    first = sound(0)
    save_sound(tmp_path / "a" / "quiet.wav", 0.3 * first)
    save_sound(tmp_path / "a" / "noisy.flac", first + 0.01 * np.random.default_rng(7).normal(size=len(first)))
    save_sound(tmp_path / "a" / "vorbis.ogg", first)
    data = load("audio_folder", tmp_path, seed=seed)
    assert len(where(data, "a/0.wav", "a/quiet.wav", "a/noisy.flac", "a/vorbis.ogg")) == 1
    assert len({group for _, split in data.splits() for group in split.groups}) == 24
    assert any(line.startswith("3 files are near copies of others") for line in data.remarks)


def test_training_copies_of_given_test_items_are_left_out(tmp_path: Path) -> None:
    for label, title in enumerate("ab"):
        for i in range(8):
            save(tmp_path / "train" / title / f"{i}.png", picture(100 * label + i))
            save(tmp_path / "test" / title / f"{i}.png", picture(1000 + 100 * label + i))
    save(tmp_path / "train" / "a" / "leak.jpg", picture(1003), quality=80)
    save(tmp_path / "train" / "b" / "leak.png", picture(1102))
    data = load("image_folder", tmp_path)
    assert where(data, "train/a/leak.jpg", "train/b/leak.png") == set()
    assert [len(data.train) + len(data.validation), len(data.test)] == [16, 16]
    assert data.remarks == (
        "2 training items are left out as copies of test items, for example train/a/leak.jpg of test/a/3.png",
    )


def test_one_content_under_two_class_names_is_told(pictures: Path) -> None:
    shutil.copy(pictures / "a" / "4.png", pictures / "b" / "wrong.png")
    told = load("image_folder", pictures).remarks
    assert any(line == "1 file is of another class than a copy, for example b/wrong.png and a/4.png" for line in told)


def test_paired_folders_keep_copies_together_in_each_modality(pictures: Path, tmp_path: Path) -> None:
    sounds = tmp_path / "sounds"
    for label, title in enumerate("ab"):
        for i in range(10):
            save_sound(sounds / title / f"{i}.wav", sound(100 * label + i))
        shutil.move(pictures / title, tmp_path / "pictures" / title)
    save_sound(sounds / "a" / "again.wav", 0.5 * sound(3))
    data = load("paired_folders", sounds, image_path=str(tmp_path / "pictures"))
    for group in (("a/0.png", *(f"a/{name}" for name in PICTURE_COPIES)), ("a/3.wav", "a/again.wav")):
        parts = {part for part, split in data.splits() for name in split.names if set(name.split(" + ")) & set(group)}
        assert len(parts) == 1


def test_an_npz_file_is_checked_too(tmp_path: Path) -> None:
    x = np.stack([np.asarray(picture(i).resize((SIDE, SIDE))) for i in range(60)])
    y = np.arange(60) % 2
    x[0], x[1] = x[41], x[2]
    arrays = {"x_train": x[:40], "y_train": y[:40], "x_test": x[40:], "y_test": y[40:]}
    np.savez(tmp_path / "x.npz", class_names=["a", "b"], **arrays)
    data = load("cifar10", tmp_path / "x.npz")
    assert where(data, "cifar10/train/0") == set()
    assert len(where(data, "cifar10/train/1", "cifar10/train/2")) == 1
    assert len(data.remarks) == 3  # left out, copies within, and two classes


def test_leaving_everything_out_says_why(tmp_path: Path) -> None:
    for part in ("train", "test"):
        for label, title in enumerate("ab"):
            for i in range(6):
                save(tmp_path / part / title / f"{i}.png", picture(100 * label + i))
    with pytest.raises(DataError, match="12 training items are left out as copies of test items"):
        load("image_folder", tmp_path)


def test_parts_with_recordings_of_other_lengths_are_compared(tmp_path: Path) -> None:
    """The longest recording of one part is shorter than that of the other; a copy in it is found all the same."""
    for part in ("train", "test"):
        for label, title in enumerate("ab"):
            for i in range(6):
                number = 100 * label + i + (50 if part == "test" and i else 0)
                wave = np.concatenate([sound(number), sound(number + 1000)])
                length = len(wave) if part == "train" and i else 7000
                save_sound(tmp_path / part / title / f"{i}.wav", wave[:length])
    data = load("audio_folder", tmp_path)
    assert len(data.test) == 12
    left = {f"train/{title}/{i}.wav" for title in "ab" for i in range(1, 6)}
    assert set(data.train.names + data.validation.names) == left


def test_groups_are_joined_over_copies_and_names() -> None:
    assert joined(list("abcab"), torch.tensor([0, 1, 1, 3, 4])) == ("a", "b", "b", "a", "b")
    clips = torch.from_numpy(np.stack([sound(i) * 20_000 for i in (0, 1, 2, 0)])).short()
    names = tuple("abcd")
    split = Split(clips, None, torch.zeros(4).long(), names, names)
    rest, told = leave_out(split.take(torch.tensor([0, 1, 2])), split.take(torch.tensor([3])), "audio")
    assert rest.names == ("b", "c")
    assert len(told) == 1


def test_steady_tones_of_one_pitch_are_no_copies() -> None:
    """They match at some delay, as every tone matches itself; noise with the same tone in it can be told apart."""
    draw = torch.Generator().manual_seed(0)
    time = torch.arange(8000) / 8000
    phases = 6.28 * torch.rand(6, 1, generator=draw)
    tones = 8000 * torch.sin(2 * torch.pi * 440 * time + phases)
    assert copies(tones.short(), torch.arange(6), "audio").tolist() == list(range(6))
    mixed = (tones[:2] / 4 + 3000 * torch.randn(2, 8000, generator=draw)).short()
    louder = mixed // 2
    assert copies(torch.cat([mixed, louder]), torch.arange(4), "audio").tolist() == [0, 1, 0, 1]


def test_silence_and_even_pictures_are_no_near_copies() -> None:
    even = torch.arange(30, dtype=torch.uint8)[:, None, None, None].expand(-1, 3, SIDE, SIDE)
    assert torch.equal(copies(even, torch.arange(30), "image"), torch.arange(30))
    steady = torch.arange(30, dtype=torch.int16)[:, None].expand(-1, 4000).clone()
    steady[:, 1::2] = 0
    for few in (0, 1, 2):
        assert len(copies(steady[:few], torch.arange(few), "audio")) == few


@pytest.mark.slow
def test_different_files_of_real_data_are_not_merged(shared: Path) -> None:
    """At most one in 200 files; CIFAR-10 is known to hold near copies."""

    def merged(values: torch.Tensor, modality: Any) -> int:
        rows = torch.arange(len(values))
        return int((copies(values, rows, modality) != rows).sum())

    folder = shared / "data"
    config = RunConfig().replace({"audio.sample_rate": RATE, "audio.clip_seconds": 0.5})
    spoken = sorted((folder / "fsdd" / "recordings").glob("*.wav"))
    assert merged(load_sounds(spoken, folder, config, "cpu", None).values, "audio") == 0
    noises = sorted((folder / "esc50_dev").rglob("*.ogg"))
    config = RunConfig().replace({"audio.sample_rate": 16_000, "audio.clip_seconds": 2.0})
    assert merged(load_sounds(noises, folder, config, "cpu", None).values, "audio") <= 1
    for name in ("cifar10_two_class", "cifar10_four_class"):
        with np.load(folder / f"{name}.npz") as file:
            images = torch.from_numpy(np.concatenate([file["x_train"], file["x_test"]])).permute(0, 3, 1, 2)
        assert merged(images.contiguous(), "image") <= 30

    from sklearn.datasets import load_digits

    scans = [Image.fromarray((scan * 15).astype(np.uint8)).resize((64, 64)) for scan in load_digits().images]
    digits = torch.stack([torch.from_numpy(np.array(scan)).expand(3, -1, -1) for scan in scans])
    assert merged(digits, "image") <= 9


@pytest.mark.slow
def test_copies_of_real_data_are_found(shared: Path, tmp_path: Path) -> None:
    config = RunConfig().replace({"audio.sample_rate": 16_000, "audio.clip_seconds": 2.0})
    files = sorted((shared / "data" / "esc50_dev").rglob("*.ogg"))[::8]
    for number, file in enumerate(files):
        samples, rate = soundfile.read(file)
        noise = np.random.default_rng(number).normal(size=len(samples)) * samples.std() * 10**-1.5
        soundfile.write(tmp_path / f"{number:03d}.wav", np.clip(0.5 * (samples + noise), -1, 1), rate)
    first = load_sounds(files, shared, config, "cpu", None).values
    again = load_sounds(sorted(tmp_path.iterdir()), tmp_path, config, "cpu", None).values
    rows = torch.arange(2 * len(files))
    found = copies(torch.cat([first, again]), rows, "audio")
    assert (found[len(files) :] == found[: len(files)]).float().mean() >= 0.85

    with np.load(shared / "data" / "cifar10_two_class.npz") as file:
        originals = file["x_train"][:300]
    encoded = []
    for pixels in originals:
        buffer = io.BytesIO()
        Image.fromarray(pixels).resize((128, 128), Image.Resampling.BICUBIC).save(buffer, "JPEG", quality=80)
        encoded.append(np.asarray(Image.open(buffer).resize((SIDE, SIDE), Image.Resampling.BILINEAR)))
    images = torch.from_numpy(np.concatenate([originals, np.stack(encoded)])).permute(0, 3, 1, 2).contiguous()
    found = copies(images, torch.arange(600), "image")
    assert (found[300:] == found[:300]).float().mean() >= 0.9
