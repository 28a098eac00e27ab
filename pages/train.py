"""What shall I train?"""

from __future__ import annotations

import streamlit as st

from cpc_engine.errors import CpcError
from cpc_engine.negatives.plan import remarks
from cpc_engine.presets import PRESETS
from cpc_engine.runs.device import pick_device
from ui._compat import inside_app
from ui.devices import choose_device
from ui.draft import choose, command, configuration, draft, keep
from ui.engine import manager, plain_errors
from ui.knobs import as_text, draw_knob, draw_knobs, knobs_of
from ui.plan_view import show_plan, show_time, shown_sections

GROUPS = {
    "Data": ("data",),
    "Negatives": ("sampler",),
    "Objective": ("loss",),
    "Encoder": ("audio", "image", "context"),
    "Schedule": ("optimiser", "evaluation", "run"),
}
LABELS = ("run.name", "run.note")  # below every group, not in one

inside_app()
st.title("What shall it learn, and from which wrong answers?")
name, changes = draft()


def start_over() -> None:
    choose(st.session_state.preset)


st.session_state.preset = name
with st.container(horizontal=True, vertical_alignment="bottom"):
    st.selectbox(
        "Preset",
        list(PRESETS),
        key="preset",
        format_func=lambda one: PRESETS[one].title,
        on_change=start_over,
        help="A ready-made set of knobs. Choosing one undoes your changes.",
        width=340,
    )
    begin = st.container(horizontal=True, vertical_alignment="bottom")
st.caption(PRESETS[name].teaches)
base = PRESETS[name].config()
try:
    config, problem = configuration(name, changes), ""
except CpcError as error:
    config, problem = base, str(error)

with begin:  # before all that takes longer to draw
    ready = not problem and not any(remark.stops for remark in remarks(config))
    count = st.number_input(
        "Runs", 1, 10, key="count", width=120, help="More than one: with one seed after the other, to tell luck apart."
    )
    words = "Start training" if count == 1 else f"Start {count} runs"
    if st.button(words, type="primary", icon=":material/play_arrow:", disabled=not ready, key="start"):
        with plain_errors():
            pick_device(config.run.device)  # one that is not here is told now, not by a failed run
            seeds = range(config.run.seed, config.run.seed + count)
            ids = [manager().start(config.replace({"run.seed": seed})) for seed in seeds]
            if count > 1:
                st.switch_page("pages/compare.py", query_params={"runs": ",".join(ids)})
            st.switch_page("pages/watch.py", query_params={"run": ids[0]})
    if changes and st.button("Undo all changes", icon=":material/undo:", key="undo-all"):
        choose(name)
        st.rerun()

form, summary = st.columns([3, 2], gap="large")


def edited() -> None:
    keep()
    st.session_state.edited = True


@st.fragment
def knob_form() -> None:
    """The knobs alone: another group of them is painted without drawing the page again; an edit draws it all."""
    if st.session_state.pop("edited", False):
        st.rerun()
    group = st.segmented_control(
        "Knobs", list(GROUPS), default="Negatives", required=True, key="group", persist_state="session"
    )
    for section in shown_sections(config, GROUPS[group]):
        knobs = [knob for knob in knobs_of([section]) if knob.path not in (*LABELS, "run.device")]
        if len(GROUPS[group]) > 1:
            st.subheader(section.capitalize(), anchor=False)
        draw_knobs(knobs, base, changes, "train", edited)
    labels = [knob for knob in knobs_of(["run"]) if knob.path in LABELS]
    for column, knob in zip(st.columns(2), labels, strict=True):
        with column:
            draw_knob(knob, base, changes, "train", edited)


st.session_state.edited = False  # all of it is drawn now
with form, st.container(border=True):
    knob_form()

with summary, st.container(border=True):
    st.subheader("What a step will do", anchor=False)
    if problem:
        st.error(problem[:1].upper() + problem[1:], icon=":material/block:")
    else:
        with plain_errors():
            show_plan(config)
            if ready:
                show_time(config)
    choose_device(base, changes, keep)
    with st.expander("The same from the command line"):
        st.code(command(name, changes), language="bash", wrap_lines=True)
        st.download_button("Settings (JSON)", config.to_json, "config.json", "application/json", on_click="ignore")

if changes and not problem:
    st.subheader("Changed from the preset", anchor=False)
    differing = config.differences(base).items()
    st.dataframe(
        [{"Knob": path, "Preset": as_text(theirs), "Yours": as_text(mine)} for path, (mine, theirs) in differing],
        hide_index=True,
    )
