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
        st.write("Choose a run to look at.")
        for one in known[:8]:
            st.page_link(
                "pages/watch.py",
                label=f"{one.name or one.id} · {one.status}",
                icon=":material/monitoring:",
                query_params={"run": one.id},
            )
    else:
        nothing_yet()
