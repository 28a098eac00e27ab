"""The only place that relies on undocumented parts of Streamlit."""

from __future__ import annotations

import streamlit as st
from streamlit.runtime.pages_manager import PagesManager


def inside_app() -> None:
    """Rerun through app.py where Streamlit has run a page's script alone; every page calls this first.

    On a fresh server whose first requested address is `/train`, Streamlit runs pages/train.py by itself, without
    app.py's menu and frame, and keeps doing so until somebody opens `/`.
    """
    if PagesManager.uses_pages_directory:
        PagesManager.uses_pages_directory = False
        st.rerun()
