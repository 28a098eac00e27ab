"""The Negatives page: one anchor, its candidates by source, and what other settings would do to it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import TYPE_CHECKING

import streamlit as st

from cpc_engine.errors import CpcError, DataError
from cpc_engine.sources import SOURCES

from ..drawing.palette import SOURCE_STYLES
from ..shell.address import asks_anew, put, remember
from ..shell.compat import inside_app
from ..shell.errors import plain_errors, sentence
from ..shell.first_run import nothing_yet
from ..shell.glossary import define
from ..shell.names import names_of
from ..shell.session import chosen_run, has_ended, open_run, runs
from ..shell.status import how_ended

if TYPE_CHECKING:
    from cpc_engine.storage.info import RunInfo

PAGE = "negatives"
ADDRESS = ("run", "view", "step", "loss", "anchor", "class", "item", "piece")  # what a copied link opens again
VIEWS = {"anchor": "Its negatives", "step": "One step, slowly"}
# Three lines for the answer on a wide screen, so that nothing below moves when it has one more or less.
CSS = """
.block-container { padding-top: 4.2rem; max-width: 96rem; }
.block-container h1 { padding: 0; font-size: 1.3rem; }
.st-key-answer p { font-size: 1.02rem; line-height: 1.4; }
@media (min-width: 64rem) { .st-key-answer { min-height: 4.4rem; } }
.st-key-verdict p { font-size: 0.92rem; line-height: 1.45; }
[class*="st-key-candidate-"] { border-left: 5px solid; padding-left: 0.5rem; }
"""


def show() -> None:
    """Draw the page."""
    inside_app()
    if asks_anew(PAGE, ADDRESS):
        for key in [str(key) for key in st.session_state]:
            if key.startswith("negatives-") and not key.startswith("negatives-map"):  # a map keeps its zoom
                del st.session_state[key]
    colors = [
        f'[class*="st-key-candidate-{name}-"] {{ border-color: {SOURCE_STYLES[name].color}; }}' for name in SOURCES
    ]
    st.html(f"<style>{CSS}{''.join(colors)}</style>")
    with st.container(horizontal=True, vertical_alignment="center", gap="medium"):
        st.title("Negatives of one anchor", anchor=False, width="content")
        slowly = _choose_view() == "step"
    with plain_errors():
        controls = st.container(horizontal=True, vertical_alignment="bottom", gap="small", key="which")
        with controls:
            run = _choose_run()
        if run:
            _show_run(run, controls, slowly)
    remember(PAGE, ADDRESS)


def _choose_view() -> str:
    """What is shown of the anchor, chosen or in the address."""
    key = "negatives-view"
    if key not in st.session_state:
        st.session_state[key] = "step" if st.query_params.get("view") == "step" else "anchor"
    view = st.segmented_control(
        "View", list(VIEWS), required=True, format_func=VIEWS.__getitem__, key=key, label_visibility="collapsed"
    )
    put("view", "step" if view == "step" else None)
    return str(view)


def _choose_run() -> str | None:
    """The run in the address, or the newest one; None where there is none yet."""
    listed = runs()
    if not listed:
        nothing_yet()
        return None
    known = [info for info in listed if open_run(info.id).folder.has("weights")]
    chosen, ids = chosen_run(), [info.id for info in known]
    if not known or (chosen and chosen not in ids):
        _no_weights([info for info in listed if info.id == chosen] if chosen else listed)
        address = {"run": chosen or listed[0].id}
        st.page_link("pages/train.py", label="Look at it", icon=":material/monitoring:", query_params=address)
    if not known:
        return None
    names = names_of(known)
    key = "negatives-run"
    if st.session_state.get(key) not in ids:
        st.session_state[key] = chosen if chosen in ids else ids[0]
    run = str(st.selectbox("Run", ids, format_func=names.__getitem__, key=key, width=220))
    put("run", run)
    if run != chosen:
        _forget()
    return run


def _no_weights(without: Sequence[RunInfo]) -> None:
    """Say why nothing can be looked at: of one run, or of all, the newest first."""
    one, active = without[0], any(not has_ended(info.status) for info in without)
    what = "This run has no weights" if len(without) == 1 else "No run has weights"
    if active:
        st.info(f"{what} yet: they are kept when it pauses or ends.", icon=":material/hourglass_empty:")
    else:
        newest = "It" if len(without) == 1 else "The newest"
        st.info(f"{what}. {newest} ended without them ({how_ended(one)}).", icon=":material/block:")


def _forget() -> None:
    """Leave out what was chosen of another run, where the same numbers are of other items."""
    for name in ("see", "item", "piece"):
        put(name, None)
    for key in [str(key) for key in st.session_state]:
        if key.startswith("negatives-piece-"):
            del st.session_state[key]


def _show_run(run: str, controls: st.delta_generator.DeltaGenerator, slowly: bool) -> None:
    from ..components.items import ask_for_data
    from .anchor import choose_anchor, choose_loss
    from .opened import Opening, opened, stamp
    from .over_time import show_over_time
    from .step.view import show_step
    from .view import show_anchor

    opening = Opening(run, stamp(run))
    try:
        with st.spinner("Rebuilding the run's next batch …"):
            now = opened(opening)
    except DataError as error:
        ask_for_data(run, f"{sentence(error.problem)}.")
        return
    except CpcError as error:
        st.warning(sentence(str(error)), icon=":material/folder_off:")
        return
    with controls:
        steps = _kept_steps(run, now.step)
        opening = replace(opening, step=_choose_step(run, steps))
        source = opened(opening)
        which = choose_loss(source)
    chosen = choose_anchor(opening, which, controls)
    if source.refilled:
        st.caption(
            f"This run stores no queue. It was filled again from the {source.refilled} batches before, encoded by the "
            "network as it is now: ages are right, drift is not shown."
        )
    if slowly:
        show_step(chosen)
        return
    first = st.container(key="seen-first")
    show_anchor(chosen, steps)
    show_over_time(chosen, steps, first)


def _kept_steps(run: str, now: int) -> list[int]:
    """The steps that the run can be looked at, the present one last."""
    from cpc_engine.execution.weight_snapshots import kept_snapshots

    try:
        return [*(step for step in kept_snapshots(open_run(run).folder) if step < now), now]
    except CpcError as error:
        st.warning(sentence(str(error)))
        return [now]


def _choose_step(run: str, steps: list[int]) -> int | None:
    """One of the steps, chosen or in the address; None: the present one, which is the last."""
    from .scrubber.view import step_key

    key, asked, now = step_key(run), st.query_params.get("step", ""), steps[-1]
    if st.session_state.get(key) not in steps:
        st.session_state[key] = int(asked) if asked.isdecimal() and int(asked) in steps else now
    step: int = st.selectbox(
        "Step",
        steps,
        format_func=lambda one: f"{one:,} (now)" if one == now else f"{one:,}",
        key=key,
        width=150,
        help=f"The negatives at this step. Earlier ones are there where the run keeps weight snapshots (a setting). "
        f"{define('weight_snapshot')}",
    )
    put("step", None if step == now else str(step))
    return None if step == now else step
