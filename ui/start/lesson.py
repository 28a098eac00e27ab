"""Two runs side by side that differ in one thing, what to watch on them, and one click that mends the worse one."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import streamlit as st

from ..components.beside import two_runs
from ..shell.address import join_ids
from ..shell.errors import plain_errors
from ..shell.first_run import MOMENTUM, mend
from ..shell.session import open_run

if TYPE_CHECKING:
    from cpc_engine.execution.progress import RunProgress

WATCH = (
    "**1. Spread.** How evenly the latents use all directions. Left it stays high; right it falls below the alarm: all "
    "latents come to one place, which is called collapse.",
    "**2. Share of negative gradient.** The queue soon has nearly all of it, and its keys come from an encoder that "
    "has changed since.",
    "**3. Map** (one scale for both). Each dot is a sound that was not trained on. Left they spread out; right they "
    "come together, so that nothing can be told apart.",
)
SHOWN = ("spread", "share", "loss")  # in the order in which they are talked about
CSS = f"""{two_runs.CSS}
.st-key-watch p {{ font-size: 0.95rem; line-height: 1.4; }}
.st-key-mend {{ min-height: 2.75rem; }}
"""


def show_lesson(runs: list[str]) -> None:
    """Draw the runs; this part refreshes itself while one of them is active."""
    st.html(f"<style>{CSS}</style>")
    with st.container(key="watch"):
        for column, words in zip(st.columns(len(WATCH)), WATCH, strict=True):
            with column:
                st.markdown(words)
    two_runs.show_two(runs, SHOWN, _mend)


def _mend(runs: Sequence[RunProgress], active: bool) -> None:
    """The click that repeats the second run with a momentum encoder; afterwards what leads on. A line of its own."""
    config = open_run(runs[-1].id).config
    with st.container(horizontal=True, vertical_alignment="center", key="mend"):
        if any(config.flat()[path] != value for path, value in MOMENTUM.items()):
            help = "Keys then come from a slow average of the encoder, so that old and new ones fit together."
            label = "Mend it: momentum encoder (MoCo m 0.98)"
            others = [run.id for run in runs[:-1]]
            # As a callback the click counts even where the page starts again before it comes to this line.
            if st.button(
                label,
                icon=":material/build:",
                type="primary",
                key="mend-it",
                help=help,
                on_click=_repeat,
                args=(others, runs[-1].steps),
            ):
                st.rerun(scope="app")
            st.caption("Trains the right one again, with one setting changed.", width="stretch")
        else:
            st.markdown("**Mended:** with a momentum encoder the spread stays up, and the queue does no harm.")
        if not active:
            compared = {"runs": join_ids(run.id for run in runs)}
            st.page_link("pages/compare.py", label="Compare", icon=":material/balance:", query_params=compared)


def _repeat(others: list[str], steps: int) -> None:
    with plain_errors():
        st.query_params["runs"] = join_ids([*others, mend(steps)])
