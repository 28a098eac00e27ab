"""Find the folder whose sub-folders are the classes: often it lies alone in the folder that was given."""

from __future__ import annotations

from pathlib import Path

from .class_folders import as_text, is_open


def class_level(root: Path) -> Path:
    """Return the folder with the class folders: `root`, or one below it that is the only folder on the way.

    A folder on the way holds no files, which would be those of a class; files beside it do not matter, since a class
    needs a folder. Of a split that has one part alone (`train/`) the classes are in that part.
    """
    folder, passed = root, {root.resolve()}
    while len(inside := _folders(folder)) == 1:
        folder = inside[0]
        files = any(path.is_file() and not path.name.startswith(".") for path in folder.iterdir())
        if files or folder.resolve() in passed:
            return root
        passed.add(folder.resolve())
    return folder if inside else root


def told_level(root: Path) -> list[str]:
    """Return a remark where the classes lie deeper than in `root`, for the user."""
    level = class_level(root)
    if level == root:
        return []
    inside = as_text(level.relative_to(root).as_posix())
    return [f"the classes are the folders in {inside}, the only folder in {as_text(root.name)}"]


def _folders(root: Path) -> list[Path]:
    return [path for path in root.iterdir() if is_open(path)] if root.is_dir() else []
