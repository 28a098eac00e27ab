"""Two runs side by side: curves on one step axis and a map for each, which follow while the runs train."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING

import streamlit as st

from cpc_engine.storage.folder import RunFolder
from cpc_engine.storage.info import is_id

from ...drawing.panel_stack import alike, level, panels_figure, panels_spoken
from ...drawing.panels import Panel, panels_of
from ...shell.address import split_ids
from ...shell.errors import literal, plain_errors
from ...shell.names import names_of
from ...shell.session import has_ended, manager, open_run, root, run_now
from ...shell.status import badge, held, hold_switch
from ..live_chart import live_chart
from ..run_map import show_map_of

if TYPE_CHECKING:
    from cpc_engine.execution.progress import RunProgress

HEIGHT = 430
# Seconds between two looks until both have a curve, and from then on: these runs are small, and end soon.
FIRST, OFTEN = 0.1, 1.0
WAIT = 1.0  # seconds within one of the first looks: to draw what has not changed takes time from what is waited for
REACH = 1.4  # of the maps: a unit sphere and a little more, so that a collapsed run is seen to be small
CSS = """
.block-container { padding-top: 4.2rem; max-width: 96rem; }
.block-container h1 { padding: 0; font-size: 1.3rem; }
[class*="st-key-map-tools-"] [data-testid="stCaptionContainer"] { display: none; }
"""
Between = Callable[[Sequence["RunProgress"], bool], None]


def asked_runs() -> list[str]:
    """The ids in the address (`?runs=a,b`) that name runs here; at most two."""
    asked = split_ids(st.query_params.get("runs", ""))
    return [run for run in asked if is_id(run) and RunFolder(root() / run).has("config")][:2]


def show_two(runs: list[str], shown: Sequence[str], above: Between, height: int = HEIGHT) -> None:
    """Draw the runs; this part refreshes itself while one of them is active, and the page once when both have ended.

    Args:
        shown: the panels of curves by key, see `drawing.panels`; each has one range in both runs.
        above: draws what stands above both, given their progress and whether one is active.
        height: of the curves, in pixels.
    """
    progress = _progress(runs)
    active = any(not has_ended(run.status) for run in progress)
    begins = active and not all(run.records for run in progress)
    every = (FIRST if begins else OFTEN) if active and not held() else None
    st.fragment(_side_by_side, run_every=every)(runs, shown, above, height, active, begins)
    if active:
        hold_switch()  # the bar below the page, which has it elsewhere, does not tell of runs that the page shows


def _side_by_side(
    runs: list[str], shown: Sequence[str], above: Between, height: int, was_active: bool, began: bool
) -> None:
    with plain_errors():
        drawn = st.session_state.get("beside") == runs  # else the frame comes first
        progress = _first_records(runs) if began and drawn else _progress(runs)
        st.session_state["beside"] = runs
        active = any(not has_ended(run.status) for run in progress)
        if was_active and not active:
            st.rerun()  # stop refreshing
        above(progress, active)
        names = names_of(open_run(run.id).info for run in progress)
        panels = level([_panels(run, shown) for run in progress])
        alike(panels)
        for column, run, of_run in zip(st.columns(len(runs), gap="medium"), progress, panels, strict=True):
            with column, plain_errors():
                _run(run, names[run.id], of_run, height)
        if began and all(run.records for run in progress):
            st.rerun()  # look less often


def _progress(runs: Sequence[str]) -> list[RunProgress]:
    return [manager().progress_of(run) for run in runs]


def _first_records(runs: Sequence[str]) -> list[RunProgress]:
    """The progress of runs that begin, once each has a record, or after a moment."""
    deadline = time.monotonic() + WAIT
    while True:
        progress = _progress(runs)
        if all(run.records or has_ended(run.status) for run in progress) or time.monotonic() > deadline:
            return progress
        time.sleep(0.02)


def _panels(run: RunProgress, shown: Sequence[str]) -> list[Panel]:
    config = run_now(open_run(run.id))
    found = [panel for panel in panels_of(run.records, config, shown) if panel.key.partition("-")[0] in shown]
    return sorted(found, key=lambda panel: shown.index(panel.key.partition("-")[0]))


def _run(run: RunProgress, name: str, panels: list[Panel], height: int) -> None:
    with st.container(horizontal=True, vertical_alignment="center", gap="small", key=f"beside-{run.id}"):
        st.page_link("pages/train.py", label=literal(name), icon=":material/tune:", query_params={"run": run.id})
        badge(run.status)
        phase = f" · {run.phase}" if run.phase else ""
        st.progress(min(run.step / max(run.steps, 1), 1.0), text=f"{run.step} of {run.steps} steps{phase}")
    figure = panels_figure(panels, run.steps, run.events, height)
    curves, place = st.columns([55, 45], gap="small")
    with curves:
        live_chart(figure, key=f"loss-{run.id}", height=height, alt=panels_spoken(figure, name))
    with place:
        show_map_of(run.id, ended=False, height=height - 90, reach=REACH)
