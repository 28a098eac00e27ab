"""The Place page: sounds and pictures of one's own on a run's map, each with a card."""

from __future__ import annotations

import streamlit as st

from ..shell.compat import inside_app
from ..shell.errors import plain_errors
from ..shell.run_picker import choose_run


def show() -> None:
    """Draw the page."""
    inside_app()
    st.title("Place your own")
    st.caption("Where does something of yours land, and does that mean anything?")
    with plain_errors():
        run = choose_run()
        if run:
            _place(run)


def _place(run: str) -> None:
    from cpc_engine.media import start_sandbox

    from ..components.run_map import choose_method
    from .card import show_card
    from .inputs import show_inputs
    from .items import clear, items, open_place, try_place
    from .view import compare_table, light_up, say_verdicts, show_base_map

    start_sandbox()  # it gets ready while the run is loaded
    left, right = st.columns([2, 3], gap="large")
    with right:
        method = choose_method("method")
        with st.spinner("Opening the run …"):
            place = open_place(run, method)
    with left, plain_errors():
        show_inputs(place)
    results = [try_place(item, place) for item in items()]
    with left:
        say_verdicts(results)
    with right:
        show_base_map(place)
        light_up(place, results)
    if not results:
        st.info("Record, drop or make something: it lights up on the map.", icon=":material/my_location:")
        return
    with st.container(horizontal=True, vertical_alignment="center"):
        st.header(f"{len(results)} placed", anchor="placed")
        st.button("Remove all", icon=":material/delete_sweep:", type="tertiary", key="clear", on_click=clear)
    if len(results) > 1:
        compare_table(results)
    for result in reversed(results):
        show_card(result, place)
