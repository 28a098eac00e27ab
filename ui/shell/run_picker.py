"""The run that a page looks into: named by the address (`?run=…`) or chosen from a list."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import streamlit as st

from .first_run import nothing_yet
from .names import names_of
from .session import chosen_run, has_ended, has_map, runs

if TYPE_CHECKING:
    from cpc_engine.storage.info import RunInfo


def choose_run() -> str | None:
    """The id of a run with a map; None where there is none, which the page then has already said."""
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
    index = ready.index(chosen) if chosen in ready else 0
    run = st.selectbox("Run", ready, index, format_func=names.__getitem__, key="explored-run", width=280)
    st.query_params["run"] = run
    return str(run)


def _why_no_map(run: str, known: Sequence[RunInfo]) -> str:
    if any(info.id == run and not has_ended(info.status) for info in known):
        return "it is still going on"
    return "it ended before its first step, or its files are damaged"


def _watch(run: str, label: str) -> None:
    st.page_link("pages/train.py", label=label, icon=":material/monitoring:", query_params={"run": run})
