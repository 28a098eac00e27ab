"""What a run does: its status, what is wrong with it, its curves on one step axis, and its map, all in sight."""

from __future__ import annotations

from typing import TYPE_CHECKING

import streamlit as st

from cpc_engine.csv_text import columns_csv

from ..components.figure_dialog import figure_choices
from ..components.live_chart import live_chart
from ..components.run_controls import controls, undo_button
from ..components.run_map import show_map_of
from ..drawing.panel_stack import panels_figure, panels_spoken, panels_table
from ..drawing.panels import GEOMETRY, panels_of
from ..shell.errors import literal, plain_errors
from ..shell.glossary import define
from ..shell.names import name_of
from ..shell.session import has_ended, manager, open_run, run_now
from ..shell.status import badge, duration, held, hold_switch, refresh_seconds
from .notice import show_notice

if TYPE_CHECKING:
    from cpc_engine.execution.progress import RunProgress

    from ..drawing.charts import Figure

# What is left of a window below the menu, the status and the notice, so that all is in sight without scrolling.
CHARTS = "clamp(34rem, calc(100vh - 11.6rem), 64rem)"
MAP = "clamp(24rem, calc(100vh - 19rem), 60rem)"
SOON = 0.5  # seconds between two looks while a run begins
BEGINS = 15  # records; from then on drawing comes less often, since it takes processor time from training


def show_live(run: str) -> None:
    """Draw a run; this part of the page refreshes itself while the run is active and the page is not held still."""
    progress = manager().progress_of(run)
    active = not has_ended(progress.status)
    begins = active and len(progress.records) < BEGINS
    every = None
    if active and not held():
        every = SOON if begins else refresh_seconds(run)
    st.fragment(_live, run_every=every)(run, active, begins)


def _live(run: str, was_active: bool, began: bool) -> None:
    """What refreshes; `was_active` and `began` are how the page was drawn as a whole."""
    with plain_errors():
        progress, stored = manager().progress_of(run), open_run(run)
        ended = has_ended(progress.status)
        # It has ended, or was resumed by a click that redrew only this part.
        if was_active == ended or (began and len(progress.records) >= BEGINS):
            st.rerun()  # draw all of it again: other controls, another map, another pace
        figure = panels_figure(panels_of(progress.records, run_now(stored)), progress.steps, progress.events)
        _status(progress, stored.info.is_example, figure)
        show_notice(progress, stored)
        charts, place = st.columns([46, 54], gap="small")
        with charts, st.container(key="curves", gap=None):
            live_chart(figure, key=f"loss-{run}", height=CHARTS, alt=panels_spoken(figure, name_of(stored.info)))
        with place, st.container(key="map-place", gap="xsmall"), plain_errors():
            show_map_of(run, ended, MAP)


def _status(run: RunProgress, example: bool, figure: Figure) -> None:
    """How far it is, the buttons that steer it, and the numbers of the charts."""
    from cpc_engine.execution.manager import HERE

    active = not has_ended(run.status)
    with st.container(horizontal=True, vertical_alignment="center", gap="small", key="status"):
        badge(run.status)
        if example:
            st.badge("example", icon=":material/school:", color="violet")
        share = run.step / run.steps if run.steps else 0.0
        speed = f" · {run.steps_per_second:.1f} steps/s" if run.steps_per_second and active else ""
        left = f" · {duration(run.seconds_left)} left" if run.seconds_left and active else ""
        phase = f" · {run.phase}" if run.phase else ""
        elsewhere = f" · {literal(run.where)}" if run.where not in ("", HERE) else ""
        st.progress(
            min(share, 1.0),
            text=f"{run.step} of {run.steps} steps · {duration(run.seconds)}{speed}{left}{phase}{elsewhere}",
        )
        if not example:
            controls(run)
            undo_button(run)
        if active:
            hold_switch(st.rerun)
        numbers = st.popover("Numbers", icon=":material/table:", type="tertiary", key="numbers", on_change="rerun")
        if numbers.open:
            with numbers:
                _numbers(figure, run.id)


def _numbers(figure: Figure, run: str) -> None:
    """The drawn points as a table, as a figure for a paper, and what each chart shows."""
    columns = panels_table(figure)
    st.caption("The curves as they are drawn, smoothed and thinned. Every recorded value: More, All numbers (CSV).")
    st.dataframe(columns, hide_index=True, height=220)
    st.download_button("Curves (CSV)", columns_csv(columns), "curves.csv", "text/csv", on_click="ignore")
    if st.toggle("Figure for a paper or a slide", key=f"paper-{run}"):
        figure_choices(figure, f"curves-{run}", height_cm=18.0)
    explained = [define("infonce"), define("contrastive_accuracy"), define("gradient_share"), *map(define, GEOMETRY)]
    for text in filter(None, explained):
        st.caption(text)
