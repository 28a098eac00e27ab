"""The page of one run: its view, its name and note, its settings, and those that can be changed while it trains."""

from __future__ import annotations

from typing import TYPE_CHECKING

import streamlit as st

from cpc_engine.config import RunConfig, all_settings

from ..components.run_cards import show_cards
from ..components.run_view import show_run
from ..components.settings_form import Changes, draw_settings, value_of
from ..shell.compat import inside_app
from ..shell.errors import literal, plain_errors
from ..shell.first_run import nothing_yet
from ..shell.links import look_into, train_like
from ..shell.session import chosen_run, has_ended, manager, open_run, runs

if TYPE_CHECKING:
    from cpc_engine import Run


def show() -> None:
    """Draw the page."""
    inside_app()
    run = chosen_run()
    if run:
        _show_page(open_run(run))
        return
    st.title("Run")
    known = runs()
    if not known:
        nothing_yet()
        return
    st.write("Choose a run to look at.")
    show_cards(known[:6])
    st.page_link("pages/runs.py", label="All runs", icon=":material/folder_open:")


def _show_page(run: Run) -> None:
    """Raises RunError where the folder is broken."""
    config, info = run.config, run.info
    st.title(f"Run: {literal(info.name or info.id)}", anchor=False)
    if config.run.note:
        st.markdown(literal(config.run.note))
    with st.container(horizontal=True, vertical_alignment="center"):
        if run.id in manager().active():
            _live_settings(run, config)
            _labels(run.id, config)
        elif info.is_example:
            st.badge("example", icon=":material/school:", color="violet")
        elif has_ended(info.status):
            _labels(run.id, config)
            _delete(run)
        _settings(run.id, config)
        look_into(run.id)
        train_like(config, "Train one like it")
    if info.teaches:
        st.markdown(literal(info.teaches))
    show_run(run.id)


def _live_settings(run: Run, config: RunConfig) -> None:
    """Settings that an active run takes, with the values that it has now."""
    changed = {event["setting"]: event["value"] for event in run.events if event["kind"] == "change"}
    pending: Changes = st.session_state.setdefault(f"live-{run.id}", {})
    with st.popover("Change a setting", icon=":material/bolt:", key="live-settings"):
        st.caption("Takes effect with the next step and is marked on the curve.")
        settings = [setting for setting in all_settings() if setting.live]
        draw_settings(settings, config.replace(changed), pending, f"live-{run.id}", lambda: None)
        if st.button("Apply", type="primary", disabled=not pending, key="apply"):
            with plain_errors():
                for path in list(pending):
                    manager().change(run.id, path, pending.pop(path))
                st.toast("Applied from the next step on.", icon=":material/bolt:")
                st.rerun()


def _labels(run: str, config: RunConfig) -> None:
    """Name and note, which can be edited while the run trains, too."""
    with st.popover("Name and note", icon=":material/edit:", key="labels"), st.form("labels-form", border=False):
        name = st.text_input("Name", config.run.name, max_chars=120)
        note = st.text_area("Note", config.run.note, max_chars=4000)
        if st.form_submit_button("Keep", type="primary"):
            with plain_errors():
                manager().rename(run, name, note)
                st.rerun()


def _delete(run: Run) -> None:
    if st.button("Delete", icon=":material/delete:", key="delete"):
        with plain_errors():
            run.discard()
            st.session_state.discarded = run.id
            st.switch_page("pages/runs.py")


def _settings(run: str, config: RunConfig) -> None:
    """What differs from the defaults, and all settings as JSON."""
    with st.popover("Settings", icon=":material/tune:", key="settings"):
        differing = config.differences(RunConfig())
        rows = [
            {"Setting": path, "Default": str(default), "Here": str(value_of(config, path))}
            for path, (_, default) in differing.items()
        ]
        st.dataframe(rows, hide_index=True)
        st.download_button("Settings (JSON)", config.to_json, f"{run}.json", "application/json", on_click="ignore")
