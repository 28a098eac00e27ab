"""A made-up map of ?points= points in ten groups, with its card and its lasso, for browser tests of maps."""

from __future__ import annotations

import numpy as np
import streamlit as st

from ui.components.scatter import Card, cards, choice, clicked, lassoed, scatter
from ui.drawing.map_figure import groups_figure

COUNT = int(st.query_params.get("points", 50_000))


@st.cache_resource
def figure(count: int) -> dict:
    rng = np.random.default_rng(0)
    codes = rng.integers(0, 10, count)
    middles = rng.normal(size=(10, 2)) * 5
    return groups_figure(middles[codes] + rng.normal(size=(count, 2)), codes, [f"group {i}" for i in range(10)])


@st.fragment
def chosen() -> None:
    ids = lassoed("many")
    choice("many", ids, lambda: None, lambda: None)
    st.text(f"{len(ids)} chosen")
    st.text(f"clicked {clicked('many')}")


if st.toggle("Show", value=True, key="show"):
    scatter(figure(COUNT), key="many", height=560, alt=f"{COUNT} points")
    st.fragment(cards)("many", lambda index: Card(f"point {index}"))
    chosen()
