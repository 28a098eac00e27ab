"""What is this, and what happens when I press the button?"""

from __future__ import annotations

import streamlit as st

from ui._compat import inside_app
from ui.begin import STEPS, begin
from ui.engine import chosen_run, literal, plain_errors, runs

inside_app()
st.title("See a network teach itself to listen and look")
st.markdown(
    "CPC Lab trains a small network on sounds and pictures **without telling it what they are**: it learns by guessing "
    "what comes next among wrong answers. You choose where the wrong answers come from, and watch what that does."
)
with st.container(horizontal=True, vertical_alignment="bottom", key="begin"):
    go = st.button("Train a 60-second run", type="primary", icon=":material/play_arrow:", key="go")
    steps = st.number_input(
        "Steps", 2, 2000, STEPS, step=20, key="steps", bind="query-params", width=140, help="Fewer steps end sooner."
    )
st.caption("Steady tones of four pitches; about a minute on two processor cores. Nothing leaves this machine.")
picture = st.container(key="picture-place")  # filled below: reading runs takes a moment

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
    from cpc_engine.runs.folder import examples
    from ui.cards import picture as drawn
    from ui.cards import show_cards
    from ui.svg import show_svg

    known = [one for one in runs() if one.id != run]
    shipped = examples(known)
    model = next((one for one in (*shipped, *known) if one.status == "finished" and not run), None)
    drawing = drawn(model.id, model.updated, model.data.get("classes", [])) if model else None
    if model and drawing:
        with picture:
            show_svg(drawing, key="picture")
            st.caption(f"From a real run here: {literal(model.name or model.id)}.")
    if shipped:
        st.header("Trained examples", anchor=False)
        show_cards(shipped)
    if latest := [one for one in known if not one.teaches][:3]:
        st.header("Trained before", anchor=False)
        show_cards(latest)

from cpc_engine.presets import PRESETS  # noqa: E402

st.header("What you can learn here", anchor=False)
for start in range(0, len(PRESETS), 3):
    for column, (name, one) in zip(st.columns(3), list(PRESETS.items())[start : start + 3], strict=False):
        with column, st.container(border=True, height="stretch"):
            st.page_link("pages/train.py", label=one.title, icon=":material/tune:", query_params={"preset": name})
            st.caption(one.teaches)
