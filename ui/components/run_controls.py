"""Buttons that steer a run."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING

import streamlit as st

from cpc_engine.errors import CpcError

from ..shell.address import join_ids
from ..shell.errors import plain_errors, sentence
from ..shell.session import has_ended, manager, open_run, root
from .items import ask_for_data

if TYPE_CHECKING:
    from cpc_engine.execution.fork import Forks
    from cpc_engine.execution.progress import RunProgress


def controls(run: RunProgress) -> None:
    """Pause, continue and stop while a run is active; resume where it ended early."""
    if run.status in ("finished", "diverged"):
        return
    with st.container(horizontal=True, gap="small"):
        if has_ended(run.status):
            if can_resume(run.id):
                _resume(run.id)
            return
        if run.status == "paused":
            _button("Continue", ":material/play_arrow:", "unpause", run.id, manager().unpause)
        elif run.status == "running":
            _button("Pause", ":material/pause:", "pause", run.id, manager().pause)
        kept = "Ends after this step and keeps what it learned."
        _button("Stop", ":material/stop:", "stop", run.id, manager().stop, kept)


def undo_button(run: RunProgress) -> None:
    """Where settings were changed while a run trained: one click that trains it again without, beside a control with
    the same changes; nothing while it goes on."""
    changed = any(event["kind"] == "change" for event in run.events)
    if not changed or not has_ended(run.status) or open_run(run.id).folder.has("fork"):
        return
    help = "Trains it twice from its start, without what was changed on the way and with it, and compares the two."
    if st.button("Undo its changes in a fork", icon=":material/undo:", key=f"undo-{run.id}", help=help):
        from cpc_engine.execution.fork import undo

        with plain_errors():
            train_forks([undo(open_run(run.id).folder, root())])


def train_forks(made: Sequence[Forks]) -> None:
    """Queue forks and their controls, and go to where they are compared.

    Raises:
        CpcError: they cannot be queued.
    """
    ids = [manager().resume(folder.id) for forks in made for folder in (forks.child, forks.control)]
    st.switch_page("pages/compare.py", query_params={"runs": join_ids(ids)})


def can_resume(run: str) -> bool:
    """Whether a run ended early and can go on; also one that was still waiting when its server was killed."""
    from cpc_engine.storage.folder import check_resumable

    try:
        check_resumable(open_run(run).folder)
    except CpcError:
        return False
    return True


def resume_all(runs: Sequence[str]) -> None:
    """Let runs that ended early go on, as a button's callback; one that cannot after all is told and keeps no other."""
    for run in runs:
        _act(manager().resume, run)


def _resume(run: str) -> None:
    from cpc_engine.execution.place import place_of
    from cpc_engine.storage.artifacts import has_data

    icon = ":material/play_arrow:"
    if place_of() is not None or has_data(open_run(run).folder):  # on a cluster the data lie elsewhere
        _button("Resume", icon, "resume", run, manager().resume)
        return
    with st.popover("Resume", icon=icon, key=f"resume-{run}"):
        ask_for_data(run, "The data of this run are not here; it can go on once they are.")


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
