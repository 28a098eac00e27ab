"""The Compare page: arms of runs side by side, with intervals and verdicts."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import streamlit as st

from cpc_engine.comparison.arms import MIN_SEEDS

from ..shell.compat import inside_app
from ..shell.errors import plain_errors
from ..shell.session import manager, runs
from .data import all_ended, choose, known_arms, load, newest_two, show_also, show_only, siblings

if TYPE_CHECKING:
    from cpc_engine.comparison.arms import Arm
    from cpc_engine.storage.info import RunInfo

    from .data import Known


def show() -> None:
    """Draw the page."""
    inside_app()
    st.title("Compare runs")
    st.caption("Which setting is better, by how much, and is it more than chance?")
    infos = runs()
    _first_comparison(infos)
    if infos:
        known = known_arms(infos)
        if arms := _chosen_arms(infos):
            _compare(arms, known)


def _first_comparison(infos: Sequence[RunInfo]) -> None:
    """What leads on while there are no two runs of the reader's own."""
    own = [info for info in infos if not info.is_example]
    if len(own) >= 2:
        return
    there = "There is one run of yours, and nothing to hold it against" if own else "There is no run of yours yet"
    st.info(
        f"{there}. Two settings with {MIN_SEEDS} seeds each give a verdict: {2 * MIN_SEEDS} runs of half a minute.",
        icon=":material/balance:",
    )
    if st.button("Train two settings to compare", type="primary", icon=":material/play_arrow:", key="begin"):
        with plain_errors():
            _begin()


def _begin() -> None:
    """Two settings of the 60-second run, with as many seeds each as a verdict needs."""
    from cpc_engine import preset
    from cpc_engine.comparison.recipes import changed_configs

    base = preset("tones").config().replace({"optimizer.steps": 120, "evaluation.every": 25})
    changes = [{"sampler.perturbed": False}, {"sampler.perturbed": True}]
    names = ["Tones", "Tones with perturbed negatives"]
    # Alone: beside examples of other data they would be held against those.
    show_only([manager().start(config) for config in changed_configs(base, changes, range(MIN_SEEDS), names)])


def _chosen_arms(infos: list[RunInfo]) -> list[Arm]:
    """The arms of the runs that the reader picks."""
    from cpc_engine.comparison.arms import group

    arms = group(load(choose(infos)))
    if not arms:
        st.info(
            "Choose two or more runs above. Runs that differ only in their seed are taken together.",
            icon=":material/arrow_upward:",
        )
        if st.button("Compare the newest two", icon=":material/balance:", key="newest"):
            show_also(newest_two(infos))
    return arms


def _compare(arms: list[Arm], known: Known) -> None:
    from cpc_engine.comparison.tables import overview

    from . import launch, view
    from .forks import show_forks
    from .maps import show_maps
    from .standing import choose_standard, show_standing

    baseline, primary = choose_standard(arms)
    # In containers: what comes as runs end leaves the charts below in their places, and with them a reader's zoom.
    with st.container():
        show_standing(arms, baseline, primary)
    with st.container():
        launch.probes([run for arm in arms for run in arm.runs])
        launch.missing(arms, known)
        more = siblings(arms, known)
        label = f"Add their {len(more)} other seed{'s' * (len(more) > 1)}"
        if more and st.button(label, icon=":material/add:", key="siblings"):
            show_also(more)

    with st.container():
        show_forks([run for arm in arms for run in arm.runs], primary)

    st.header("All metrics", anchor="better")
    with st.container():
        view.metrics(arms, baseline, primary)

    st.header("What differs", anchor="differs")
    st.dataframe(overview(arms), hide_index=True, placeholder="–")
    if len(arms) > 1:
        view.settings_diff(arms)

    st.header("Curves", anchor="curves")
    view.curves(arms)

    st.header("Maps", anchor="maps")
    if mapped := view.mapped(arms):
        show_maps(mapped)
    else:
        how = all_ended(arms)
        told = f"None of these runs has a map ({how})." if how else "A run draws its map when it ends."
        st.info(told, icon=":material/hourglass_empty:")

    st.header("Sweep", anchor="sweep")
    launch.sweep(arms, known)

    st.header("Export", anchor="export")
    with plain_errors():
        view.export(arms, baseline, primary)
