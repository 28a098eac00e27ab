"""What does it take for alike?"""

from __future__ import annotations

import streamlit as st

from ui._compat import inside_app
from ui.engine import plain_errors
from ui.explore_run import choose_run

inside_app()
st.title("What does it take for alike?")
with plain_errors():
    run = choose_run()
    if run:
        from ui.explore_choice import show_choice
        from ui.explore_data import opened, stamp
        from ui.explore_evolution import show_evolution
        from ui.explore_view import choose_view, show_map

        at = stamp(run)
        with st.spinner("Opening the run …"):
            explored = opened(run, False, at)
        if explored.data is None:
            st.warning(
                f"The data of this run are not here ({explored.missing}). The map still shows labels and names; "
                "pictures, sounds and other views need the data.",
                icon=":material/folder_off:",
            )
        elif st.toggle("Training items too", key="training", bind="query-params"):
            with st.spinner("Embedding training items …"):
                explored = opened(run, True, at)
        view = choose_view(run, at, explored, explored.training)
        fitted = show_map(view, explored)
        show_choice(view, explored, fitted)
        show_evolution(run)
