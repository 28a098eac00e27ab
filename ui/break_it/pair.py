"""The two runs of a recipe on this machine: which they are, and what stands above their charts."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import streamlit as st

from cpc_engine.break_it.outcome import outcome
from cpc_engine.break_it.recipe import Recipe
from cpc_engine.comparison.arms import arm_key
from cpc_engine.comparison.collect import load_compared
from cpc_engine.evaluation.metric_info import describe_metric
from cpc_engine.storage.folder import RunFolder

from ..components.beside.two_runs import Between, asked_runs
from ..shell.address import join_ids, put
from ..shell.session import open_run, root

if TYPE_CHECKING:
    from cpc_engine.execution.progress import RunProgress


def pair_of(recipe: Recipe) -> list[str]:
    """Control and broken run that the address names, or else those of this recipe that it named before; or none."""
    expected = [arm_key(config) for config in recipe.configs()]
    known = st.session_state.setdefault("broken", {})
    for runs in (asked_runs(), known.get(recipe.name, [])):
        here = [RunFolder(root() / run) for run in runs]
        if all(run.has("config") for run in here) and [arm_key(run.config()) for run in here] == expected:
            known[recipe.name] = runs
            put("runs", join_ids(runs))
            return list(runs)
    put("runs", None)
    return []


def above(recipe: Recipe) -> Between:
    """What stands above the two runs of a recipe: what to watch; then how these two ended, and links into them."""

    def draw(runs: Sequence[RunProgress], active: bool) -> None:
        with st.container(horizontal=True, vertical_alignment="center", gap="small", key="pair"):
            if active:
                title = describe_metric(recipe.prediction.metric).title
                st.markdown(f"**Watch {title.lower()}**, at the top: left the control, right with the change.")
                return
            st.markdown(_said(recipe, [run.id for run in runs]))
            address = {"runs": join_ids(run.id for run in runs)}
            st.page_link("pages/compare.py", label="Compare", icon=":material/balance:", query_params=address)
            for run, label in zip(runs, ("Negatives: control", "Negatives: change"), strict=True):
                st.page_link(
                    "pages/negatives.py", label=label, icon=":material/compress:", query_params={"run": run.id}
                )

    return draw


def _said(recipe: Recipe, runs: list[str]) -> str:
    """How these two runs ended, by the metric in question."""
    metric = recipe.prediction.metric
    found = outcome(recipe, [load_compared(open_run(run).folder) for run in runs])
    values = [value for arm in found.arms for value in arm.values(metric).values()]
    if len(values) != 2:
        return "**These two:** not both have finished, so there is nothing to compare."
    control, broken = values
    side = "higher" if broken > control else "lower" if broken < control else "the same"
    agrees = "as predicted" if side == recipe.prediction.direction else "not as predicted"
    title = describe_metric(metric).title.lower()
    return (
        f"**These two** (one seed, no verdict): {title} {control:.3g}, {broken:.3g} with the change: {side}, {agrees}."
    )
