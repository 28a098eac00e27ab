"""Sounds and pictures that a user brings: kept beside the runs, looked through, and checked before a run begins."""

from __future__ import annotations

import hashlib
import math
import re
import shutil
import tempfile
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import Any, BinaryIO

from ..config import RunConfig
from ..data import load_dataset
from ..data.dataset import Dataset
from ..data.folders import KEPT, class_names
from ..data.follow import reading, require_paths
from ..data.listing.class_folders import folder_stamp, sortable_parts, typed_path
from ..data.listing.class_level import class_level
from ..datasets import DATASETS
from ..errors import MediaError, StorageError
from ..maps.stored import check_mappable
from ..media import PICTURES, SOUNDS
from ..media.archive import unpack
from ..storage import trash

NAME = ".uploads"  # below the folder of runs, whose lists skip it
MOST = 800  # items that a check decodes where that is enough for every class; of more files a part stands for all
KEPT_SECONDS = 24 * 3600  # of an upload that no run has learned from
_CLASS = re.compile(r"^(.*?)[-_ .]*\d")


@dataclass(frozen=True)
class Kept:
    """What was brought, where it lies now.

    Attributes:
        changes: settings that train on it, {"data.path": …}; `preset` is the preset that they belong to.
        skipped: one line for each file that was left out.
    """

    preset: str
    changes: dict[str, Any]
    skipped: tuple[str, ...]


def keep_upload(files: Sequence[tuple[str, BinaryIO]], root: Path) -> Kept:
    """Store uploaded files below the folder of runs; the same files twice lie there once.

    Uploads of earlier days that no run has learned from are deleted.

    Args:
        files: (name, contents) of one zip file, or of sounds and pictures. Of files without a folder the class is what
            stands before the first number in their name: `dog_01.wav` is a dog.
        root: the folder of runs.

    Raises:
        MediaError: the zip file is refused (see `media.archive.unpack`), or no file is a sound or a picture.
        StorageError: the folder of runs cannot be written.
    """
    digest = hashlib.sha256()
    for name, stream in files:
        digest.update(name.encode())
        stream.seek(0)
        while block := stream.read(1 << 20):
            digest.update(block)
        stream.seek(0)
    target = root / NAME / digest.hexdigest()[:16]
    record = target.with_suffix(".skipped")
    try:
        if not record.is_file():
            target.parent.mkdir(parents=True, exist_ok=True)
            with tempfile.TemporaryDirectory(dir=target.parent) as folder:
                part = Path(folder) / "part"
                skipped = _store(files, part)
                shutil.rmtree(target, ignore_errors=True)
                part.rename(target)
            record.write_text("\n".join(skipped), encoding="utf-8")
        record.touch()
        _sweep(root, record)
        skipped = record.read_text(encoding="utf-8").splitlines()
    except OSError as error:
        raise StorageError(f"the upload cannot be stored: {error.strerror or error}") from None
    preset, changes = _recognize(class_level(target))
    return Kept(preset, changes, tuple(skipped))


def check_data(config: RunConfig) -> tuple[Dataset, bool]:
    """Load a configuration's data as a run would.

    Returns:
        The data set, and whether it is only a part (800 items, or as many as all classes need), because there are more.

    Raises:
        CpcError: a run would fail on these data, with the reason that it would give.
    """
    caps = {path: config.flat()[path] for path in ("data.train_items", "data.test_items")}
    classes = _count_classes(config)
    # So many of a class that two are left to train on when its validation items are drawn.
    each = math.ceil(KEPT / (1 - config.data.validation_share))
    limits = {
        "data.train_items": max(round(0.8 * MOST), each * classes),
        "data.test_items": max(round(0.2 * MOST), classes),
    }
    smaller = {path: min(value or limits[path], limits[path]) for path, value in caps.items()}
    data = load_dataset(config.replace(smaller))
    check_mappable(data)
    full = len(data.train) + len(data.validation) >= smaller["data.train_items"]
    return data, full and smaller != caps


def data_stamp(config: RunConfig) -> tuple[tuple[int, int], ...]:
    """What changes when files of a configuration's folders are added, deleted, or renamed (see `folder_stamp`)."""
    return tuple(folder_stamp(typed_path(path)) for path in (config.data.path, config.data.image_path) if path)


