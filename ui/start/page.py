"""The Start page: one click trains a first run; below it are examples, earlier runs and presets.

Most imports are inside the functions: the button is on the page before the engine is imported.
"""

from __future__ import annotations

import streamlit as st
from streamlit.delta_generator import DeltaGenerator

from ..shell.address import join_ids
from ..shell.compat import inside_app
from ..shell.errors import literal, plain_errors
from ..shell.first_run import STEPS, begin
from ..shell.glossary import define
from ..shell.names import name_of
from ..shell.session import chosen_run, runs


def show() -> None:
    """Draw the page."""
    inside_app()
    with plain_errors():
        if run := chosen_run():  # an address of earlier versions
            st.switch_page("pages/train.py", query_params={"run": run})
    st.title("Start")
    lesson: list[str] = []
    with plain_errors():
        if "runs" in st.query_params:
            from ..components.beside.two_runs import asked_runs
            from .lesson import show_lesson

            lesson = asked_runs()
            if lesson:
                show_lesson(lesson)
    if not lesson:
        st.caption("See a network teach itself to listen and look.")
        st.markdown(
            "CPC Lab trains a small network on sounds and pictures **without telling it what they are**: it learns to "
            "predict what comes next and to tell it from negatives (wrong answers). You choose where the negatives "
            "come from, and watch what that does."
        )
    _begin("Train two runs again" if lesson else "Train two runs")
    st.caption(
        "The same sounds twice: with in-batch negatives, and with a queue of old keys. Half a minute on two processor "
        "cores; nothing leaves this machine."
    )
    st.page_link(
        "pages/break_it.py",
        label="Or break it on purpose: eight recipes",
        icon=":material/bolt:",
    )
    picture = st.container(key="picture-place")  # filled below: reading runs takes a moment
    with plain_errors():
        _runs(lesson, picture)
    _presets()
    if not lesson:
        from ..components.live_chart import load_ahead

        load_ahead()


def _begin(label: str) -> None:
    """The button that starts the first two runs, and their number of steps."""
    with st.container(horizontal=True, vertical_alignment="bottom", key="begin"):
        clicked = st.button(label, type="primary", icon=":material/play_arrow:", key="go")
        # Not bound to the address by Streamlit, which stops the page at "inf".
        given = st.query_params.get("steps", "")
        first = min(max(int(given), 2), 2000) if given.isdecimal() else STEPS
        steps = st.number_input(
            "Steps", 2, 2000, first, step=20, key="steps", width=140, help="Fewer steps end sooner."
        )
        if steps != STEPS or given:
            st.query_params["steps"] = str(steps)
    if clicked:
        with plain_errors():
            st.query_params["runs"] = join_ids(begin(steps))
            st.rerun()


def _runs(shown: list[str], picture: DeltaGenerator) -> None:
    """Examples and the latest other runs as cards.

    Args:
        shown: runs that are on the page already. picture: where one finished run is drawn large, unless there are any.
    """
    from cpc_engine.storage.info import examples

    from ..components import run_cards
    from ..components.svg import show_svg

    known = [info for info in runs() if info.id not in shown]
    shipped = examples(known)
    drawn = next((info for info in (*shipped, *known) if info.status == "finished" and not shown), None)
    drawing = run_cards.picture(drawn.id, drawn.updated, drawn.data.get("classes", [])) if drawn else None
    if drawn and drawing:
        with picture:
            show_svg(drawing, key="picture")
            st.caption(f"From a real run here: {literal(name_of(drawn))}.")
    if shipped:
        st.header("Trained examples", anchor=False)
        run_cards.show_cards(shipped)
    if latest := [info for info in known if not info.is_example][:3]:
        st.header("Trained before", anchor=False)
        run_cards.show_cards(latest)


def _presets() -> None:
    """A link to the Train page for each preset."""
    from cpc_engine.presets import PRESETS

    st.header("Presets", anchor=False, help=define("preset"))
    presets = list(PRESETS.items())
    for start in range(0, len(presets), 3):
        for column, (name, preset) in zip(st.columns(3), presets[start : start + 3], strict=False):
            with column, st.container(border=True, height="stretch"):
                address = {"preset": name}
                st.page_link("pages/train.py", label=preset.title, icon=":material/tune:", query_params=address)
                st.caption(preset.teaches)
