"""A made-up map of 50 000 points in ten groups, with its card and its lasso, for tests/test_explore_browser.py."""

from __future__ import annotations

import numpy as np
import streamlit as st

from ui.scatter import Card, cards, choice, lassoed, scatter
from ui.scatter_figure import groups_figure

COUNT = 50_000


@st.cache_resource
def figure() -> dict:
    rng = np.random.default_rng(0)
    codes = rng.integers(0, 10, COUNT)
    middles = rng.normal(size=(10, 2)) * 5
    return groups_figure(middles[codes] + rng.normal(size=(COUNT, 2)), codes, [f"group {i}" for i in range(10)])


@st.fragment
def chosen() -> None:
    ids = lassoed("many")
    choice("many", ids, lambda: None, lambda: None)
    st.text(f"{len(ids)} chosen")


scatter(figure(), key="many", height=560, alt="50 000 points")
st.fragment(cards)("many", lambda index: Card(f"point {index}"))
chosen()
