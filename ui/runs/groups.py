"""Runs in groups: by the value of one setting, or those that repeat each other at other seeds."""

from __future__ import annotations

import math
from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from ..shell.names import arm_of, names_of, settings_of

if TYPE_CHECKING:
    from cpc_engine.storage.info import RunInfo

NO_GROUPS, REPETITIONS = "runs", "repetitions"
UNREAD = "cannot be read"
ASKED = 50  # newest runs whose settings are read before anyone asks for groups: as many as a page names


@dataclass(frozen=True)
class Group:
    """Runs that have something in common, in the order in which they were given."""

    name: str
    runs: tuple[RunInfo, ...]


def choices(runs: Sequence[RunInfo]) -> dict[str, str]:
    """By what runs can be grouped, with its label: repetitions, and settings that differ between the newest ones."""
    from cpc_engine.comparison.arms import repetition_settings
    from cpc_engine.config import label_of, value_text

    settings = [told for info in runs[:ASKED] if (told := settings_of(info))]
    paths = dict.fromkeys(path for told in settings for path in told if path not in repetition_settings())
    differ = [path for path in paths if len({value_text(told.get(path)) for told in settings}) > 1]
    found = {path: label_of(path) for path in differ}
    return {NO_GROUPS: "No groups", REPETITIONS: "All settings but the seed"} | found


def grouped(runs: Iterable[RunInfo], by: str) -> list[Group]:
    """Groups of runs: of a setting in the order of its values, else of their first runs; what cannot be read is last.

    Args:
        by: `REPETITIONS`, or the path of a setting.
    """
    if by == REPETITIONS:
        return _repeated(runs)
    from cpc_engine.config import in_words

    members: defaultdict[str, list[RunInfo]] = defaultdict(list)
    values: dict[str, Any] = {}
    for info in runs:
        told = settings_of(info)
        name = in_words({by: told.get(by)}) if told else UNREAD
        members[name].append(info)
        values[name] = told.get(by)
    return [Group(name, tuple(members[name])) for name in sorted(members, key=lambda name: _rank(name, values[name]))]


def _rank(name: str, value: Any) -> tuple[bool, float, str]:
    """Numbers by size, then everything else by name."""
    return name == UNREAD, value if isinstance(value, int | float) else math.inf, name


def _repeated(runs: Iterable[RunInfo]) -> list[Group]:
    """Runs of one arm together; those that cannot be read last."""
    members: defaultdict[str, list[RunInfo]] = defaultdict(list)
    unread = []
    for info in runs:
        if (arm := arm_of(info)) is None:
            unread.append(info)
        else:
            members[arm[0]].append(info)
    names = names_of(group[0] for group in members.values())
    groups = [Group(names[group[0].id], tuple(group)) for group in members.values()]
    return groups + ([Group(UNREAD, tuple(unread))] if unread else [])
