"""A user's own folders: one sub-folder per class, files found recursively.

Where the folder holds `train/` and `test/`, each with class folders, that split is used; otherwise a fifth of every
class is held out at random. Files that share their path up to the suffix (dog/001.wav, dog/001.flac) are one group.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from ..config import DataConfig, RunConfig
from ..errors import ConfigError, DataError
from .files import Loaded, Progress, class_folders, load_pictures, load_sounds
from .items import Dataset, Modality, Split
from .splits import balanced, capped, chosen_classes, holdout, labels_tensor, needed_path, take_validation

TEST_SHARE = 0.2


@dataclass(frozen=True)
class _Side:
    """Decoded files of one modality before pairing."""

    train: Split
    test: Split
    skipped: tuple[str, ...]


def image_folder(config: RunConfig, device: torch.device | str, progress: Progress | None) -> Dataset:
    """Pictures below `data.path`, stored at image.size × image.size."""
    root = Path(needed_path(config.data, "a folder with one sub-folder of pictures per class")).expanduser()
    return _single(root, "image", config, device, progress)


def audio_folder(config: RunConfig, device: torch.device | str, progress: Progress | None) -> Dataset:
    """Sounds below `data.path`."""
    root = Path(needed_path(config.data, "a folder with one sub-folder of sounds per class")).expanduser()
    return _single(root, "audio", config, device, progress)


def paired_folders(config: RunConfig, device: torch.device | str, progress: Progress | None) -> Dataset:
    """Sounds below `data.path` and pictures below `data.image_path`, paired at random within their class.

    Each side is split on its own first, so no sound and no picture is in two splits. Within a split a class has as many
    items as its larger side has files; files of the smaller side come again.

    Raises:
        ConfigError: a path is not set.
        DataError: the two sides have different classes.
    """
    sounds = Path(needed_path(config.data, "the folder of sounds, one sub-folder per class")).expanduser()
    if not config.data.image_path:
        raise ConfigError("paired_folders needs data.image_path: the folder of pictures, one sub-folder per class")
    pictures = Path(config.data.image_path).expanduser()
    classes = _common_classes(config.data, _class_names(sounds), _class_names(pictures))
    ears = _load_side(sounds, "audio", classes, config, device, progress)
    eyes = _load_side(pictures, "image", classes, config, device, progress)
    ear_train, ear_validation = take_validation(ears.train, config.data)
    eye_train, eye_validation = take_validation(eyes.train, config.data)
    seed, share = config.data.seed, config.data.validation_share
    limit = config.data.train_items
    kept = max(1, round(limit * share)) if limit else 0
    return Dataset(
        name="paired_folders",
        classes=classes,
        train=capped(_paired(ear_train, eye_train, seed, 0), max(limit - kept, min(limit, 1)), seed),
        validation=capped(_paired(ear_validation, eye_validation, seed, 1), kept, seed),
        test=capped(_paired(ears.test, eyes.test, seed, 2), config.data.test_items, seed),
        sample_rate=config.audio.sample_rate,
        image_side=config.image.size,
        skipped=ears.skipped + eyes.skipped,
    )


def _single(
    root: Path, modality: Modality, config: RunConfig, device: torch.device | str, progress: Progress | None
) -> Dataset:
    classes = chosen_classes(config.data, _class_names(root))
    side = _load_side(root, modality, classes, config, device, progress)
    train, validation = take_validation(capped(side.train, config.data.train_items, config.data.seed), config.data)
    return Dataset(
        name=f"{modality}_folder",
        classes=classes,
        train=train,
        validation=validation,
        test=capped(side.test, config.data.test_items, config.data.seed),
        sample_rate=config.audio.sample_rate if modality == "audio" else 0,
        image_side=config.image.size if modality == "image" else 0,
        skipped=side.skipped,
    )


def _parts(root: Path) -> tuple[Path, ...]:
    """(train, test) where the folder is split already, else the folder itself."""
    parts = (root / "train", root / "test")
    divided = all(part.is_dir() and any(path.is_dir() for path in part.iterdir()) for part in parts)
    return parts if divided else (root,)


def _class_names(root: Path) -> tuple[str, ...]:
    found = [{name for name, files in class_folders(part).items() if files} for part in _parts(root)]
    return tuple(sorted(set.union(*found)))


def _common_classes(config: DataConfig, sounds: Sequence[str], pictures: Sequence[str]) -> tuple[str, ...]:
    if config.classes is not None:
        return chosen_classes(config, sorted(set(sounds) & set(pictures)))
    if set(sounds) != set(pictures):
        lacks = [f"{name!r} has no sounds" for name in sorted(set(pictures) - set(sounds))]
        lacks += [f"{name!r} has no pictures" for name in sorted(set(sounds) - set(pictures))]
        raise DataError(f"paired_folders: both folders need the same class names: {'; '.join(lacks[:4])}")
    return tuple(sounds)


def _load_side(
    root: Path,
    modality: Modality,
    classes: Sequence[str],
    config: RunConfig,
    device: torch.device | str,
    progress: Progress | None,
) -> _Side:
    """Every usable file of the classes, decoded once, as a training and a test split."""
    parts = _parts(root)
    caps = (config.data.train_items, config.data.test_items)
    splits, skipped = [], []
    for part, cap in zip(parts, caps, strict=False):
        if len(parts) == 1:  # decode no more than both splits can use; 8 per class make up for rounding
            need = round(max(caps[0] / (1 - TEST_SHARE), caps[1] / TEST_SHARE))
            cap = need + 8 * len(classes) if all(caps) else 0
        found = class_folders(part)
        listed = [(path, label) for label, name in enumerate(classes) for path in found.get(name, [])]
        listed = [listed[row] for row in balanced([label for _, label in listed], cap, config.data.seed)]
        paths = [path for path, _ in listed]
        if modality == "audio":
            loaded = load_sounds(paths, root, config, device, progress)
        else:
            loaded = load_pictures(paths, root, config.image.size, device, progress)
        splits.append(_split(loaded, listed, root, modality))
        skipped += loaded.skipped
    if len(splits) == 1:
        labels, groups = splits[0].labels.tolist(), splits[0].groups
        rows = holdout(labels, groups, TEST_SHARE, config.data.seed + 1)
        splits = [splits[0].take(torch.tensor(some, dtype=torch.int64)) for some in rows]
    return _Side(splits[0], splits[1], tuple(skipped))


def _split(loaded: Loaded, listed: Sequence[tuple[Path, int]], root: Path, modality: Modality) -> Split:
    names = [listed[row][0].relative_to(root) for row in loaded.rows]
    return Split(
        audio=loaded.values if modality == "audio" else None,
        image=loaded.values if modality == "image" else None,
        labels=labels_tensor([listed[row][1] for row in loaded.rows]).to(loaded.values.device),
        sources=tuple(name.as_posix() for name in names),
        groups=tuple(name.with_suffix("").as_posix() for name in names),
    )


def _paired(sounds: Split, pictures: Split, seed: int, part: int) -> Split:
    """Sounds and pictures of one split, paired within their class; both sides are used up before any file repeats."""
    rng = np.random.default_rng([seed, 0xFA12, part])
    ears, eyes = sounds.labels.cpu().numpy(), pictures.labels.cpu().numpy()
    chosen: list[tuple[Tensor, Tensor]] = []
    for label in np.intersect1d(ears, eyes):
        sides = [np.flatnonzero(labels == label) for labels in (ears, eyes)]
        count = max(len(rows) for rows in sides)
        ear, eye = (np.resize(rng.permutation(rows), count) for rows in sides)
        chosen.append((torch.from_numpy(ear), torch.from_numpy(eye)))
    none = torch.zeros(0, dtype=torch.int64)
    left = sounds.take(torch.cat([ear for ear, _ in chosen] or [none]))
    right = pictures.take(torch.cat([eye for _, eye in chosen] or [none]))
    return Split(
        audio=left.audio,
        image=right.image,
        labels=left.labels,
        sources=tuple(f"{ear} + {eye}" for ear, eye in zip(left.sources, right.sources, strict=True)),
        groups=left.groups,
    )
