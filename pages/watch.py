"""How is this run going?"""

from __future__ import annotations

import streamlit as st

from ui._compat import inside_app
from ui.begin import nothing_yet
from ui.engine import chosen_run, runs

inside_app()
run = chosen_run()
if run:
    from ui.run_page import show_page

    show_page(run)
else:
    st.title("How is it going?")
    known = runs()
    if known:
        from ui.cards import show_cards

        st.write("Choose a run to look at.")
        show_cards(known[:6])
        st.page_link("pages/runs.py", label="All runs", icon=":material/folder_open:")
    else:
        nothing_yet()
