"""What have I trained?"""

from __future__ import annotations

from typing import TYPE_CHECKING

import streamlit as st

from cpc_engine.runs.folder import scan_runs
from ui._compat import inside_app
from ui.begin import nothing_yet
from ui.cards import show_cards
from ui.engine import plain_errors, root

if TYPE_CHECKING:
    from cpc_engine.runs.folder import RunInfo

AT_ONCE = 12


def described(info: RunInfo) -> str:
    """What a search looks through."""
    return " ".join([info.id, info.name, info.status, info.note, str(info.data.get("name", ""))]).lower()


def trash() -> None:
    """Undo for what was just deleted, and what else was deleted before."""
    from cpc_engine.runs.trash import empty, restore, trashed

    deleted = trashed(root())
    if not deleted:
        return
    with st.expander(
        f"Deleted runs ({len(deleted)})", icon=":material/delete:", expanded="discarded" in st.session_state
    ):
        st.session_state.pop("discarded", None)
        for run in deleted[:20]:
            with st.container(horizontal=True, vertical_alignment="center"):
                st.text(run, width="content")
                if st.button("Undo", icon=":material/undo:", key=f"restore-{run}"):
                    with plain_errors():
                        restore(run, root())
                        st.rerun()
        if st.button("Remove all for good", icon=":material/delete_forever:", key="empty"):
            with plain_errors():
                empty(root())
                st.rerun()


def everything() -> None:
    st.session_state.find = ""


inside_app()
st.title("What have I trained?")
known, broken = scan_runs(root())

trash()
if broken:
    with st.expander(f"Folders that cannot be read ({len(broken)})", icon=":material/broken_image:"):
        st.caption("The other runs are not touched by it. Mend such a folder or remove it from the folder of runs.")
        for line in broken[:20]:
            st.text(line)
if known:
    with st.container(horizontal=True, vertical_alignment="bottom"):
        wanted = st.text_input(
            "Find", placeholder="name, note, data or status", key="find", bind="query-params", width=340
        )
        words = wanted.lower().split()
        shown = [one for one in known if all(word in described(one) for word in words)]
        if 1 < len(shown) <= AT_ONCE:
            st.page_link(
                "pages/compare.py",
                label=f"Compare these {len(shown)}",
                icon=":material/balance:",
                query_params={"runs": ",".join(one.id for one in shown)},
            )
    pages = -(-len(shown) // AT_ONCE)
    at = st.pagination(pages, key="page") if pages > 1 else 1
    show_cards(shown[(at - 1) * AT_ONCE : at * AT_ONCE])
    if not shown:
        st.info("No run fits.", icon=":material/search_off:")
        st.button("Show all runs", icon=":material/restart_alt:", key="all", on_click=everything)
else:
    nothing_yet()
