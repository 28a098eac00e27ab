"""Which files belong together: groups from `data.groups`, and hints that names give of groups not yet set."""

from __future__ import annotations

import re
from collections import Counter, defaultdict
from collections.abc import Sequence

from ...config.name_pattern import GROUP, NamePattern

_TOKENS = re.compile(r"([-_ .])")
_HINT_SHARE = 0.1  # of the files, from which on their names are taken as a sign of several takes


def file_groups(names: Sequence[str], classes: Sequence[str], setting: str) -> tuple[tuple[str, ...], tuple[str, ...]]:
    """The group of each file.

    Files whose paths differ only in the suffix are one group at least. Groups of a pattern hold over all classes, since
    one speaker may say every word; folders belong to their class.

    Args:
        names: paths of the files below their class folder, with suffix.
        classes: class of each file.
        setting: `data.groups`: "" for each file by itself, "folder", or a pattern (see `NamePattern`).

    Returns:
        The groups, and what is to be told about files that a pattern does not match.

    Example:
        >>> file_groups(["a_1.wav", "a_2.wav", "b.wav"], ["dog"] * 3, "{group}_*")[0]
        ('a', 'a', 'dog/b')
    """
    stems = [_stem(name) for name in names]
    own = [f"{title}/{stem}" for title, stem in zip(classes, stems, strict=True)]
    if not setting:
        return tuple(own), ()
    if setting == "folder":
        folders = [stem.rpartition("/")[0].partition("/")[0] for stem in stems]
        found = [f"{title}/{folder}" if folder else None for title, folder in zip(classes, folders, strict=True)]
        missing = "lie in no folder within their class"
    else:
        pattern = NamePattern.parse(setting)
        found = [pattern.group(stem) for stem in stems]
        missing = f"do not match the pattern {setting}"
    single = [name for name, group in zip(names, found, strict=True) if group is None]
    groups = tuple(group or alone for group, alone in zip(found, own, strict=True))
    if not single:
        return groups, ()
    return groups, (f"{len(single)} of {len(names)} files {missing} and stand for themselves, for example {single[0]}",)


def hint(names: Sequence[str], classes: Sequence[str]) -> tuple[str, ...]:
    """What is to be told where names suggest several takes of one recording, with the pattern that groups them.

    Numbers and single letters at the end of a name are stripped one after the other. The first time that a tenth of the
    files share what is left with another file of their class, it is taken for the recording. What most of a class
    shares is its plain title (dog_001, dog_002, …) and says nothing.

    Args:
        names: paths of the files below their class folder, with suffix.
        classes: class of each file.

    Example:
        >>> hint(["1-17-A.wav", "1-17-B.wav", "1-30-A.wav", "2-8-A.wav"], ["dog"] * 4)[0].partition(":")[2]
        ' set data.groups to {group}-* to keep takes together'
        >>> hint(["dog_001.wav", "dog_002.wav", "dog_003.wav"], ["dog"] * 3)
        ()
    """
    sizes = Counter(classes)
    stripped = [_TOKENS.split(_stem(name)) for name in names]  # texts and the separators between them, in turn
    separators = [""] * len(names)
    while True:
        for row, parts in enumerate(stripped):
            if len(parts) > 1 and (parts[-1].isdigit() or (len(parts[-1]) == 1 and parts[-1].isalpha())):
                separators[row] = parts[-2] + separators[row]
                stripped[row] = parts[:-2]
            else:
                stripped[row] = []  # nothing more to strip: the file drops out
        if not any(stripped):
            return ()
        takes: dict[tuple[str, str], list[int]] = defaultdict(list)
        for row, parts in enumerate(stripped):
            if parts:
                takes[classes[row], "".join(parts)].append(row)
        shared = [rows for (title, _), rows in takes.items() if 1 < len(rows) <= sizes[title] / 2]
        if sum(map(len, shared)) >= _HINT_SHARE * len(names):
            rows = shared[0]
            ends = Counter(separators[row] for one in shared for row in one)
            pattern = GROUP + "".join(f"{separator}*" for separator in ends.most_common(1)[0][0])
            return (
                f"{sum(map(len, shared))} of {len(names)} files look like several takes of one recording, for example "
                f"{names[rows[0]]} and {names[rows[1]]}: set data.groups to {pattern} to keep takes together",
            )


def _stem(name: str) -> str:
    """A path without the suffix of its file."""
    folder, slash, file = name.rpartition("/")
    stem = file.rpartition(".")[0]
    return f"{folder}{slash}{stem or file}"
