"""All settings, by group, in one column."""

from __future__ import annotations

from collections.abc import Callable

import streamlit as st

from cpc_engine.config import RunConfig, paths_with_role, unread

from ..components.devices import choose_device
from ..components.settings_form import (
    Changes,
    draw_setting,
    sections_of_data,
    settings_of,
    used_by_data,
)
from .steer import Reach

GROUPS = {
    "Data": ("data",),
    "Negatives": ("sampler",),
    "Objective": ("loss",),
    "Encoder": ("audio", "image", "context"),
    "Schedule": ("optimizer", "evaluation", "run"),
}
DEVICE = "run.device"  # above the groups, as a list of what this machine has


def asked_setting() -> str:
    """The setting that the address leads to (`?settings=sampler.sigma`); empty where it names none."""
    return st.query_params.get("settings", "")


def show_form(config: RunConfig, base: RunConfig, changes: Changes, reach: Reach, changed: Callable[[], None]) -> None:
    """Draw the form.

    Args:
        config: the configuration as it is now. base: the preset's. changes: what differs; edited in place.
        reach: what an edit does (see `steer`). changed: called after an edit.
    """
    choose_device(base, changes, changed, disabled=reach != "next")
    labels, idle = paths_with_role("label"), unread(config)
    if reach == "next":  # a run that is there is named beside its title
        for setting in (setting for setting in settings_of(["run"]) if setting.path in labels):
            draw_setting(setting, base, changes, "train", changed)
    section = asked_setting().partition(".")[0]
    first = next((name for name, sections in GROUPS.items() if section in sections), "Negatives")
    group = st.selectbox("Group", list(GROUPS), list(GROUPS).index(first), key="group", persist_state="session")
    for section in sections_of_data(GROUPS[group], config):
        if len(GROUPS[group]) > 1:
            st.subheader(section.capitalize(), anchor=False)
        for setting in used_by_data(settings_of([section]), config):
            if setting.path not in {*labels, DEVICE}:
                locked = reach == "none" or (reach == "live" and not setting.live)
                draw_setting(setting, base, changes, "train", changed, setting.path in idle, locked)
