"""A made-up map whose points move, as those of a run that trains, and a fixed one of the same group, for
`test_scatter_browser.py`."""

from __future__ import annotations

import numpy as np
import streamlit as st

from ui.components.scatter import choice, lassoed, scatter
from ui.drawing.map_figure import groups_figure

COUNT = 60
START = np.random.default_rng(0).normal(size=(COUNT, 2))
NAMES = [f"item {i}" for i in range(COUNT)]


def figure(step: int) -> dict:
    return groups_figure(
        START * (1 + step / 100), np.arange(COUNT) % 3, ["a", "b", "c"], title=f"Step {step}", names=NAMES, gl=False
    )


@st.fragment(run_every=0.5)
def moving() -> None:
    step = st.session_state.step = st.session_state.get("step", 0) + 1
    scatter(figure(step), key="moving", height=400, alt="Moving points", lasso=False, group="both")
    st.text(f"step {step}")


@st.fragment
def chosen() -> None:
    ids = lassoed("both")
    choice("both", ids, lambda: None)
    st.text(f"{len(ids)} chosen")


scatter(figure(0), key="still", height=400, alt="Still points", group="both")
chosen()
moving()
