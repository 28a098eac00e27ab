"""The page of one run: its view, its names and notes, its settings, and the knobs that can be turned meanwhile."""

from __future__ import annotations

from typing import Any

import streamlit as st

from cpc_engine.config import RunConfig
from cpc_engine.knobs import describe

from .draft import train_like
from .engine import ENDED, literal, manager, plain_errors, root
from .explore_run import look_into
from .knobs import Changes, draw_knobs, value_of
from .run_view import show_run


def show_page(run: str) -> None:
    """Raises RunError where the folder is broken."""
    from cpc_engine.runs.folder import RunFolder

    folder = RunFolder.open(run, root())
    config, info = folder.config(), folder.info()
    st.title(info.name or "How is it going?", anchor=False)
    if config.run.note:
        st.markdown(config.run.note.replace("[", "\\[").replace("<", "\\<"))
    with st.container(horizontal=True, vertical_alignment="center"):
        if run in manager().active():
            _live_knobs(run, config, folder.events())
            _labels(run, config)
        elif info.teaches:
            st.badge("example", icon=":material/school:", color="violet")
        elif info.status in ENDED:
            _labels(run, config)
            if st.button("Delete", icon=":material/delete:", key="delete"):
                from cpc_engine.runs.trash import discard

                with plain_errors():
                    discard(run, root())
                    st.session_state.discarded = run
                    st.switch_page("pages/runs.py")
        _settings(run, config)
        look_into(run)
        train_like(config, "Train one like it")
    if info.teaches:
        st.markdown(literal(info.teaches))
    show_run(run)


def _live_knobs(run: str, config: RunConfig, events: list[dict[str, Any]]) -> None:
    """Knobs that a running run takes, with the values it has now."""
    turned = {event["knob"]: event["value"] for event in events if event["kind"] == "change"}
    now = config.replace(turned)
    wanted: Changes = st.session_state.setdefault(f"live-{run}", {})

    with st.popover("Turn a knob", icon=":material/bolt:", key="live-knobs"):
        st.caption("Takes effect with the next step and is marked on the curve.")
        knobs = [knob for knob in describe(RunConfig) if knob.live]
        draw_knobs(knobs, now, wanted, f"live-{run}", lambda: None)
        if st.button("Apply", type="primary", disabled=not wanted, key="apply"):
            with plain_errors():
                for path in list(wanted):
                    manager().change(run, path, wanted.pop(path))
                st.toast("Applied from the next step on.", icon=":material/bolt:")
                st.rerun()


def _labels(run: str, config: RunConfig) -> None:
    """Name and note, also while it trains."""
    with st.popover("Name and note", icon=":material/edit:", key="labels"), st.form("labels-form", border=False):
        name = st.text_input("Name", config.run.name, max_chars=120)
        note = st.text_area("Note", config.run.note, max_chars=4000)
        if st.form_submit_button("Keep", type="primary"):
            with plain_errors():
                manager().rename(run, name, note)
                st.rerun()


def _settings(run: str, config: RunConfig) -> None:
    """What differs from the defaults, and the whole as JSON."""
    with st.popover("Settings", icon=":material/tune:", key="settings"):
        differing = config.differences(RunConfig())
        rows = [
            {"Knob": path, "Default": str(old), "Here": str(value_of(config, path))}
            for path, (_, old) in differing.items()
        ]
        st.dataframe(rows, hide_index=True)
        st.download_button("Settings (JSON)", config.to_json, f"{run}.json", "application/json", on_click="ignore")
