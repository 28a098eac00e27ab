"""Runs that come and go: a zip file of someone else's run brought in, one's own as one file."""

from __future__ import annotations

import io
import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import streamlit as st

from ..shell.errors import literal, plain_errors
from ..shell.names import name_of, names_of
from ..shell.session import root

if TYPE_CHECKING:
    from cpc_engine.storage.info import RunInfo


def bring_and_take(known: Sequence[RunInfo]) -> None:
    """An expander with both: what is uploaded is checked and listed, and a run is packed when it is asked for."""
    with st.expander("Bring a run in, take one along", icon=":material/swap_horiz:"):
        left, right = st.columns(2)
        with left, plain_errors():
            _bring()
        with right:
            _take(known)


def _bring() -> None:
    uploaded = st.file_uploader("A run as a zip file", type="zip", key="bring")
    st.caption("Settings, numbers, and weights are read, and every file is checked; a run holds no code.")
    if uploaded is None or not st.button("Bring it in", icon=":material/download:", key="bring-in", type="primary"):
        return
    from cpc_engine.exports.bring import bring_run

    with tempfile.NamedTemporaryFile(suffix=".zip") as file:
        file.write(uploaded.getbuffer())
        file.flush()
        folder, skipped = bring_run(Path(file.name), root(), uploaded.name)
    st.success(f"It is here: {literal(name_of(folder.info()))}", icon=":material/check:")
    st.page_link("pages/train.py", label="Open it", icon=":material/show_chart:", query_params={"run": folder.id})
    for line in skipped[:10]:
        st.caption(f"Left out: {literal(line)}")


def _take(known: Sequence[RunInfo]) -> None:
    names = names_of(known)
    run = st.selectbox("A run of these", list(names), format_func=lambda run: names[run], key="take")
    if run is not None:
        st.download_button(
            "Download it",
            lambda: _packed(run),
            f"{run}.zip",
            "application/zip",
            key="take-along",
            icon=":material/upload:",
            on_click="ignore",
        )


def _packed(run: str) -> bytes:
    from cpc_engine.exports.bundle import pack_run
    from cpc_engine.storage.folder import RunFolder

    stream = io.BytesIO()
    pack_run(RunFolder(root() / run), stream)
    return stream.getvalue()
