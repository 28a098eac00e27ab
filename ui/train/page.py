"""The Train page: on the left what a run learns from, on the right what it does, all of it in sight at once."""

from __future__ import annotations

from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING

import streamlit as st

from cpc_engine.datasets import DATASETS
from cpc_engine.errors import CpcError
from cpc_engine.presets import PRESETS
from cpc_engine.training.plan import plan

from ..components.live_chart import load_ahead
from ..drawing.palette import SOURCE_STYLES
from ..shell.compat import inside_app
from ..shell.errors import plain_errors, sentence
from ..shell.session import chosen_run, open_run
from .draft import configuration, draft
from .form import asked_setting, show_form
from .head import is_ready, show_begin, show_export, show_run_head
from .live import show_live
from .own_data import Look, look, show_data
from .preview import show_preview
from .sampler import Sampler
from .steer import reach_of, sender

if TYPE_CHECKING:
    from cpc_engine import Run


def show() -> None:
    """Draw the page."""
    inside_app()
    st.html(f"<style>{_styles()}</style>")
    chosen = chosen_run()
    run = open_run(chosen) if chosen else None
    # On a phone the column that matters comes first: the run that is watched, or the settings of the next one.
    with st.container(key="watching" if run else "preparing", gap=None):
        left, right = st.columns([24, 76], gap="small")
    with left, st.container(key="panel", gap="small"):
        _panel(run, right)
    if run:
        with right:
            show_live(run.id)
    else:
        load_ahead()


def _panel(run: Run | None, right: st.delta_generator.DeltaGenerator) -> None:
    """The left column; without a run it fills the right one with a preview."""
    reach = reach_of(run)
    if run:
        show_run_head(run, reach)
    else:
        st.title("Train", anchor=False)
    name, changes = draft(run, steered=reach != "next")
    base = PRESETS[name].config()
    try:
        config, problem = configuration(name, changes), ""
    except CpcError as error:
        config, problem = base, str(error)
    found = Look(config, sized=DATASETS[config.data.dataset].origin != "folder")
    if not run:
        with right, plain_errors(), st.spinner("Looking at the data …"):
            found = look(config)
    elif config.data == run.config.data:
        found = Look(config, run.info.data.get("items", {}).get("train"))
    ready = not problem and is_ready(found)
    if reach == "next":
        show_begin(name, changes, config, ready, run)
    if problem:
        st.error(sentence(problem), icon=":material/block:")
    changed = sender(run, reach)
    with st.container(key="sources", gap="xsmall"):
        plans = plan(found.config, items=found.items) if found.sized else []
        Sampler(config, base, changes, reach, changed, plans).show()
    # Drawn once it is opened: drawn while it is closed, it would make every edit slower.
    every = st.expander("All settings", expanded=asked_setting() != "", key="every-setting", on_change="rerun")
    if every.open:
        with every:
            show_form(config, base, changes, reach, changed)
    show_export(name, changes, config)
    if not run:
        with right:
            show_data(found, base, changes, changed)
            show_preview(found, ready)


@cache
def _styles() -> str:
    """The page's style sheet; each card has the color that its source has on the charts.

    The mark of a switch is drawn here too: a screen reader would spell out the Markdown of a label.
    """
    cards = (
        f".st-key-source-{name} {{ border-left-color: {style.color}; }}\n"
        f'.st-key-switch-{name} p::before {{ content: "■ " / ""; color: {style.color}; }}'
        for name, style in SOURCE_STYLES.items()
    )
    return "\n".join([Path(__file__).with_name("style.css").read_text(encoding="utf-8"), *cards])
