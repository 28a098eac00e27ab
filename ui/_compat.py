"""The only place that touches what Streamlit does not document."""

from __future__ import annotations

import streamlit as st
from streamlit.runtime.pages_manager import PagesManager


def inside_app() -> None:
    """Run app.py around a page that was asked for before anything else.

    A fresh server whose first address is `/train` runs pages/train.py alone, as the old kind of multi-page app, and
    would go on so until somebody opens `/`. Every page calls this first.
    """
    if PagesManager.uses_pages_directory:
        PagesManager.uses_pages_directory = False
        st.rerun()
