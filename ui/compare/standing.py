"""The top of the Compare page: how the arms stand by the metric that decides, against one of them."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import streamlit as st

from cpc_engine.comparison.judge import judge
from cpc_engine.comparison.standings import Grid, Standing, data_note, grid, standings, titles
from cpc_engine.comparison.tables import shown_metrics
from cpc_engine.csv_text import columns_csv
from cpc_engine.evaluation.metric_info import PRIMARY, describe_metric

from ..components.beside.dots import dots_figure, dots_spoken, dots_table, grid_figure, grid_spoken, height_of
from ..components.figure_dialog import figure_dialog
from ..components.live_chart import live_chart
from ..shell.errors import literal
from .data import all_ended

if TYPE_CHECKING:
    from cpc_engine.comparison.arms import Arm
    from cpc_engine.comparison.verdicts import Verdict

MOST_VERDICTS = 6  # in words; the table of all metrics has the others


def choose_standard(arms: Sequence[Arm]) -> tuple[Arm, str]:
    """The arm that the others are held against, and the metric that decides."""
    by_letter = {arm.letter: arm for arm in arms}
    names = dict(zip(by_letter, titles(arms), strict=True))
    before, first = st.session_state.get("baseline", (names, ""))
    if before != names:  # the list in the browser knows an arm by its title, which changes with what is compared
        kept = [letter for letter, arm in by_letter.items() if first in [run.id for run in arm.runs]]
        st.session_state["reference"] = kept[0] if kept else next(iter(by_letter))
    with st.container(horizontal=True, vertical_alignment="bottom"):
        primary = st.selectbox(
            "Primary metric",
            list(dict.fromkeys([PRIMARY, *shown_metrics(arms)])),
            format_func=lambda name: describe_metric(name).title,
            key="primary",
            bind="query-params",
            width=320,
            help="The metric that decides. Choose it before you look at the numbers.",
        )
        letter = st.selectbox(
            "Baseline",
            list(by_letter),
            format_func=names.__getitem__,
            key="reference",
            bind="query-params",
            width=320,
            help="The setting that the others are held against.",
        )
    st.session_state["baseline"] = names, by_letter[letter].runs[0].id
    return by_letter[letter], primary


def show_standing(arms: Sequence[Arm], baseline: Arm, primary: str) -> None:
    """A dot with its interval for each arm, a heat map where exactly two settings vary, and the verdicts in words."""
    if note := data_note(arms):
        st.warning(note, icon=":material/database:")
    found = standings(arms, primary)
    if all(one.mean is None for one in found):
        title = describe_metric(primary).title
        done = any(run.complete for arm in arms for run in arm.runs)
        how = all_ended(arms)
        none = f"No run has finished ({how})." if how else "No run has finished yet."
        text = f"{title}, the primary metric, is not measured yet." if done else none
        st.info(text, icon=":material/straighten:")
        return
    two = grid(arms, primary)
    left, right = st.columns([3, 2], gap="medium") if two else (st.container(), st.container())
    with left:
        _dots(found, primary)
    with right:
        if two:
            _grid(two, primary)
    verdicts = judge(arms, baseline, primary)
    others = [(one, verdicts.get((primary, one.letter))) for one in found if one.letter != baseline.letter]
    lines = [_words(one, verdict) for one, verdict in others if verdict is not None]
    for line in lines[:MOST_VERDICTS]:
        st.markdown(line)
    if len(lines) > MOST_VERDICTS:
        st.caption(f"and {len(lines) - MOST_VERDICTS} more in the table below")


def _dots(found: Sequence[Standing], primary: str) -> None:
    figure = dots_figure(found, primary)
    live_chart(figure, key="standing", height=height_of(len(found)), alt=dots_spoken(found, primary))
    with st.container(horizontal=True, gap="small", vertical_alignment="center"):
        st.download_button(
            "CSV",
            columns_csv(dots_table(found)),
            f"{primary}.csv",
            "text/csv",
            key="standing-csv",
            icon=":material/table:",
            type="tertiary",
            on_click="ignore",
        )
        figure_dialog(figure, "standing")
        covers = next((one.covers for one in found if one.covers), "seeds")
        st.caption(f"Mean ± 95 % interval over {covers}; circles are single seeds.", width="content")


def _grid(two: Grid, primary: str) -> None:
    figure = grid_figure(two, primary)
    live_chart(figure, key="two-settings", height=height_of(len(two.rows[1])), alt=grid_spoken(two, primary))
    figure_dialog(figure, "two-settings")


def _words(one: Standing, verdict: Verdict) -> str:
    """ "**B · Queue size 512** A better: A − B = −0.03 (−0.05 to −0.01)"."""
    text = f"**{literal(one.title)}** · {literal(verdict.text)}"
    if verdict.difference is None:
        return text
    first, second = verdict.names
    return f"{text} · {first} − {second} = {verdict.difference:+.3g} ({verdict.low:.3g} to {verdict.high:.3g})"
