"""The settings on the Train page, in groups."""

from __future__ import annotations

import streamlit as st

from cpc_engine.config import RunConfig, paths_with_role

from ..components.settings_form import (
    Changes,
    draw_setting,
    draw_settings,
    sections_of_data,
    settings_of,
    used_by_data,
)
from .draft import keep

GROUPS = {
    "Data": ("data",),
    "Negatives": ("sampler",),
    "Objective": ("loss",),
    "Encoder": ("audio", "image", "context"),
    "Schedule": ("optimizer", "evaluation", "run"),
}
DEVICE = "run.device"  # chosen from a list of what this machine has, beside the form


def show_form(config: RunConfig, base: RunConfig, changes: Changes) -> None:
    """Draw the form.

    Args:
        config: the configuration as it is now. base: the preset's. changes: what differs; edited in place.
    """
    st.session_state.edited = False  # the whole page is drawn now
    _form(config, base, changes)


@st.fragment
def _form(config: RunConfig, base: RunConfig, changes: Changes) -> None:
    """Choosing another group draws only the form again; an edit draws the whole page."""
    if st.session_state.pop("edited", False):
        st.rerun()
    group = st.segmented_control(
        "Settings", list(GROUPS), default="Negatives", required=True, key="group", persist_state="session"
    )
    labels = paths_with_role("label")  # below every group, not in one
    for section in sections_of_data(GROUPS[group], config):
        if len(GROUPS[group]) > 1:
            st.subheader(section.capitalize(), anchor=False)
        shown = [setting for setting in settings_of([section]) if setting.path not in {*labels, DEVICE}]
        draw_settings(used_by_data(shown, config), base, changes, "train", _edited)
    named = [setting for setting in settings_of(["run"]) if setting.path in labels]
    for column, setting in zip(st.columns(len(named)), named, strict=True):
        with column:
            draw_setting(setting, base, changes, "train", _edited)


def _edited() -> None:
    keep()
    st.session_state.edited = True
