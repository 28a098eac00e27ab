"""What is this, and what happens when I press the button?"""

from __future__ import annotations

import streamlit as st

from ui._compat import inside_app
from ui.begin import STEPS, begin
from ui.engine import chosen_run, plain_errors, runs
from ui.picture import method_svg
from ui.svg import show_svg

inside_app()
st.title("See a network teach itself to listen and look")
st.markdown(
    "CPC Lab trains a small network on sounds and pictures **without telling it what they are**: it learns by guessing "
    "what comes next among wrong answers. You choose where the wrong answers come from, and watch what that does."
)
if "run" not in st.query_params:  # a run that goes on is the better picture, and needs the room
    show_svg(method_svg(), key="picture")

with st.container(horizontal=True, vertical_alignment="bottom", key="begin"):
    go = st.button("Train a 60-second run", type="primary", icon=":material/play_arrow:", key="go")
    steps = st.number_input(
        "Steps", 2, 2000, STEPS, step=20, key="steps", bind="query-params", width=140, help="Fewer steps end sooner."
    )
st.caption("Steady tones of four pitches; about a minute on two processor cores. Nothing leaves this machine.")

run = None
with plain_errors():
    if go:
        st.query_params["run"] = begin(steps)
        st.rerun()
    run = chosen_run()
    if run:
        from ui.run_view import show_run

        st.header("Your run", anchor=False)
        show_run(run)

with plain_errors():
    latest = [one for one in runs() if one.id != run][:3]
    if latest:
        from ui.cards import show_cards

        st.header("Trained before", anchor=False)
        show_cards(latest)

from cpc_engine.presets import PRESETS  # noqa: E402

st.header("What you can learn here", anchor=False)
for start in range(0, len(PRESETS), 3):
    for column, (name, one) in zip(st.columns(3), list(PRESETS.items())[start : start + 3], strict=False):
        with column:
            st.page_link("pages/train.py", label=one.title, icon=":material/tune:", query_params={"preset": name})
            st.caption(one.teaches)
