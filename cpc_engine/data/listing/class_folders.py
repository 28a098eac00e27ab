"""List the files of each class below a folder, and find the parts of a split."""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path
from urllib.parse import unquote, urlsplit

from ...errors import DataError

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
    """Return the sub-folders of training and test items of `root` if both have class folders, otherwise `root` itself.

    Where there are validation items and no test items, they are the test items.
    """
    folders = {path.name.lower(): path for path in sorted(root.iterdir())} if root.is_dir() else {}
    parts = [next((folders[name] for name in names if name in folders), None) for names in _SPLITS]
    has_classes = [part is not None and part.is_dir() and any(p.is_dir() for p in part.iterdir()) for part in parts]
    return tuple(part for part in parts if part is not None) if all(has_classes) else (root,)


def unused_folders(root: Path, parts: Sequence[Path]) -> list[Path]:
    """Return the folders beside the parts of a given split (see `split_parts`), such as `val/` beside `test/`."""
    return [path for path in sorted(root.iterdir()) if is_open(path) and path not in parts]


def is_open(path: Path) -> bool:
    """Return whether a path is a folder that is neither hidden nor what macOS puts into archives."""
    return path.is_dir() and not path.name.startswith((".", "__MACOSX"))


def _files_below(folder: Path) -> list[Path]:
    """The files below a folder and below folders that are linked there, each folder once."""
    files: list[Path] = []
    seen: set[str] = set()
    for place, folders, names in os.walk(folder, followlinks=True):
        real = os.path.realpath(place)
        folders[:] = sorted(name for name in folders if not name.startswith(".") and real not in seen)
        if real in seen:  # a link to what another link, or the folder itself, leads to
            continue
        seen.add(real)
        found = (Path(place, name) for name in names if not name.startswith("."))
        files += [path for path in found if path.is_file()]
    return sorted(files)
