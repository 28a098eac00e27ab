"""An address of earlier versions: `/watch?run=…` leads to the Train page, on which runs are watched now."""

from __future__ import annotations

import streamlit as st

st.switch_page("pages/train.py", query_params={name: st.query_params.get_all(name) for name in st.query_params})
