"""Where does something of mine land, and does that mean anything?"""

from __future__ import annotations

import streamlit as st

from ui._compat import inside_app
from ui.engine import plain_errors
from ui.explore_run import choose_run

inside_app()
st.title("Where does it land?")
with plain_errors():
    run = choose_run()
    if run:
        from cpc_engine.media import start_sandbox
        from ui.explore_data import opened, stamp
        from ui.place_card import show_card, try_place
        from ui.place_inputs import show_inputs
        from ui.place_items import clear, items, placer
        from ui.place_view import choose_method, compare_table, light_up, show_map

        start_sandbox()
        at = stamp(run)
        left, right = st.columns([2, 3], gap="large")
        with right:
            method, methods = choose_method()
            with st.spinner("Opening the run …"):
                ready, explored = placer(run, at, methods), opened(run, False, at)
        with left, plain_errors():
            show_inputs(ready, explored)
        found = [(item, try_place(item, run, methods)) for item in items()]
        with right:
            show_map(run, at, ready, explored, method)
            light_up(run, ready, found, method)
        if found:
            with st.container(horizontal=True, vertical_alignment="center"):
                st.header(f"{len(found)} placed", anchor="placed")
                st.button("Remove all", icon=":material/delete_sweep:", type="tertiary", key="clear", on_click=clear)
            if len(found) > 1:
                compare_table(found)
            for item, one in reversed(found):
                show_card(item, one, ready, explored)
        else:
            st.info("Record, drop or make something: it lights up on the map.", icon=":material/my_location:")
