"""The top of the left column: which run this is or will be, and what begins it."""

from __future__ import annotations

from typing import TYPE_CHECKING

import streamlit as st

from cpc_engine.comparison.commands import assignments, train_command
from cpc_engine.config import RunConfig, in_words, label_of
from cpc_engine.csv_text import records_csv
from cpc_engine.datasets import DATASETS
from cpc_engine.errors import DataError
from cpc_engine.execution.device import pick_device
from cpc_engine.presets import PRESETS
from cpc_engine.training.plan import diagnostics

from ..components.settings_form import Changes, as_text, value_of
from ..shell.address import join_ids
from ..shell.errors import literal, plain_errors
from ..shell.links import train_like
from ..shell.names import name_of
from ..shell.session import has_ended, has_map, manager, run_now
from .draft import choose, keep, set_draft
from .own_data import Look, look
from .steer import Reach

if TYPE_CHECKING:
    from cpc_engine import Run


def show_run_head(run: Run, reach: Reach) -> None:
    """Name, links, and what can be done with the run that is shown."""
    info, config = run.info, run.config
    st.title(f"Training: {literal(name_of(info))}", anchor=False)
    with st.container(horizontal=True, vertical_alignment="center", gap="xsmall", key="run-links"):
        if has_map(run.id):
            st.page_link(
                "pages/explore.py", label="Explore", icon=":material/scatter_plot:", query_params={"run": run.id}
            )
        st.page_link("pages/compare.py", label="Compare", icon=":material/balance:", query_params={"runs": run.id})
        with st.popover("More", icon=":material/more_horiz:", type="tertiary", key="run-menu"):
            st.caption(f"Run {literal(info.id)}")
            if config.run.note:
                st.markdown(literal(config.run.note))
            if not info.is_example and (reach == "live" or has_ended(info.status)):
                _labels(run.id, config)
            _settings(run, config)
            if has_map(run.id):
                st.page_link(
                    "pages/place.py", label="Place", icon=":material/my_location:", query_params={"run": run.id}
                )
            if run.folder.has("weights"):
                st.page_link(
                    "pages/negatives.py", label="Negatives", icon=":material/compress:", query_params={"run": run.id}
                )
                address = {"run": run.id, "view": "step"}
                st.page_link(
                    "pages/negatives.py",
                    label="One step, slowly",
                    icon=":material/slow_motion_video:",
                    query_params=address,
                )
            train_like(run_now(run), "Train one like it")
            st.page_link("pages/train.py", label="New run", icon=":material/add:", query_params={"preset": "tones"})
            if not info.is_example and reach == "next" and st.button("Delete", icon=":material/delete:", key="delete"):
                with plain_errors():
                    run.discard()
                    st.session_state.discarded = run.id
                    st.switch_page("pages/runs.py")
    if info.teaches:
        st.caption(literal(info.teaches))


def show_begin(name: str, changes: Changes, config: RunConfig, ready: bool, run: Run | None) -> None:
    """Preset, steps, number of runs, and the button that starts them.

    Args:
        config: of the draft. ready: whether it can start. run: whose settings it began with; None: a preset's.
    """
    if run is None:
        st.session_state.preset = name
        st.selectbox(
            "Preset",
            list(PRESETS),
            key="preset",
            format_func=lambda key: PRESETS[key].title,
            on_change=lambda: choose(st.session_state.preset),
            help=f"{PRESETS[name].teaches}\n\nChoosing a preset undoes your changes.",
            label_visibility="collapsed",
        )
    base = PRESETS[name].config()
    with st.container(horizontal=True, vertical_alignment="bottom", gap="xsmall", key="begin"):
        _steps(base, changes)
        count = st.number_input("Seeds", 1, 10, key="count", width=52)
        label = "Start training" if count == 1 else f"Start {count} runs"
        pressed = st.button(
            label, type="primary", icon=":material/play_arrow:", disabled=not ready, key="start", width="stretch"
        )
    if pressed:  # below the row, so that an error has its width
        _start(config, count)
    differing = config.differences(run_now(run).replace({"run.name": "", "run.note": ""}) if run else base)
    if differing:
        words = in_words({path: mine for path, (mine, _) in differing.items()})
        with st.container(horizontal=True, vertical_alignment="center", gap="xsmall", key="changed"):
            st.caption(f"Changed: {literal(words)}", width="stretch")
            if st.button("Undo all changes", icon=":material/undo:", key="undo-all", type="tertiary"):
                if run:
                    set_draft(run)
                    keep()
                else:
                    choose(name)
                st.rerun()


def show_export(name: str, changes: Changes, config: RunConfig) -> None:
    """The same run from the command line, and its settings as a file."""
    place = st.expander("The same from the command line", key="command-line", on_change="rerun")
    if not place.open:  # what colors the command takes a browser as long as a chart
        return
    with place:
        st.code(train_command(name, assignments(changes)), language="bash", wrap_lines=True)
        st.download_button("Settings (JSON)", config.to_json, "config.json", "application/json", on_click="ignore")


def is_ready(found: Look) -> bool:
    """Whether a run with this configuration and these data could begin."""
    return not found.problem and not any(one.stops for one in diagnostics(found.config, found.items))


def _steps(base: RunConfig, changes: Changes) -> None:
    def edited() -> None:
        changes.pop("optimizer.steps", None)
        if st.session_state.steps != base.optimizer.steps:
            changes["optimizer.steps"] = st.session_state.steps
        keep()

    st.session_state.steps = changes.get("optimizer.steps", base.optimizer.steps)
    st.number_input("Steps", 1, 1_000_000, step=50, key="steps", on_change=edited, width=76)


def _start(config: RunConfig, count: int) -> None:
    with plain_errors():
        # A missing device and data that cannot be trained on are errors here, not failed runs later.
        pick_device(config.run.device)
        if DATASETS[config.data.dataset].origin != "generated":
            with st.spinner("Looking at the data …"):
                problem = look(config).problem
            if problem:
                raise DataError(problem)
        seeds = range(config.run.seed, config.run.seed + count)
        ids = [manager().start(config.replace({"run.seed": seed})) for seed in seeds]
        if count > 1:
            st.switch_page("pages/compare.py", query_params={"runs": join_ids(ids)})
        st.switch_page("pages/train.py", query_params={"run": ids[0]})


def _labels(run: str, config: RunConfig) -> None:
    """Name and note, which can be edited while the run trains, too."""
    with st.form("labels-form", border=False):
        name = st.text_input("Name", config.run.name, max_chars=120)
        note = st.text_area("Note", config.run.note, max_chars=4000, height=80)
        if st.form_submit_button("Keep"):
            with plain_errors():
                manager().rename(run, name, note)
                st.rerun()


def _settings(run: Run, config: RunConfig) -> None:
    """What differs from the defaults, and settings and numbers as files."""
    differing = config.differences(RunConfig())
    st.dataframe(
        [
            {"Setting": label_of(path), "Default": as_text(default), "Here": as_text(value_of(config, path))}
            for path, (_, default) in differing.items()
        ],
        hide_index=True,
        height=180,
    )
    with st.container(horizontal=True, gap="small"):
        st.download_button("Settings (JSON)", config.to_json, f"{run.id}.json", "application/json", on_click="ignore")
        st.download_button(
            "All numbers (CSV)",
            lambda: records_csv(run.folder.records()),  # those of a long run are thinned on the charts
            f"{run.id}.csv",
            "text/csv",
            on_click="ignore",
        )
