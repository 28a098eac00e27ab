"""The first run of all: one click, no settings."""

from __future__ import annotations

import streamlit as st

from .session import manager

STEPS = 100


def begin(steps: int = STEPS) -> str:
    """Start a short run on tones and give its id.

    Raises:
        StorageError: the folder of runs cannot be written.
    """
    from cpc_engine import preset

    changes = {"optimizer.steps": steps, "run.name": "First tones", "evaluation.every": 25}
    return manager().start(preset("tones").config().replace(changes))


def nothing_yet() -> None:
    """What a page shows while there are no runs."""
    st.info("Nothing was trained yet. One click begins.", icon=":material/info:")
    if st.button("Train a 60-second run", type="primary", icon=":material/play_arrow:", key="go"):
        st.switch_page("pages/watch.py", query_params={"run": begin()})
