"""List the files of each class below a folder, and find the parts of a split."""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence
from contextlib import suppress
from pathlib import Path
from urllib.parse import unquote, urlsplit

from ...errors import DataError
from ...media import PICTURES, SOUNDS

_SPLITS = (("train", "training"), ("test", "testing", "val", "valid", "validation"))


def typed_path(path: str | None) -> Path:
    """Return the path that a setting means: as file managers copy it, and as people type it.

    Example:
        >>> typed_path(" '/my sounds' ").as_posix(), typed_path("file:///my%20sounds").as_posix()
        ('/my sounds', '/my sounds')
    """
    assert path is not None  # `follow.require_paths` has checked the required settings
    found = os.path.expanduser(path)  # which leaves "~nobody" as it is
    if not os.path.exists(found):  # nor does this raise where one may not look
        text = path.strip().strip("'\"").strip()
        found = os.path.expanduser(unquote(urlsplit(text).path) if text.startswith("file://") else text)
    return Path(found)


def as_text(name: str) -> str:
    r"""Return a name that may be written anywhere: bytes in it that are not UTF-8 are written as escapes.

    Example:
        >>> print(as_text("caf\udce9.wav"))
        caf\udce9.wav
    """
    return name.encode("utf-8", "backslashreplace").decode("utf-8")


def different_texts(names: Sequence[str]) -> list[str]:
    r"""Return the names `as_text`, of which those that would be like another one get a prime.

    Example:
        >>> print(*different_texts(["caf\udce9", "caf\\udce9", "tea"]))
        caf\udce9' caf\udce9 tea
    """
    taken, texts = {name for name in names if as_text(name) == name}, []
    for name in names:
        text = as_text(name)
        if text != name:
            while text in taken:
                text += "'"
            taken.add(text)
        texts.append(text)
    return texts


def class_folders(root: Path) -> dict[str, list[Path]]:
    """List the files of each class: {name of a sub-folder (see `different_texts`): its files, searched recursively}.

    Classes and files are sorted. Files and folders whose name starts with a dot are left out, and what macOS puts into
    archives (__MACOSX).

    Raises:
        DataError: `root` does not exist, is not a folder, or has no sub-folder with files.
    """
    if not root.exists():
        raise DataError(f"no such folder: {root}")
    if not root.is_dir():
        raise DataError(f"not a folder: {root}")
    folders = sorted(path for path in root.iterdir() if is_open(path))
    titles = different_texts([folder.name for folder in folders])
    files = {title: _files_below(folder) for title, folder in zip(titles, folders, strict=True)}
    if not any(files.values()):
        raise DataError(f"no files in {root}: it needs one sub-folder per class with files in it")
    return files


def split_parts(root: Path) -> tuple[Path, ...]:
    """Return the sub-folders of training and test items of `root` that have class folders, otherwise `root` itself.

    Where no test items have class folders, since they have no labels, `train/` is the only part. Where there are
    validation items and no test items, they are the test items.

    Raises:
        DataError: all sub-folders are called as the parts of a split, and no training items have class folders.
    """
    folders = [path for path in sorted(root.iterdir()) if is_open(path)] if root.is_dir() else []
    named = [path for path in folders if _is_part(path)]
    train, test = (_part_with_classes(named, names) for names in _SPLITS)
    if train and (test or len(named) > 1):
        return (train, test) if test else (train,)
    if named and len(named) == len(folders) and not train:
        titles = " and ".join(as_text(path.name) for path in named)
        are = "are parts" if len(named) > 1 else "is a part"
        raise DataError(
            f"{titles} in {root} {are} of a split, not classes: put the files into one folder per class, such as "
            "train/dog and train/cat, or rename a folder that is a class"
        )
    return (root,)


def sortable_parts(root: Path) -> tuple[list[Path], list[Path]]:
    """Return the folders of training and of other items of a split whose files lie in no class folders yet.

    They lie in `root` or in the only folder of it. Both are empty where a part has class folders, or where there are
    other folders too.
    """
    folders = [path for path in sorted(root.iterdir()) if is_open(path)]
    if len(folders) == 1 and not _is_part(folders[0]):
        return sortable_parts(folders[0])
    if not all(_is_part(path) and not has_classes(path) for path in folders):
        return [], []
    train = [path for path in folders if path.name.lower() in _SPLITS[0]]
    return train, [path for path in folders if path not in train]


def has_classes(folder: Path) -> bool:
    """Return whether a folder has folders that may be classes."""
    return any(is_open(path) for path in folder.iterdir())


def _is_part(folder: Path) -> bool:
    return any(folder.name.lower() in names for names in _SPLITS)


def _part_with_classes(folders: Sequence[Path], names: Sequence[str]) -> Path | None:
    """The folder with class folders whose name comes first in `names`."""
    found = {path.name.lower(): path for path in folders if has_classes(path)}
    return next((found[name] for name in names if name in found), None)


def unused_folders(root: Path, parts: Sequence[Path]) -> list[Path]:
    """Return the folders beside the parts of a given split (see `split_parts`), such as `val/` beside `test/`."""
    return [path for path in sorted(root.iterdir()) if is_open(path) and path not in parts]


def loose_files(folders: Sequence[Path]) -> list[Path]:
    """Return the sounds and pictures that lie right in these folders, beside the class folders."""
    inside = (path for folder in folders for path in sorted(folder.iterdir()))
    media = (path for path in inside if path.suffix.lower() in (*SOUNDS, *PICTURES) and path.is_file())
    return [path for path in media if not path.name.startswith(".")]


def is_open(path: Path) -> bool:
    """Return whether a path is a folder that is neither hidden nor what macOS puts into archives."""
    return path.is_dir() and not path.name.startswith((".", "__MACOSX"))


def folder_stamp(root: Path) -> tuple[int, int]:
    """Return what changes when a file or a folder below `root` is added, deleted, or renamed; no file is opened.

    Returns:
        The number of folders and files below `root`, and when a folder was last changed (ns; 0 without folders).

    Example:
        >>> folder_stamp(Path("/nowhere"))
        (0, 0)
    """
    count, newest = 0, 0
    for place, names in _walked(root):
        count += 1 + len(names)
        with suppress(OSError):  # deleted meanwhile
            newest = max(newest, os.stat(place).st_mtime_ns)
    return count, newest


def _files_below(folder: Path) -> list[Path]:
    """The files below a folder and below folders that are linked there, each folder once."""
    files: list[Path] = []
    for place, names in _walked(folder):
        found = (Path(place, name) for name in names if not name.startswith("."))
        files += [path for path in found if path.is_file()]
    return sorted(files)


def _walked(folder: Path) -> Iterator[tuple[str, list[str]]]:
    """A folder and those below it, also linked ones, each once: (path, names of what is no folder there)."""
    seen: set[str] = set()
    for place, folders, names in os.walk(folder, followlinks=True):
        real = os.path.realpath(place)
        folders[:] = sorted(name for name in folders if not name.startswith(".") and real not in seen)
        if real in seen:  # a link to what another link, or the folder itself, leads to
            continue
        seen.add(real)
        yield place, names
