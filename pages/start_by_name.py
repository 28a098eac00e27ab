"""The address `/start`, which one may type or have kept: it leads to the Start page, at `/`."""

from __future__ import annotations

import streamlit as st

st.switch_page("pages/start.py", query_params={name: st.query_params.get_all(name) for name in st.query_params})
