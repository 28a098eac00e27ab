"""Forks of the run with the settings of a what-if, each beside a control without them."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import streamlit as st

from cpc_engine.comparison.arms import MIN_SEEDS

from ..components.run_controls import train_forks
from ..shell.errors import plain_errors
from ..shell.session import has_ended, open_run, root

HELP = (
    "Goes on from this run's checkpoint twice, once with what you changed and once without. Both have the same "
    "weights, data order and random numbers, so what differs between them is what the change did."
)
PAIRS = (
    f"Several pairs begin alike and go on with other data and other noise each. {MIN_SEEDS} pairs give a band and a "
    "verdict; one pair gives numbers only."
)


def fork_button(run: str, changes: Mapping[str, Any]) -> None:
    """One click that trains forks and controls and compares them, or why there is none."""
    stored = open_run(run)
    if not has_ended(stored.info.status):
        st.caption("A fork can begin when this run pauses or ends.")
        return
    if not stored.folder.has_tensors("checkpoint"):
        st.caption("This run came without a checkpoint, so no fork can go on from it; a new run begins with step 1.")
        return
    with st.container(horizontal=True, vertical_alignment="bottom", gap="small"):
        count: int = st.segmented_control(
            "Pairs", [1, MIN_SEEDS], default=1, required=True, key=f"fork-pairs-{run}", help=PAIRS, width="content"
        )
        pressed = st.button("Train a fork with this", icon=":material/fork_right:", key=f"fork-{run}", help=HELP)
    if not pressed:
        return
    from cpc_engine.execution.fork import fork

    with plain_errors(), st.spinner("Branching off …"):
        train_forks([fork(stored.folder, changes, root(), pair=pair) for pair in range(count)])
