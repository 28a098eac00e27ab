"""Charts that grow, on a page much longer than a screen, for `test_live_chart.py`."""

from __future__ import annotations

import streamlit as st

from ui.components.live_chart import live_chart
from ui.drawing.charts import Series, line_figure
from ui.drawing.palette import SOURCE_STYLES


@st.fragment(run_every=0.5)
def growing(key: str) -> None:
    count = st.session_state[f"{key}-count"] = st.session_state.get(f"{key}-count", 10) + 1
    series = [
        Series(
            "loss", list(range(count)), [1 / (1 + step) for step in range(count)], next(iter(SOURCE_STYLES.values()))
        )
    ]
    live_chart(line_figure(series, "step", key), key=key, height=300, alt=f"The {key} chart.")


st.text("ready")
if st.toggle("Space", value=True, key="space"):
    st.container(height=700, key="space-above")
growing("soon")  # a little below a window 800 pixels high
with st.container(height=350):
    st.container(height=1500)
    growing("inner")  # scrolled away within a box of its own
st.container(height=2000)
growing("far")
