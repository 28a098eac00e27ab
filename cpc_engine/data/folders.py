"""Load the user's own folders: one sub-folder per class, searched recursively.

Where these lie in the only folder of the given one, that folder is stepped into (see `class_level`).

If the folder contains `train/` and `test/`, each with class folders, that split is used, also under other common names
of these folders and in any case; validation items are drawn from `train/`, and what lies in other folders is not used.
Where only `train/` has class folders, it is read alone, and a remark says what is left out.
Otherwise a fifth of every class is held out at random as test items, of few files as many as a map needs. With
`data.split` = "group" one group of all files is held out instead. Files whose paths differ only in the suffix
(dog/001.wav, dog/001.flac) form one group, and so do copies (see `relations.duplicates`) and the groups of
`data.groups` (see `relations.groups`).
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from ..config import DataConfig, RunConfig
from ..errors import DataError
from ..media.sound import MAX_SECONDS
from ..settings import unknown
from ..terms import Modality
from .dataset import Dataset, Split
from .listing.class_folders import (
    as_text,
    class_folders,
    different_texts,
    has_classes,
    loose_files,
    split_parts,
    typed_path,
    unused_folders,
)
from .listing.class_level import class_level, told_level
from .loading import Loaded, Progress, load_pictures, load_sounds
from .relations.duplicates import keep_together, leave_out
from .relations.groups import file_groups, hint
from .splits import FEWEST_TEST, balanced, capped, chosen_classes, holdout, labels_tensor, take_validation, told_shares

TEST_SHARE = 0.2
KEPT = 3  # items of a class that are not tested on: two to train on, one to validate


@dataclass(frozen=True)
class _DecodedFolder:
    """The decoded files of one folder, with one modality."""

    train: Split
    test: Split
    skipped: tuple[str, ...]
    remarks: tuple[str, ...]


def image_folder(config: RunConfig, device: torch.device | str, progress: Progress | None) -> Dataset:
    """Load the images below `data.path`, resized to `image.size` × `image.size` px.

    Raises:
        ConfigError: a class does not exist.
        DataError: the folder does not exist or has no class folders with files.
    """
    return _single(typed_path(config.data.path), "image", config, device, progress)


def audio_folder(config: RunConfig, device: torch.device | str, progress: Progress | None) -> Dataset:
    """Load the audio clips below `data.path`.

    Raises:
        ConfigError: a class does not exist.
        DataError: the folder does not exist or has no class folders with files.
    """
    return _single(typed_path(config.data.path), "audio", config, device, progress)


def paired_folders(config: RunConfig, device: torch.device | str, progress: Progress | None) -> Dataset:
    """Load audio clips below `data.path` and images below `data.image_path`, paired at random within their class.

    Each modality is split before pairing, so no clip and no image is in two splits. Within a split, a class has as many
    pairs as the modality with more files; files of the other modality are repeated.

    Raises:
        ConfigError: a class does not exist.
        DataError: a folder does not exist or is empty, or the two folders have different classes.
    """
    audio_root, image_root = typed_path(config.data.path), typed_path(config.data.image_path)
    classes = _common_classes(config.data, class_names(audio_root), class_names(image_root))
    audio = _load_folder(audio_root, "audio", classes, config, device, progress)
    image = _load_folder(image_root, "image", classes, config, device, progress)
    audio_train, audio_validation = take_validation(audio.train, config.data)
    image_train, image_validation = take_validation(image.train, config.data)
    seed, share = config.data.seed, config.data.validation_share
    told = told_shares(audio_train, audio_validation, share, classes, "validation")
    told += told_shares(image_train, image_validation, share, classes, "validation")
    limit = config.data.train_items
    held_out = max(1, round(limit * share)) if limit else 0
    return Dataset(
        name="paired_folders",
        classes=classes,
        train=capped(_paired(audio_train, image_train, seed, 0), max(limit - held_out, min(limit, 1)), seed),
        validation=capped(_paired(audio_validation, image_validation, seed, 1), held_out, seed),
        test=capped(_paired(audio.test, image.test, seed, 2), config.data.test_items, seed),
        sample_rate=config.audio.sample_rate,
        image_side=config.image.size,
        skipped=audio.skipped + image.skipped,
        remarks=audio.remarks + image.remarks + told,
    )


def _single(
    root: Path, modality: Modality, config: RunConfig, device: torch.device | str, progress: Progress | None
) -> Dataset:
    """Load a folder with one modality."""
    classes = chosen_classes(config.data, class_names(root))
    folder = _load_folder(root, modality, classes, config, device, progress, FEWEST_TEST)
    train, validation = take_validation(capped(folder.train, config.data.train_items, config.data.seed), config.data)
    told = told_shares(train, validation, config.data.validation_share, classes, "validation")
    return Dataset(
        name=f"{modality}_folder",
        classes=classes,
        train=train,
        validation=validation,
        test=capped(folder.test, config.data.test_items, config.data.seed),
        sample_rate=config.audio.sample_rate if modality == "audio" else 0,
        image_side=config.image.size if modality == "image" else 0,
        skipped=folder.skipped,
        remarks=folder.remarks + told,
    )


def class_names(root: Path) -> tuple[str, ...]:
    """Sorted names of the classes that have files.

    Raises:
        DataError: the folder does not exist, or has no class folders with files.
    """
    names = [{name for name, files in class_folders(part).items() if files} for part in split_parts(class_level(root))]
    return tuple(sorted(set.union(*names)))


def _common_classes(config: DataConfig, audio: Sequence[str], image: Sequence[str]) -> tuple[str, ...]:
    """The classes of paired folders, from the class names of both folders."""
    if config.classes is not None:
        return chosen_classes(config, sorted(set(audio) & set(image)))
    if set(audio) != set(image):
        missing = [f"{name!r} has no sounds" for name in sorted(set(image) - set(audio))]
        missing += [f"{name!r} has no pictures" for name in sorted(set(audio) - set(image))]
        raise DataError(f"paired_folders: both folders need the same class names: {'; '.join(missing[:4])}")
    return tuple(audio)


def _load_folder(
    root: Path,
    modality: Modality,
    classes: Sequence[str],
    config: RunConfig,
    device: torch.device | str,
    progress: Progress | None,
    fewest: int = 0,
) -> _DecodedFolder:
    """Decode the usable files of the given classes and split them into training and test items.

    Args:
        fewest: test items to hold out, where that can be done (see `_held_out`).
    """
    given, told_depth, root = root, told_level(root), class_level(root)
    parts = split_parts(root)
    by_group = config.data.split == "group"
    collections = [parts] if by_group else [(part,) for part in parts]
    caps = (0, 0) if by_group else (config.data.train_items, config.data.test_items)
    splits: list[Split] = []
    skipped: list[str] = []
    remarks = told_depth + _told_loose(given, root, parts)
    long: list[str] = []
    named: list[set[str]] = []  # groups of `data.groups` in each part
    below: tuple[list[str], list[str]] = ([], [])  # paths of all usable files below their class, and their classes
    for members, cap in zip(collections, caps, strict=False):
        if len(collections) == 1:  # decode no more files than both splits can use, plus 8 per class for rounding
            need = round(max(caps[0] / (1 - TEST_SHARE), caps[1] / TEST_SHARE))
            cap = need + 8 * len(classes) if all(caps) else 0
        labeled, names = _listed(members, classes)
        titles = [classes[label] for _, label in labeled]
        groups, told = file_groups(names, titles, config.data.groups)
        chosen = balanced([label for _, label in labeled], groups, cap, config.data.seed)
        paths = [labeled[row][0] for row in chosen]
        if modality == "audio":
            loaded = load_sounds(paths, root, config, device, progress)
        else:
            loaded = load_pictures(paths, root, config.image.size, device, progress)
        usable = [chosen[row] for row in loaded.rows]
        splits.append(
            _split(loaded, [labeled[row] for row in usable], tuple(groups[row] for row in usable), root, modality)
        )
        below[0].extend(names[row] for row in usable)
        below[1].extend(titles[row] for row in usable)
        own, _ = file_groups(names, titles, "")
        named.append({groups[row] for row in usable if groups[row] != own[row]})
        skipped += loaded.skipped
        long += loaded.long
        remarks += told
    if by_group:
        splits = _by_group(splits[0], config.data.held_out)
        splits[0], told = leave_out(splits[0], splits[1], modality)
    elif len(splits) == 1:
        whole, told = keep_together(splits[0], modality)
        splits, share = _held_out(whole, config.data.seed + 1, fewest)
        told += told_shares(splits[0], splits[1], share, classes, "test")
    else:
        splits[0], told = leave_out(splits[0], splits[1], modality)
        if both := sorted(named[0] & named[1]):
            stand = "group stands" if len(both) == 1 else "groups stand"
            remarks.append(
                f"{len(both)} {stand} in both {parts[0].name} and {parts[1].name}, which are used as they are, "
                f"for example {both[0]}"
            )
        if (title := parts[1].name).lower().startswith("val"):
            remarks.append(f"the files in {title} are the test items; validation items are drawn from {parts[0].name}")
    if parts != (root,) and (unused := unused_folders(root, parts)):
        what = " and ".join(as_text(folder.name) for folder in unused)
        bare = " and ".join(as_text(folder.name) for folder in unused if not has_classes(folder))
        why = f" (no class folders in {bare})" if bare else ""
        drawn = "validation items are" if len(parts) > 1 else "test and validation items are"
        remarks.append(f"the files in {what} are not used{why}; {drawn} drawn from {parts[0].name}")
    remarks += told
    if long:
        are, limit = "sounds are" if len(long) > 1 else "sound is", f"{MAX_SECONDS:.0f} s"
        of = "of each" if len(long) > 1 else "of it"
        remarks.append(f"{len(long)} {are} longer than {limit}: {of} the first {limit} are read, for example {long[0]}")
    if not config.data.groups:
        remarks += hint(*below)
    return _DecodedFolder(splits[0], splits[1], tuple(skipped), tuple(remarks))


def _told_loose(given: Path, root: Path, parts: Sequence[Path]) -> list[str]:
    """A remark on files that lie in no class folder, from the given folder down to those with the classes."""
    above = [root, *root.parents]
    found = loose_files(list(dict.fromkeys((*above[: above.index(given) + 1], *parts))))
    if not found:
        return []
    what = (
        f"{len(found)} files beside the class folders are" if len(found) > 1 else "1 file beside the class folders is"
    )
    return [f"{what} left out, for example {as_text(found[0].relative_to(given).as_posix())}"]


def _listed(parts: Sequence[Path], classes: Sequence[str]) -> tuple[list[tuple[Path, int]], list[str]]:
    """The files of the given classes in one or more folders, (path, label) each, and their paths below the class."""
    labeled: list[tuple[Path, int]] = []
    names: list[str] = []
    for part in parts:
        files = class_folders(part)
        for label, title in enumerate(classes):
            labeled += [(path, label) for path in files.get(title, [])]
            names += [as_text("/".join(path.relative_to(part).parts[1:])) for path in files.get(title, [])]
    return labeled, names


def _held_out(whole: Split, seed: int, fewest: int) -> tuple[list[Split], float]:
    """Training and test items, and the share that was to be held out: `TEST_SHARE`, or more of few files.

    Args:
        fewest: test items to hold out where every class keeps enough to train on and to validate.
    """
    labels, share = whole.labels.tolist(), TEST_SHARE
    rows = holdout(labels, whole.groups, share, seed)
    if len(rows[1]) < fewest < len(whole):
        more = holdout(labels, whole.groups, fewest / len(whole), seed)
        if min(Counter(labels[row] for row in more[0]).values()) >= KEPT:
            rows, share = more, fewest / len(whole)
    return [whole.take(torch.tensor(part_rows, dtype=torch.int64)) for part_rows in rows], share


def _by_group(whole: Split, held_out: str) -> list[Split]:
    """Training and test items: those of all other groups, and those of the group that is held out.

    Raises:
        ConfigError: there is no such group.
    """
    inside = torch.tensor([group == held_out for group in whole.groups], dtype=torch.bool)
    if not inside.any():
        raise unknown("group", held_out, sorted(set(whole.groups)))
    return [whole.take(rows.nonzero()[:, 0]) for rows in (~inside, inside)]


def _split(
    loaded: Loaded, usable: Sequence[tuple[Path, int]], groups: tuple[str, ...], root: Path, modality: Modality
) -> Split:
    """The usable files, (path, label) each, as a split."""
    return Split(
        audio=loaded.values if modality == "audio" else None,
        image=loaded.values if modality == "image" else None,
        labels=labels_tensor([label for _, label in usable]).to(loaded.values.device),
        names=tuple(different_texts([path.relative_to(root).as_posix() for path, _ in usable])),
        groups=groups,
        lengths=loaded.lengths,
    )


def _paired(audio: Split, image: Split, seed: int, part: int) -> Split:
    """Pair the clips and images of one split within their class; every file is used once before any is repeated.

    Args:
        part: number of the split, which makes its random draws independent of the other splits.
    """
    rng = np.random.default_rng([seed, 0xFA12, part])
    audio_labels, image_labels = audio.labels.cpu().numpy(), image.labels.cpu().numpy()
    pairs: list[tuple[Tensor, Tensor]] = []  # per class: rows of the clips, rows of the images
    for label in np.intersect1d(audio_labels, image_labels):
        class_rows = [np.flatnonzero(labels == label) for labels in (audio_labels, image_labels)]
        count = max(len(rows) for rows in class_rows)
        audio_rows, image_rows = (np.resize(rng.permutation(rows), count) for rows in class_rows)
        pairs.append((torch.from_numpy(audio_rows), torch.from_numpy(image_rows)))
    none = torch.zeros(0, dtype=torch.int64)
    clips = audio.take(torch.cat([rows for rows, _ in pairs] or [none]))
    images = image.take(torch.cat([rows for _, rows in pairs] or [none]))
    return Split(
        audio=clips.audio,
        image=images.image,
        labels=clips.labels,
        names=tuple(f"{clip} + {image_name}" for clip, image_name in zip(clips.names, images.names, strict=True)),
        groups=clips.groups,
        lengths=clips.lengths,
    )
