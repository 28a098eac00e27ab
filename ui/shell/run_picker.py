"""The run that a page looks into: named by the address (`?run=…`) or chosen from a list."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING

import streamlit as st

from .address import asks_anew, put, remember
from .first_run import nothing_yet
from .names import names_of
from .session import chosen_run, has_ended, has_map, runs

if TYPE_CHECKING:
    from cpc_engine.storage.info import RunInfo


KEY = "explored-run"


def choose_run(forget: Callable[[], None] = lambda: None) -> str | None:
    """The id of a run with a map; None where there is none, which the page then has already said.

    Args:
        forget: called when another run is picked from the list, before the page is computed: what was chosen among the
            items of the run before is not chosen among those of the next one.
    """
    known = runs()
    if not known:
        nothing_yet()
        return None
    names = names_of(known)
    ready = [info.id for info in known if has_map(info.id)]
    chosen = chosen_run()
    if chosen and chosen not in ready:
        st.info(f"This run has no map: {_why_no_map(chosen, known)}.", icon=":material/hourglass_empty:")
        _watch(chosen, "Look at that run")
    if not ready:
        if not chosen:
            st.info("No run has a map yet: a run draws it when it ends.", icon=":material/hourglass_empty:")
            _watch(known[0].id, "Look at the newest run")
        return None
    asked = chosen if chosen in ready and asks_anew(KEY, ("run",)) else None  # by a link, or Back
    if asked or st.session_state.get(KEY) not in ready:
        st.session_state[KEY] = asked or (chosen if chosen in ready else ready[0])
    run = str(st.selectbox("Run", ready, format_func=names.__getitem__, key=KEY, on_change=forget, width=280))
    put("run", run)
    remember(KEY, ("run",))
    return run


def _why_no_map(run: str, known: Sequence[RunInfo]) -> str:
    if any(info.id == run and not has_ended(info.status) for info in known):
        return "it is still going on"
    return "it ended before its first step, or its files are damaged"


def _watch(run: str, label: str) -> None:
    st.page_link("pages/train.py", label=label, icon=":material/monitoring:", query_params={"run": run})
