"""The Break it page: a recipe and its prediction, two runs beside each other, and then what was measured of it."""

from __future__ import annotations

import streamlit as st

from cpc_engine.break_it.recipe import Recipe
from cpc_engine.break_it.recipes import RECIPES
from cpc_engine.datasets import DATASETS
from cpc_engine.evaluation.metric_info import describe_metric

from ..components.beside.two_runs import CSS as BESIDE
from ..components.beside.two_runs import show_two
from ..shell.address import asks_anew, join_ids, put, remember
from ..shell.compat import inside_app
from ..shell.errors import plain_errors
from ..shell.glossary import define
from ..shell.session import has_ended, manager
from .found import show_found
from .pair import above, pair_of

SHOWN = ("share", "loss")  # below the metric in question
HEIGHT = 380
CSS = f"""{BESIDE}
.st-key-predicted p {{ font-size: 1.0rem; line-height: 1.45; }}
.st-key-pair {{ min-height: 2.5rem; }}
[data-testid="stHeading"] h1 {{ padding: 0; }}
"""


def show() -> None:
    """Draw the page."""
    inside_app()
    st.html(f"<style>{CSS}</style>")
    with st.container(horizontal=True, vertical_alignment="center", gap="medium"):
        st.title("Break it", anchor=False, width="content")
        st.caption(
            "One change to a small run that works, a prediction written before anything was measured, and a control "
            "beside it.",
            width="stretch",
        )
    with plain_errors():
        recipe = _choose()
        runs = pair_of(recipe)
        ended = bool(runs) and all(has_ended(manager().progress_of(run).status) for run in runs)
        asked = _predicted(recipe, again=bool(runs), ended=ended)
        if runs:
            show_two(runs, (recipe.prediction.metric, *SHOWN), above(recipe), HEIGHT)
        if ended or asked:
            show_found(recipe)


def _choose() -> Recipe:
    """The recipe that the reader picks, or the address asks for."""
    key, asked = "chosen-recipe", st.query_params.get("recipe", "")
    if key not in st.session_state or (asked in RECIPES and asks_anew(key, ("recipe",))):  # by a link, or Back
        st.session_state[key] = asked if asked in RECIPES else next(iter(RECIPES))
    chosen = st.pills(
        "Recipe",
        list(RECIPES),
        required=True,
        format_func=lambda name: RECIPES[name].title,
        key=key,
        label_visibility="collapsed",
    )
    name = chosen or next(iter(RECIPES))
    put("recipe", name)
    remember(key, ("recipe",))
    return RECIPES[name]


def _predicted(recipe: Recipe, again: bool, ended: bool) -> bool:
    """Change, prediction and the button; whether the reader asks for what was measured.

    Args:
        again: whether the two runs are there already. ended: whether they have ended.
    """
    told, act = st.columns([7, 3], gap="medium", vertical_alignment="center")
    config = recipe.control.config()
    metric = describe_metric(recipe.prediction.metric)
    with told, st.container(key="predicted"):
        data = DATASETS[config.data.dataset].title.lower()
        st.markdown(
            f"**The change:** {recipe.change}. The control has “{recipe.control.title}”, on {data}.",
            help=define("control"),
        )
        st.markdown(
            f"**Predicted:** {recipe.prediction.words} Judged by: {metric.title.lower()}, "
            f"**{recipe.prediction.direction}** than the control's.",
            help=metric.meaning,
        )
    with act:
        label = "Train both again" if again else "Train it beside a control"
        if st.button(label, type="primary", icon=":material/play_arrow:", key="break", on_click=_start, args=(recipe,)):
            st.rerun()
        with st.container(horizontal=True, vertical_alignment="center"):
            st.caption("Half a minute on two processor cores.", width="content")
            asked = False
            if not ended:
                asked = st.toggle("Show what was measured", key="measured", bind="query-params")
    return asked


def _start(recipe: Recipe) -> None:
    """Train control and broken run at the same time; as a callback, so that a click counts wherever the page is."""
    with plain_errors():
        st.query_params["runs"] = join_ids(manager().start_together(list(recipe.configs())))
