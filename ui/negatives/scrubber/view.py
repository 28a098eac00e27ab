"""The slider beside the anchor: it moves the cursor on the loss, the map, and everything else on the page."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import TYPE_CHECKING

import streamlit as st

from ...components.chart import chart
from ...drawing.negatives.over_time import parts_of
from ...drawing.text import plain_name
from ...shell.session import open_run
from ..opened import placed, way
from .figures import cursor_figure, step_figure

if TYPE_CHECKING:
    from ..anchor import Chosen

MOVED = "scrubber-moved"
HELP = (
    "All of this page is drawn as the run was after this step: the same anchor, among the negatives that it had then."
)
MEANING = (
    "PCA of mean contexts at each step, turned (never stretched) onto the step before, in one fixed frame. ★ the "
    "anchor, gray the way that it came."
)


def scrubbed() -> bool:
    """Whether the slider was moved: then the page has to be drawn again from its beginning."""
    return bool(st.session_state.pop(MOVED, False))


def step_key(run: str) -> str:
    """Names the choice of a step among the controls of the page, which the slider moves too."""
    return f"negatives-step-{run}"


def show_scrubber(chosen: Chosen, steps: Sequence[int]) -> None:
    """Nothing where the run keeps its present weights only."""
    if len(steps) < 2:
        return
    frozen, run = chosen.frozen, chosen.run
    step, modality = frozen.opened.step, frozen.modality
    key = f"scrubber-{run}"
    st.session_state[key] = step

    def move() -> None:
        st.session_state[step_key(run)] = st.session_state[key]
        st.session_state[MOVED] = True

    st.select_slider("Through the training", steps, key=key, format_func="{:,}".format, on_change=move, help=HELP)
    parts = parts_of(open_run(run).folder.records(), modality, frozen.term)
    words = f"The loss over the steps, with a cursor at step {step:,}."
    chart(cursor_figure(parts, steps, step), f"cursor-{run}-{frozen.term}-{modality}", 190, alt=words)
    now, kept = replace(chosen.opening, step=None), tuple(steps)
    with st.spinner("Placing items at every kept step …"):
        found = placed(now, kept, modality)
        came = way(now, kept, modality, int(frozen.items[chosen.anchor]))
    opened = frozen.opened
    rows = found.rows.tolist()
    labels = [int(opened.items.labels[row]) for row in rows]
    classes = [plain_name(name) for name in opened.data.classes]
    names = [plain_name(opened.items.names[row]) for row in rows]
    index = kept.index(step)
    figure = step_figure(found.layouts, came, index, labels, classes, names)
    x, y = found.layouts[index].T.tolist()
    columns = {"item": names, "class": [classes[label] for label in labels], "x": x, "y": y}
    words = f"{len(rows)} held-out items at step {step:,} by class, with the anchor among them."
    chart(figure, f"places-{run}-{modality}", 270, "★ anchor, gray: the way it came", MEANING, words, columns)
