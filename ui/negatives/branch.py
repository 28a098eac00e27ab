"""A fork of the run with the settings of a what-if, beside a control without them."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import streamlit as st

from ..shell.address import join_ids
from ..shell.errors import plain_errors
from ..shell.session import has_ended, manager, open_run, root

HELP = (
    "Goes on from this run's checkpoint twice, once with what you changed and once without. Both have the same "
    "weights, data order and random numbers, so what differs between them is what the change did."
)


def fork_button(run: str, changes: Mapping[str, Any]) -> None:
    """One click that trains a fork and its control and compares them; nothing where the run keeps no checkpoint."""
    stored = open_run(run)
    if not stored.folder.has_tensors("checkpoint") or not has_ended(stored.info.status):
        return
    if not st.button("Train a fork with this", icon=":material/fork_right:", key=f"fork-{run}", help=HELP):
        return
    from cpc_engine.execution.fork import fork

    with plain_errors():
        forks = fork(stored.folder, changes, root())
        ids = [manager().resume(folder.id) for folder in (forks.child, forks.control)]
        st.switch_page("pages/compare.py", query_params={"runs": join_ids(ids)})