def _count_classes(config: RunConfig) -> int:
    """How many classes a configuration's folders have; 0 where its data are no folders."""
    if DATASETS[config.data.dataset].origin != "folder":
        return 0
    require_paths(config)
    with reading(config.data.dataset):
        return len(config.data.classes or class_names(typed_path(config.data.path)))


def _sweep(root: Path, new: Path) -> None:
    """Delete old uploads whose name stands in the configuration of no run, those in the trash included.

    Args:
        new: the record of the newest, which is not old even where the disk's clock is far behind.
    """
    before = time.time() - KEPT_SECONDS
    others = [record for record in (root / NAME).glob("*.skipped") if record != new]
    old = [record for record in others if record.stat().st_mtime < before]
    configs = [*root.glob("*/config.json"), *(root / trash.NAME).glob("*/config.json")] if old else []
    learned_from = "".join(path.read_text(encoding="utf-8", errors="replace") for path in configs)
    for record in old:
        if record.stem not in learned_from:
            record.unlink(missing_ok=True)  # first: without it the folder is not taken for a whole upload
            shutil.rmtree(record.with_suffix(""), ignore_errors=True)


def _store(files: Sequence[tuple[str, BinaryIO]], part: Path) -> list[str]:
    """Write files, or the contents of a zip file, below `part`; gives a line for each that is left out."""
    archives = [stream for name, stream in files if name.lower().endswith(".zip")]
    if archives:
        if len(files) > 1:
            raise MediaError("one zip file at a time, or files without one")
        skipped = unpack(archives[0], part)
    else:
        skipped = []
        part.mkdir()
        for name, stream in files:
            safe = PurePosixPath(name.replace("\\", "/")).name
            if PurePosixPath(safe).suffix.lower() in (*SOUNDS, *PICTURES):
                (part / _unused(safe, part)).write_bytes(stream.read())
            else:
                skipped.append(f"{safe}: neither a sound nor a picture")
        if len(skipped) == len(files):
            raise MediaError("none of these files is a sound or a picture")
    _sort_loose(class_level(part))
    return skipped


def _unused(name: str, folder: Path) -> str:
    """The name, with a number if the folder has such a file: files of two folders may have the same one."""
    path, number = PurePosixPath(name), 1
    while (folder / name).exists():
        number += 1
        name = f"{path.stem} ({number}){path.suffix}"
    return name


def _sort_loose(folder: Path) -> None:
    """Move files that lie in no class folder into one that is named by how their name begins.

    So it is in the parts of a split; those whose names begin as no training item's does are left, since they have no
    labels.
    """
    if any(path.is_dir() for path in folder.iterdir()):
        train, others = sortable_parts(folder)
        known = {_title(path) for part in train for path in part.iterdir()}
        for part in (*train, *(one for one in others if known & {_title(path) for path in one.iterdir()})):
            _sort_loose(part)
        return
    for path in sorted(folder.iterdir()):
        (folder / _title(path)).mkdir(exist_ok=True)
        path.rename(folder / _title(path) / path.name)


def _title(path: Path) -> str:
    """The class of a file that lies in no class folder."""
    found = _CLASS.match(path.stem)
    return (found[1] if found else path.stem).strip(" -_.([") or "unnamed"


def _recognize(folder: Path) -> tuple[str, dict[str, Any]]:
    """(preset, settings): two folders of one kind each are pairs; else the kind that most files have."""
    kinds = {path: _kinds(path) for path in sorted(folder.iterdir()) if path.is_dir()}
    sounds = [path for path, (heard, seen) in kinds.items() if heard and not seen]
    pictures = [path for path, (heard, seen) in kinds.items() if seen and not heard]
    if len(kinds) == 2 and len(sounds) == len(pictures) == 1 and any(path.is_dir() for path in sounds[0].iterdir()):
        return "paired_folders", {"data.path": str(sounds[0]), "data.image_path": str(pictures[0])}
    heard, seen = (sum(counts) for counts in zip(*kinds.values(), strict=True))
    return ("audio_folder" if heard >= seen else "image_folder"), {"data.path": str(folder)}


def _kinds(folder: Path) -> tuple[int, int]:
    """How many sounds and pictures lie below a folder."""
    suffixes = [path.suffix.lower() for path in folder.rglob("*") if path.is_file()]
    return sum(suffix in SOUNDS for suffix in suffixes), sum(suffix in PICTURES for suffix in suffixes)
