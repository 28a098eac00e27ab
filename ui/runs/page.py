"""The Runs page: all runs as a table or as cards, a search, and the trash."""

from __future__ import annotations

from typing import TYPE_CHECKING, TypeVar

import streamlit as st

from cpc_engine.storage.listing import scan_runs
from cpc_engine.storage.trash import empty, restore, trashed

from ..components.run_cards import show_cards
from ..shell.compat import inside_app
from ..shell.errors import plain_errors
from ..shell.first_run import nothing_yet
from ..shell.names import name_of
from ..shell.session import root
from .bring import bring_and_take
from .groups import NO_GROUPS, choices, grouped
from .table import show_groups, show_table

if TYPE_CHECKING:
    from cpc_engine.storage.info import RunInfo

Row = TypeVar("Row")
AT_ONCE = {"Table": 50, "Cards": 12}  # runs on the page
MOST_LISTED = 20  # deleted runs, or broken folders


def show() -> None:
    """Draw the page."""
    inside_app()
    st.title("Runs")
    known, broken = scan_runs(root())
    _trash()
    if broken:
        _broken(broken)
    bring_and_take(known)
    if not known:
        nothing_yet()
        return
    with st.container(horizontal=True, vertical_alignment="bottom"):
        query = st.text_input(
            "Find", placeholder="name, note, data or status", key="find", bind="query-params", width=340
        )
        words = query.lower().split()
        matching = [info for info in known if all(word in _searched_text(info) for word in words)]
        look = st.segmented_control(
            "As", list(AT_ONCE), default="Table", required=True, key="look", bind="query-params"
        )
        by = _group_by(matching) if look == "Table" else NO_GROUPS
    if not matching:
        st.info("No run fits.", icon=":material/search_off:")
        st.button("Show all runs", icon=":material/restart_alt:", key="all", on_click=_clear_search)
    elif by != NO_GROUPS:
        show_groups(_part(grouped(matching, by), look), by)
    elif look == "Table":
        show_table(_part(matching, look))
    else:
        show_cards(_part(matching, look))


def _group_by(runs: list[RunInfo]) -> str:
    """What the reader groups runs by."""
    known = choices(runs)
    return st.selectbox(
        "Group by",
        list(known),
        format_func=known.__getitem__,
        key="group",
        bind="query-params",
        width=260,
        help="One row for all runs that have a setting in common, with the means of their numbers. Offered are "
        "settings in which the newest runs differ.",
    )


def _part(rows: list[Row], look: str) -> list[Row]:
    """The rows that are on the page, which is chosen where there are several."""
    at_once = AT_ONCE[look]
    pages = -(-len(rows) // at_once)
    page = st.pagination(pages, key=f"page-{look}-{pages}") if pages > 1 else 1
    return rows[(page - 1) * at_once : page * at_once]


def _searched_text(info: RunInfo) -> str:
    return " ".join([info.id, name_of(info), info.status, info.note, str(info.data.get("name", ""))]).lower()


def _clear_search() -> None:
    st.session_state.find = ""


def _broken(lines: list[str]) -> None:
    """Folders that look like runs but cannot be read, each with the reason."""
    with st.expander(f"Folders that cannot be read ({len(lines)})", icon=":material/broken_image:"):
        st.caption("The other runs are not affected. Repair such a folder, or remove it from the folder of runs.")
        for line in lines[:MOST_LISTED]:
            st.text(line)


def _trash() -> None:
    """Deleted runs, the latest first, each with a button that restores it; open after a run was just deleted."""
    deleted = trashed(root())
    if not deleted:
        return
    opened = st.session_state.pop("discarded", None) is not None
    with st.expander(f"Deleted runs ({len(deleted)})", icon=":material/delete:", expanded=opened):
        for run in deleted[:MOST_LISTED]:
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
