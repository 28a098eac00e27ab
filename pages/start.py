"""What is this, and what happens when I press the button?"""

from __future__ import annotations

import streamlit as st

from ui._compat import inside_app
from ui.picture import method_svg
from ui.svg import show_svg

inside_app()
st.title("See a network teach itself to listen and look")
st.markdown(
    "CPC Lab trains a small network on sounds and pictures **without telling it what they are**: it learns by guessing "
    "what comes next among wrong answers. You choose where the wrong answers come from, and watch what that does."
)
show_svg(method_svg(), key="picture")

with st.container(horizontal=True, vertical_alignment="bottom", key="begin"):
    go = st.button("Train a 60-second run", type="primary", icon=":material/play_arrow:", key="go")
    steps = st.number_input(
        "Steps", 2, 2000, 120, step=20, key="steps", bind="query-params", width=140, help="Fewer steps end sooner."
    )
st.caption("Steady tones of four pitches; about a minute on two processor cores. Nothing leaves this machine.")

from ui.engine import chosen_run, manager, plain_errors  # noqa: E402

with plain_errors():
    if go:
        from cpc_engine import preset

        config = preset("tones").config()
        changes = {"optimiser.steps": steps, "run.name": "First tones", "evaluation.every": 25}
        st.query_params["run"] = manager().start(config.replace(changes))
        st.rerun()
    run = chosen_run()
    if run:
        from ui.run_view import show_run

        st.header("Your run", anchor=False)
        show_run(run)
