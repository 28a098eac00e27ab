"""Buttons that steer a run."""

from __future__ import annotations

from typing import TYPE_CHECKING

import streamlit as st

from .engine import ENDED, manager, plain_errors

if TYPE_CHECKING:
    from cpc_engine.runs.manager import Snapshot


def controls(now: Snapshot) -> None:
    """Pause, continue and stop while it goes on; resume where it can go on."""
    if now.status == "finished" or now.status == "diverged":
        return
    with st.container(horizontal=True, gap="small"):
        if now.status in ENDED:
            if now.step:
                _button("Resume", ":material/play_arrow:", "resume", now.id)
            return
        if now.status == "paused":
            _button("Continue", ":material/play_arrow:", "unpause", now.id)
        elif now.status == "running":
            _button("Pause", ":material/pause:", "pause", now.id)
        _button("Stop", ":material/stop:", "stop", now.id, "Ends after this step and keeps what it learned.")


def _button(label: str, icon: str, action: str, run: str, help: str | None = None) -> None:
    if st.button(label, icon=icon, key=f"{action}-{run}", help=help):
        with plain_errors():
            getattr(manager(), action)(run)
            st.rerun()
