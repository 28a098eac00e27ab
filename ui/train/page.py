"""The Train page: a preset, changes to its settings, and what a run with them will do."""

from __future__ import annotations

import streamlit as st
from streamlit.delta_generator import DeltaGenerator

from cpc_engine.comparison.commands import assignments, train_command
from cpc_engine.config import RunConfig
from cpc_engine.errors import CpcError
from cpc_engine.execution.device import pick_device
from cpc_engine.presets import PRESETS
from cpc_engine.training.plan import diagnostics

from ..components.settings_form import Changes, as_text
from ..shell.address import join_ids
from ..shell.compat import inside_app
from ..shell.errors import plain_errors, sentence
from ..shell.glossary import define
from ..shell.session import manager
from .devices import choose_device
from .draft import choose, configuration, draft, keep
from .form import show_form
from .plan_view import show_plan, show_time


def show() -> None:
    """Draw the page."""
    inside_app()
    st.title("Train")
    st.caption("What shall the network learn, and from which negatives (wrong answers)?")
    name, changes = draft()
    top = _choose_preset(name)
    base = PRESETS[name].config()
    try:
        config, problem = configuration(name, changes), ""
    except CpcError as error:
        config, problem = base, str(error)
    ready = not problem and not any(diagnostic.stops for diagnostic in diagnostics(config))
    with top:  # before all that takes longer to draw
        _start(config, ready)
        if changes and st.button("Undo all changes", icon=":material/undo:", key="undo-all"):
            choose(name)
            st.rerun()
    form, summary = st.columns([3, 2], gap="large")
    with form, st.container(border=True):
        show_form(config, base, changes)
    with summary, st.container(border=True):
        st.subheader("Batch preview", anchor=False, help=define("batch_preview"))
        if problem:
            st.error(sentence(problem), icon=":material/block:")
        else:
            with plain_errors():
                show_plan(config)
                if ready:
                    show_time(config)
        choose_device(base, changes, keep)
        _export(name, changes, config)
    if changes and not problem:
        _changed(config, base)


def _choose_preset(name: str) -> DeltaGenerator:
    """The list of presets; gives the container beside it, for the buttons."""
    st.session_state.preset = name
    with st.container(horizontal=True, vertical_alignment="bottom"):
        st.selectbox(
            "Preset",
            list(PRESETS),
            key="preset",
            format_func=lambda key: PRESETS[key].title,
            on_change=lambda: choose(st.session_state.preset),
            help="A ready-made set of settings. Choosing one undoes your changes.",
            width=340,
        )
        beside = st.container(horizontal=True, vertical_alignment="bottom")
    st.caption(PRESETS[name].teaches)
    return beside


def _start(config: RunConfig, ready: bool) -> None:
    """How many runs, and the button that starts them."""
    help = "More than one: each with another seed, to tell the settings' effect from luck."
    count = st.number_input("Runs", 1, 10, key="count", width=120, help=help)
    label = "Start training" if count == 1 else f"Start {count} runs"
    if not st.button(label, type="primary", icon=":material/play_arrow:", disabled=not ready, key="start"):
        return
    with plain_errors():
        pick_device(config.run.device)  # a missing device is an error here, not a failed run later
        seeds = range(config.run.seed, config.run.seed + count)
        ids = [manager().start(config.replace({"run.seed": seed})) for seed in seeds]
        if count > 1:
            st.switch_page("pages/compare.py", query_params={"runs": join_ids(ids)})
        st.switch_page("pages/watch.py", query_params={"run": ids[0]})


def _export(name: str, changes: Changes, config: RunConfig) -> None:
    with st.expander("The same from the command line"):
        st.code(train_command(name, assignments(changes)), language="bash", wrap_lines=True)
        st.download_button("Settings (JSON)", config.to_json, "config.json", "application/json", on_click="ignore")


def _changed(config: RunConfig, base: RunConfig) -> None:
    """A table of what differs from the preset."""
    st.subheader("Changed from the preset", anchor=False)
    differing = config.differences(base).items()
    st.dataframe(
        [{"Setting": path, "Preset": as_text(theirs), "Yours": as_text(mine)} for path, (mine, theirs) in differing],
        hide_index=True,
    )
