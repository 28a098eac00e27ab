"""From an edit to the run: settings that a run takes while it trains are sent to it at once."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Literal

import streamlit as st

from cpc_engine.config import all_settings
from cpc_engine.errors import CpcError

from ..shell.errors import sentence
from ..shell.session import awake, has_ended, manager, run_now
from .draft import configuration, draft_now, keep, set_draft

if TYPE_CHECKING:
    from cpc_engine import Run

# What an edit does: prepares the next run; reaches the run that is shown; nothing, since another process trains it.
Reach = Literal["next", "live", "none"]


def reach_of(run: Run | None) -> Reach:
    """What an edit does while `run` is shown."""
    if run is None or has_ended(run.info.status):
        return "next"
    return "live" if awake() and run.id in manager().active() else "none"


def sender(run: Run | None, reach: Reach) -> Callable[[], None]:
    """What a form calls after an edit of the draft."""
    if run is None or reach != "live":
        return keep
    sent = st.session_state.setdefault("sent", {}).setdefault(run.id, run_now(run))
    live = {setting.path for setting in all_settings() if setting.live}

    def send() -> None:
        try:
            config = configuration(*draft_now())
            for path, (value, _) in config.differences(sent).items():
                if path in live:
                    manager().change(run.id, path, value)
            st.session_state.sent[run.id] = config
        except CpcError as error:
            st.toast(sentence(str(error)), icon=":material/block:")
            set_draft(run)  # the sliders go back to what the run has

    return send
