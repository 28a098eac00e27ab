"""Two runs side by side: those of the lesson, with what to watch and one click that mends the worse one, or any two."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import streamlit as st

from cpc_engine.comparison.arms import arm_key
from cpc_engine.evaluation.alarms import COLLAPSED

from ..components.beside import two_runs
from ..drawing.text import SHARE
from ..shell.address import join_ids
from ..shell.errors import plain_errors
from ..shell.first_run import MOMENTUM, mend, pair
from ..shell.session import open_run, run_now

if TYPE_CHECKING:
    from cpc_engine.config import RunConfig
    from cpc_engine.execution.progress import RunProgress

WATCH = (
    "**1. Spread.** How evenly the latents use all directions. Left it stays high; right it soon falls, as all latents "
    "come towards one place (in a long run they may part again). Below the alarm that is called collapse.",
    f"**2. {SHARE}.** The queue soon has most of it, and its keys come from an encoder that has changed since.",
    "**3. Map** (one scale for both). Each dot is a sound that was not trained on. Left they spread out; right they "
    "lie close together, where the true next latent hardly differs from the others.",
)
ANY_TWO = (
    "**Spread.** How evenly the latents use all directions. Near 0 all are at one place; below the alarm that is "
    "called collapse.",
    f"**{SHARE}.** Which source of negatives does the work, at each step.",
    "**Map** (one scale for both). Each dot is an item that was not trained on.",
)
NEARLY = 0.9  # of the other spread; a smaller difference is not worth a word
SHOWN = ("spread", "share", "loss")  # in the order in which they are talked about
CSS = f"""{two_runs.CSS}
.st-key-watch p {{ font-size: 0.95rem; line-height: 1.4; }}
.st-key-mend {{ min-height: 2.75rem; }}
"""


def show_lesson(runs: list[str]) -> None:
    """Draw the runs; this part refreshes itself while one of them is active."""
    st.html(f"<style>{CSS}</style>")
    configs = [run_now(open_run(run)) for run in runs]
    with st.container(key="watch"):
        for column, words in zip(st.columns(len(WATCH)), WATCH if _teaches(configs) else ANY_TWO, strict=True):
            with column:
                st.markdown(words)
    two_runs.show_two(runs, SHOWN, _mend if _differ_in_the_queue(configs) else _compare)


def _teaches(configs: Sequence[RunConfig]) -> bool:
    """Whether these are the runs of the lesson, of which it is known what they do."""
    lesson = pair(configs[0].optimizer.steps)
    return [arm_key(config) for config in configs] == [arm_key(config) for config in lesson]


def _differ_in_the_queue(configs: Sequence[RunConfig]) -> bool:
    """Whether the first has no queue and the second is the same with one, with or without a momentum encoder."""
    if len(configs) != 2 or not configs[0].sampler.queue_size == 0 < configs[1].sampler.queue_size:
        return False
    alike = {path: configs[1].flat()[path] for path in ("sampler.queue_size", *MOMENTUM)}
    return arm_key(configs[0].replace(alike)) == arm_key(configs[1])


def _mend(runs: Sequence[RunProgress], active: bool) -> None:
    """The click that repeats the second run with a momentum encoder; afterwards what leads on. A line of its own."""
    with st.container(horizontal=True, vertical_alignment="center", key="mend"):
        if run_now(open_run(runs[-1].id)).sampler.key_momentum == 0:
            help = "Keys then come from a slow average of the encoder (MoCo), so that old and new ones fit together."
            label = "Mend it: momentum encoder, m 0.98"
            # As a callback the click counts even where the page starts again before it comes to this line.
            if st.button(
                label,
                icon=":material/build:",
                type="primary",
                key="mend-it",
                help=help,
                on_click=_repeat,
                args=([run.id for run in runs],),
            ):
                st.rerun(scope="app")
            words = "Trains the right one again, with one setting changed."
            st.caption(words if active else f"{outcome(*map(_spread, runs))} {words}", width="stretch")
        else:
            st.markdown("**With a momentum encoder** keys of all ages fit together.")
            if not active:
                st.caption(outcome(*map(_spread, runs)), width="stretch")
        _compare(runs, active)


def _compare(runs: Sequence[RunProgress], active: bool) -> None:
    """Once both have ended, a link to all that can be said of them."""
    if not active:
        compared = {"runs": join_ids(run.id for run in runs)}
        st.page_link("pages/compare.py", label="Compare", icon=":material/balance:", query_params=compared)


def outcome(left: float | None, right: float | None) -> str:
    """What the spread of both runs came to.

    Example:
        >>> outcome(0.8, 0.2)
        'The spread ended at 0.80 left and 0.20 right, below the alarm of 0.3: collapsed.'
        >>> outcome(0.8, 0.4), outcome(0.8, None)
        ('The spread ended at 0.80 left and 0.40 right: lower, not collapsed.', '')
    """
    if left is None or right is None:
        return ""
    told = f"The spread ended at {left:.2f} left and {right:.2f} right"
    if right < COLLAPSED:
        return f"{told}, below the alarm of {COLLAPSED:g}: collapsed."
    return f"{told}: lower, not collapsed." if right < NEARLY * left else f"{told}: about as high."


def _spread(run: RunProgress) -> float | None:
    """The newest spread of a run's latents; None before it is measured, and for two modalities (one each)."""
    measured = [record["geometry"] for record in run.records if record.get("geometry")]
    return measured[-1].get("spread") if measured else None


def _repeat(runs: list[str]) -> None:
    """Train the last of these runs again with a momentum encoder, and show that one in its place."""
    with plain_errors():
        st.query_params["runs"] = join_ids([*runs[:-1], mend(run_now(open_run(runs[-1])))])
