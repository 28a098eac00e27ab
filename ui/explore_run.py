"""Which run a page looks into: by its address (`?run=…`) or from a list, and what is said where there is none."""

from __future__ import annotations

import streamlit as st

from .begin import nothing_yet
from .engine import ENDED, chosen_run, root, runs


def choose_run() -> str | None:
    """The id of a run that has ended with a map; None where the page has nothing to look into (and has said so)."""
    known = runs()
    if not known:
        nothing_yet()
        return None
    names = {info.id: f"{info.name or info.id} · {info.data.get('name', info.status)}" for info in known}
    ready = [info.id for info in known if (root() / info.id / "map.json").is_file()]
    asked = chosen_run()
    if asked and asked not in ready:
        going_on = any(info.id == asked and info.status not in ENDED for info in known)
        why = "it is still going on" if going_on else "it ended before its first step, or its files are damaged"
        st.info(f"This run has no map: {why}.", icon=":material/hourglass_empty:")
        _watch(asked, "Look at that run")
    if not ready:
        if not asked:
            st.info("No run has a map yet: a run draws it when it ends.", icon=":material/hourglass_empty:")
            _watch(known[0].id, "Look at the newest run")
        return None
    wanted = ready.index(asked) if asked in ready else 0
    run = st.selectbox("Run", ready, wanted, format_func=names.__getitem__, key="explored-run", width=420)
    st.query_params["run"] = run
    return str(run)


def look_into(run: str) -> None:
    """Links to the pages that need a run's map, where it has one."""
    if (root() / run / "map.json").is_file():
        address = {"run": run}
        st.page_link("pages/explore.py", label="Explore", icon=":material/scatter_plot:", query_params=address)
        st.page_link("pages/place.py", label="Place", icon=":material/my_location:", query_params=address)


def _watch(run: str, label: str) -> None:
    st.page_link("pages/watch.py", label=label, icon=":material/monitoring:", query_params={"run": run})
