"""Two runs side by side that differ in one thing, what to watch on them, and one click that mends the worse one."""

from __future__ import annotations

from typing import TYPE_CHECKING

import streamlit as st

from cpc_engine.datasets import DATASETS
from cpc_engine.storage.folder import RunFolder
from cpc_engine.storage.info import is_id

from ..components.live_chart import live_chart
from ..components.run_map import show_map_of
from ..drawing.panels import panels_figure, panels_of, panels_spoken
from ..shell.address import join_ids, split_ids
from ..shell.errors import literal, plain_errors
from ..shell.first_run import MOMENTUM, mend
from ..shell.session import has_ended, manager, open_run, root
from ..shell.status import badge, held

if TYPE_CHECKING:
    from cpc_engine.execution.progress import RunProgress

WATCH = (
    "**1. Spread.** How evenly the latents use all directions. Left it stays high; right it falls below the alarm: all "
    "latents come to one place, which is called collapse.",
    "**2. Share of negative gradient.** The queue soon has nearly all of it, and its keys come from an encoder that "
    "has changed since.",
    "**3. Map** (one scale for both). Each dot is a sound that was not trained on. Left they spread out; right they "
    "come together, so that nothing can be told apart.",
)
SHOWN = ("spread", "share", "loss")  # in the order in which they are talked about
HEIGHT = 430
REACH = 1.4  # of the maps: a unit sphere and a little more, so that a collapsed run is seen to be small
CSS = """
.block-container { padding-top: 4.2rem; max-width: 96rem; }
.block-container h1 { padding: 0; font-size: 1.3rem; }
.st-key-watch p { font-size: 0.95rem; line-height: 1.4; }
.st-key-mend { min-height: 2.75rem; }
[class*="st-key-map-tools-"] [data-testid="stCaptionContainer"] { display: none; }
"""


def asked_runs() -> list[str]:
    """The ids in the address (`?runs=a,b`) that name runs here; at most two."""
    asked = split_ids(st.query_params.get("runs", ""))
    return [run for run in asked if is_id(run) and RunFolder(root() / run).has("config")][:2]


def show_lesson(runs: list[str]) -> None:
    """Draw the runs; this part refreshes itself while one of them is active."""
    st.html(f"<style>{CSS}</style>")
    with st.container(key="watch"):
        for column, words in zip(st.columns(len(WATCH)), WATCH, strict=True):
            with column:
                st.markdown(words)
    active = any(not has_ended(manager().progress_of(run).status) for run in runs)
    every = 1.0 if active and not held() else None  # often: these runs are small, and end soon
    st.fragment(_side_by_side, run_every=every)(runs, active)


def _side_by_side(runs: list[str], was_active: bool) -> None:
    with plain_errors():
        progress = [manager().progress_of(run) for run in runs]
        active = any(not has_ended(run.status) for run in progress)
        if was_active and not active:
            st.rerun()  # stop refreshing
        _mend(progress, active)
        for column, run in zip(st.columns(len(runs), gap="medium"), progress, strict=True):
            with column, plain_errors():
                _run(run)


def _mend(runs: list[RunProgress], active: bool) -> None:
    """The click that repeats the second run with a momentum encoder; afterwards what leads on. A line of its own."""
    config = open_run(runs[-1].id).config
    with st.container(horizontal=True, vertical_alignment="center", key="mend"):
        if any(config.flat()[path] != value for path, value in MOMENTUM.items()):
            help = "Keys then come from a slow average of the encoder, so that old and new ones fit together."
            label = "Mend it: momentum encoder (MoCo m 0.98)"
            others = [run.id for run in runs[:-1]]
            # As a callback the click counts even where the page starts again before it comes to this line.
            if st.button(
                label,
                icon=":material/build:",
                type="primary",
                key="mend-it",
                help=help,
                on_click=_repeat,
                args=(others, runs[-1].steps),
            ):
                st.rerun(scope="app")
            st.caption("Trains the right one again, with one setting changed.", width="stretch")
        else:
            st.markdown("**Mended:** with a momentum encoder the spread stays up, and the queue does no harm.")
        if not active:
            compared = {"runs": join_ids(run.id for run in runs)}
            st.page_link("pages/compare.py", label="Compare", icon=":material/balance:", query_params=compared)


def _repeat(others: list[str], steps: int) -> None:
    with plain_errors():
        st.query_params["runs"] = join_ids([*others, mend(steps)])


def _run(run: RunProgress) -> None:
    with st.container(horizontal=True, vertical_alignment="center", gap="small", key=f"lesson-{run.id}"):
        st.page_link(
            "pages/train.py", label=literal(run.name or run.id), icon=":material/tune:", query_params={"run": run.id}
        )
        badge(run.status)
        phase = f" · {run.phase}" if run.phase else ""
        st.progress(min(run.step / max(run.steps, 1), 1.0), text=f"{run.step} of {run.steps} steps{phase}")
    names = DATASETS[open_run(run.id).config.data.dataset].modalities
    panels = [panel for panel in panels_of(run.records, names) if panel.key.partition("-")[0] in SHOWN]
    panels.sort(key=lambda panel: SHOWN.index(panel.key.partition("-")[0]))
    figure = panels_figure(panels, run.steps, run.events, HEIGHT)
    curves, place = st.columns([55, 45], gap="small")
    with curves:
        live_chart(figure, key=f"loss-{run.id}", height=HEIGHT, alt=panels_spoken(figure, run.name or run.id))
    with place:
        show_map_of(run.id, ended=False, height=HEIGHT - 90, reach=REACH)
