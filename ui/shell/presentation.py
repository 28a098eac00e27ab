"""Presentation mode: large letters and nothing around the page, for a projector."""

from __future__ import annotations

import streamlit as st

KEY = "presenting"
# Sizes follow the letters of the page (rem), those of charts too; what only prepares or exports is not shown.
CSS = """
html { font-size: 20px !important; }
[data-testid="stHeader"], [data-testid="stBottom"], .modebar-container,
.st-key-leave, [class*="st-key-table-"],
[class*="st-key-figure-"], .st-key-numbers, .st-key-run-links { display: none !important; }
.block-container { padding-top: 0.75rem !important; max-width: none !important; }
.st-key-begin label p { white-space: nowrap; }
.st-key-panel { zoom: 0.8; } /* what is turned, beside what is looked at */
.st-key-curves .cpc-live-chart { height: calc(100vh - 9rem) !important; }
.st-key-map-place .cpc-scatter { height: calc(100vh - 17rem) !important; }
.st-key-explored-map .cpc-scatter { height: calc(100vh - 15rem) !important; }
.st-key-present { top: 0.1rem !important; right: 0.5rem !important; opacity: 0.75; }
"""
PLACE = """
.st-key-present { position: fixed; top: 0.6rem; right: 3.25rem; z-index: 1000000; width: auto !important; }
[data-testid="stStatusWidget"] { margin-right: 9.25rem; } /* Streamlit's "Stop" stands left of it */
@media (max-width: 63rem) {
  .st-key-present { display: none; }
  [data-testid="stStatusWidget"] { margin-right: 0; }
}
"""


def presentation() -> None:
    """The button that begins and ends it, and its style sheet while it is on."""

    def turn() -> None:
        st.session_state[KEY] = not st.session_state.get(KEY)

    on = st.session_state.get(KEY)
    st.html(f"<style>{PLACE}{CSS if on else ''}</style>")
    st.button(
        "Leave" if on else "Present",
        icon=":material/close_fullscreen:" if on else ":material/present_to_all:",
        key="present",
        type="tertiary",
        shortcut="Alt+P",
        on_click=turn,
        help="Large letters and nothing around the page, for a projector",
    )
    if on:  # not seen: a button has one shortcut
        st.button("Leave by Escape", key="leave", shortcut="Escape", on_click=turn)
