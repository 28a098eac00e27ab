"""What was measured of a recipe over seeds: dots with intervals, the verdict, why, and how to measure it again."""

from __future__ import annotations

from typing import Literal

import streamlit as st

from cpc_engine.break_it.measured import RESULTS, measured
from cpc_engine.break_it.outcome import Kind, Outcome
from cpc_engine.break_it.recipe import Recipe
from cpc_engine.comparison.standings import standings
from cpc_engine.config import with_labels
from cpc_engine.evaluation.intervals import mean_interval

from ..components.beside.dots import dots_figure, dots_spoken, dots_table, height_of
from ..components.chart import chart
from ..shell.errors import literal

COLORS: dict[Kind, Literal["green", "red", "gray"]] = {
    "as predicted": "green",
    "the opposite": "red",
    "cannot be told": "gray",
}
REASONS: dict[Kind, str] = {
    "as predicted": "Why.",
    "the opposite": "The prediction failed. It was made because of this, which is not what decides here:",
    "cannot be told": "These runs do not bear the prediction out. It was made because of this:",
}


def show_found(recipe: Recipe) -> None:
    """Draw what is stored of a recipe."""
    outcomes, command = _measured(RESULTS.stat().st_mtime_ns if RESULTS.is_file() else 0)
    if recipe.name not in outcomes:
        st.info("No measurement comes with this copy of the app.", icon=":material/straighten:")
        return
    found, metric = outcomes[recipe.name], recipe.prediction.metric
    st.header("What was measured", anchor=False, divider=False)
    left, right = st.columns(2, gap="large")
    with left:
        arms = standings(found.arms, metric)
        figure = dots_figure(arms, metric)
        chart(figure, "found", height_of(len(arms)), alt=dots_spoken(arms, metric), columns=dots_table(arms))
        st.caption(f"Mean ± 95 % interval over seeds; circles are single seeds. {_probes(found)}")
        st.caption("Measured again by")
        st.code(command, language=None)  # highlighted words have too little contrast
    with right, st.container(key="found-words"):
        st.badge(found.kind, color=COLORS[found.kind])
        st.markdown(f"**{literal(found.words)}**")
        st.markdown(f"**{REASONS[found.kind]}** {with_labels(recipe.why)}")


@st.cache_data(max_entries=2, show_spinner=False)
def _measured(stamp: int) -> tuple[dict[str, Outcome], str]:
    """What the stored file says as it is at `stamp`."""
    return measured()


def _probes(found: Outcome) -> str:
    """The linear probes beside it, which no prediction was about."""
    values = [list(arm.values("probe").values()) for arm in found.arms]
    if not all(values):
        return ""
    control, broken = (mean_interval(of_arm)[0] for of_arm in values)
    return f"Linear probe, which nothing was predicted of: {control:.1%} in the control, {broken:.1%} with the change."
