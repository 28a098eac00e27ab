"""The Explore page: a run's items on a map, one by one, in groups, and over training."""

from __future__ import annotations

import streamlit as st

from ..shell.address import put
from ..shell.compat import inside_app
from ..shell.errors import plain_errors, sentence
from ..shell.run_picker import choose_run

# All that chooses the map stands in one line, buttons as high as lists, so that labels are at one height.
WIDE = """.block-container { max-width: 96rem; }
.st-key-tools [data-testid="stButtonGroup"] button { min-height: 2.5rem; }
@media (max-width: 40rem) { /* two beside each other, so that the map is near */
  .st-key-tools { gap: 0.5rem; }
  .st-key-tools > * { width: auto !important; min-width: 8rem; flex: 1 1 40% !important; }
  .st-key-tools > :has([data-testid="stButtonGroup"]) { flex: none !important; }
}"""
# The map stays in sight beside what is chosen on it, however long that is.
STAYS = "@media (min-width: 64rem) { .st-key-explored-map { position: sticky; top: 4rem; } }"


def show() -> None:
    """Draw the page."""
    inside_app()
    st.html(f"<style>{WIDE}</style>")
    st.title("Explore embeddings")
    st.caption("What does the model find similar?")
    with plain_errors():
        tools = st.container(horizontal=True, vertical_alignment="bottom", key="tools")
        with tools:
            run = choose_run(_forget)
        if run:
            _explore(run, tools)


def _forget() -> None:
    """Choose none of the items that had the numbers of another run's."""
    from .lasso import NAME

    put(NAME, None)
    st.session_state["item"], st.session_state["classes"] = None, []


def _explore(run: str, tools: st.delta_generator.DeltaGenerator) -> None:
    from ..components.items import ask_for_data, opened, stamp
    from .choice import show_choice
    from .snapshots import show_snapshots
    from .view import choose_view, show_view

    state = stamp(run)
    with st.spinner("Opening the run …"):
        exploration = opened(run, False, state)
    if exploration.data is None:
        needed = "The map still shows labels and names; pictures, sounds and other views need the data."
        ask_for_data(run, f"{sentence(exploration.missing)}. {needed}")
    elif tools.toggle("Training items too", key="training", bind="query-params"):
        with st.spinner("Embedding training items …"):
            exploration = opened(run, True, state)
    with tools:
        view = choose_view(run, state, exploration)
    st.html(f"<style>{STAYS}</style>")
    left, right = st.columns([55, 45], gap="medium")
    with left, st.container(key="explored-map"):
        fitted = show_view(view, exploration)
    with right:
        show_choice(view, exploration, fitted)
    show_snapshots(run)
