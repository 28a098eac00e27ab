"""What pages call runs, and which of them repeat each other: the same on every page."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import streamlit as st

from cpc_engine.errors import CpcError

from .session import open_run, root

if TYPE_CHECKING:
    from cpc_engine.storage.folder import RunFolder
    from cpc_engine.storage.info import RunInfo


@dataclass(frozen=True)
class _Told:
    """What the settings of a run say, as its files were at `updated`."""

    updated: float
    name: str
    beside_preset: str
    settings: Mapping[str, Any]


def name_of(info: RunInfo) -> str:
    """A run's name; where it has none, its preset and what differs from that."""
    return info.name or _told(info).name


def names_of(infos: Iterable[RunInfo]) -> dict[str, str]:
    """{id: name} of runs that are shown together: those of one name with what tells them apart."""
    from cpc_engine.comparison.names import told_apart

    groups: defaultdict[str, list[RunInfo]] = defaultdict(list)
    for info in infos:
        groups[name_of(info)].append(info)
    names: dict[str, str] = {}
    for name, group in groups.items():
        if len(group) == 1:
            names[group[0].id] = name
        else:
            apart = told_apart({info.id: _told(info).settings for info in group})
            names |= {run: f"{name} · {told}" for run, told in apart.items()}
    return names


def beside_preset(info: RunInfo) -> str:
    """What differs from the preset that is nearest to a run, such as "Queue size 512, Noise σ 0.1"."""
    return _told(info).beside_preset


def settings_of(info: RunInfo) -> Mapping[str, Any]:
    """{"section.setting": value} of a run; empty where it cannot be read."""
    return _told(info).settings


def arm_of(info: RunInfo) -> tuple[str, int] | None:
    """(arm's key, seed) of a run: runs of one key repeat each other; None of a run that cannot be read."""
    from cpc_engine.storage.folder import RunFolder

    where = root()
    folder, read = RunFolder(where / info.id), _arms_read(str(where))
    stamp = folder.stamp("config", "events", "fork")
    if info.id not in read or read[info.id][0] != stamp:
        read[info.id] = stamp, _arm(folder)
    return read[info.id][1]


def _told(info: RunInfo) -> _Told:
    """Kept until the run is written again: there may be thousands."""
    kept = _kept(str(root()))
    if info.id not in kept or kept[info.id].updated != info.updated:
        kept[info.id] = _read(info)
    return kept[info.id]


@st.cache_resource(max_entries=4, show_spinner=False)
def _kept(root: str) -> dict[str, _Told]:
    return {}


def _read(info: RunInfo) -> _Told:
    from cpc_engine.comparison import names

    try:
        config = open_run(info.id).folder.config()
    except CpcError:  # damaged: the page that opens it says why
        return _Told(info.updated, info.name or info.id, "", {})
    return _Told(info.updated, names.shown_name(config), names.beside_preset(config), config.flat())


@st.cache_resource(max_entries=4, show_spinner=False)
def _arms_read(root: str) -> dict[str, tuple[tuple[int, ...], tuple[str, int] | None]]:
    """{id: (stamp, arm)} of what was read: one look-up a run, since there may be thousands."""
    return {}


def _arm(folder: RunFolder) -> tuple[str, int] | None:
    from cpc_engine.comparison.arms import arm_key
    from cpc_engine.comparison.collect import branch_of, changes_of

    try:
        config, branch = folder.config(), branch_of(folder)
        return arm_key(config, changes_of(folder), branch.step if branch else 0), config.run.seed
    except CpcError:
        return None
