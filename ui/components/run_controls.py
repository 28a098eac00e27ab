"""Buttons that steer a run."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

import streamlit as st

from cpc_engine.errors import CpcError

from ..shell.errors import sentence
from ..shell.session import has_ended, manager, open_run

if TYPE_CHECKING:
    from cpc_engine.execution.progress import RunProgress


def controls(run: RunProgress) -> None:
    """Pause, continue and stop while a run is active; resume where it ended early."""
    if run.status in ("finished", "diverged"):
        return
    with st.container(horizontal=True, gap="small"):
        if has_ended(run.status):
            if _can_resume(run.id):
                _button("Resume", ":material/play_arrow:", "resume", run.id, manager().resume)
            return
        if run.status == "paused":
            _button("Continue", ":material/play_arrow:", "unpause", run.id, manager().unpause)
        elif run.status == "running":
            _button("Pause", ":material/pause:", "pause", run.id, manager().pause)
        kept = "Ends after this step and keeps what it learned."
        _button("Stop", ":material/stop:", "stop", run.id, manager().stop, kept)


def _can_resume(run: str) -> bool:
    """Also a run that was still waiting when its server was killed, and had not begun."""
    from cpc_engine.storage.folder import check_resumable

    try:
        check_resumable(open_run(run).folder)
    except CpcError:
        return False
    return True


def _button(
    label: str, icon: str, key: str, run: str, action: Callable[[str], object], help: str | None = None
) -> None:
    # As a callback the click counts even where the page starts again before it comes to this line.
    if st.button(label, icon=icon, key=f"{key}-{run}", help=help, on_click=_act, args=(action, run)):
        st.rerun(scope="app")


def _act(action: Callable[[str], object], run: str) -> None:
    try:
        action(run)
    except CpcError as error:
        st.toast(sentence(str(error)), icon=":material/error:", duration="long")  # stays when the page starts again
