"""Charts whose series grow by one point per refresh, one of them hidden in a second tab, for `test_live_chart.py`."""

from __future__ import annotations

import math

import streamlit as st

from ui.components.live_chart import live_chart
from ui.drawing.charts import Series, line_figure
from ui.drawing.palette import SOURCE_STYLES


def value(step: int, phase: int) -> float:
    """A noisy decay with gaps."""
    return math.nan if step % 7 == 3 else 1 + 2 * math.exp(-step / 20) + 0.2 * math.cos(step * (phase + 1))


@st.fragment(run_every=0.5)
def growing() -> None:
    count = st.session_state.count = st.session_state.get("count", 60) + 1
    steps = list(range(count))
    series = [
        Series(name, steps, [value(step, phase) for step in steps], style)
        for phase, (name, style) in enumerate(SOURCE_STYLES.items())
    ]
    first, second = st.tabs(["First", "Second"])
    with first:
        figure = line_figure(series, "step", "loss", "Loss by source", smoothed=True)
        live_chart(figure, key="loss", height=380, alt="The loss falls to one.")
    with second:
        live_chart(line_figure(series[:1], "step", "loss"), key="single", alt="The loss of one source.")
    st.text(f"points {count}")


st.set_page_config(layout="wide")
st.title("Live chart")
st.sidebar.header("Sidebar")
st.sidebar.slider("Temperature", 0.0, 1.0, 0.2)
st.button("Start a run", type="primary")
if st.toggle("Show", value=True, key="show"):
    growing()
