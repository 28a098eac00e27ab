"""The Sweeps page: start a sweep, watch its table fill, and see which setting matters and which is best."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import streamlit as st

from ..components.live_chart import live_chart
from ..shell.compat import inside_app
from ..shell.errors import plain_errors
from ..shell.session import root
from .figures import as_text, heat_figure, importance_figure, parallel_figure, short
from .start import new_sweep

if TYPE_CHECKING:
    from collections.abc import Sequence

    from cpc_engine.sweeps.results import Best, Row
    from cpc_engine.sweeps.study import Spec

SECONDS = 5  # between two looks at a sweep that goes on


def show() -> None:
    """Draw the page."""
    inside_app()
    st.title("Sweeps")
    st.caption("Many settings at several seeds, each an ordinary run. Which setting matters, and which value is best?")
    from cpc_engine.sweeps.background import is_going, list_sweeps

    names = list_sweeps(root())
    with st.expander("New sweep", icon=":material/add:", expanded=not names):
        new_sweep()
    if not names:
        return
    name = st.selectbox("Sweep", names, key="sweep", bind="query-params", width=340)
    going = is_going(root(), name)
    st.fragment(_sweep, run_every=SECONDS if going else None)(name, going)


def _sweep(name: str, expected: bool) -> None:
    with plain_errors():
        from cpc_engine.sweeps.background import is_going
        from cpc_engine.sweeps.results import best_setting, importance, rows
        from cpc_engine.sweeps.study import open_study, storage_url

        going = is_going(root(), name)
        if expected and not going:
            st.rerun()  # it has ended: no further looks
        study, spec = open_study(storage_url(root(), name, None), name)
        table = rows(study, spec, root())
        _head(name, going, table)
        best = best_setting(table, spec, root())
        _best(best, spec)
        _table(table, spec)
        # Of one setting, or of several that are equal, nothing can be explained.
        _charts(table, spec, importance(study) if best is not None and best.of > 1 + best.tied else {})


def _head(name: str, going: bool, table: Sequence[Row]) -> None:
    """How far it is, and what stops it or lets it go on."""
    from cpc_engine.sweeps.background import begin, stop

    left = sum(row.status in ("waiting", "running") for row in table)
    with st.container(horizontal=True, vertical_alignment="center"):
        text = f"{len(table) - left} of {len(table)} runs have ended"
        st.progress((len(table) - left) / len(table), text=f"{text}{' · working' if going else ''}", width="stretch")
        if going and st.button("Stop", icon=":material/stop:", key="stop-sweep"):
            stop(root(), name)
            st.rerun()
        if not going and left and st.button("Go on", icon=":material/play_arrow:", key="go-on", type="primary"):
            begin(root(), name, None, workers=1)
            st.rerun()


def _best(best: Best | None, spec: Spec) -> None:
    if best is None:
        st.info("No setting has all its runs yet.", icon=":material/hourglass_empty:")
        return
    shown = ", ".join(f"{short(path)} {as_text(value)}" for path, value in best.settings.items())
    if best.of > 1 and not best.tied:
        st.success(f"Best by {spec.metric}: **{shown}**, {best.sentence()}.", icon=":material/trophy:")
    else:
        st.info(f"{spec.metric} of **{shown}**: {best.sentence()}.", icon=":material/balance:")
    st.page_link(
        "pages/train.py", label="See its run", icon=":material/show_chart:", query_params={"run": best.runs[0]}
    )


def _table(table: Sequence[Row], spec: Spec) -> None:
    columns: dict[str, list[Any]] = {short(path): [] for path in spec.space.dimensions}
    for row in table:
        for path in spec.space.dimensions:
            columns[short(path)].append(as_text(row.settings[path]) if path in row.settings else "")
    columns |= {
        "Seed": [row.seed for row in table],
        "Status": [row.status for row in table],
        spec.metric: [row.value for row in table],
        "Run": [None if row.run is None else f"/train?run={row.run}" for row in table],
        "Why": [row.message for row in table],
    }
    link = st.column_config.LinkColumn(display_text=r"run=(.*)")
    st.dataframe(
        columns,
        hide_index=True,
        height=min(35 * (len(table) + 1) + 3, 300),
        column_config={"Run": link},
        placeholder="–",
    )


def _charts(table: Sequence[Row], spec: Spec, shares: dict[str, float]) -> None:
    measured = [(row.settings, row.value) for row in table if row.value is not None]
    if len(measured) < 2:
        return
    settings, values = [one for one, _ in measured], [value for _, value in measured]
    st.subheader("All runs", anchor="runs")
    alt = f"{len(values)} runs; {spec.metric} from {min(values):.3g} to {max(values):.3g}"
    live_chart(parallel_figure(settings, values, spec.metric), key="parallel", height=340, alt=alt)
    st.caption("One line a run. Drag along an axis to keep only the lines that pass there.")
    if shares:
        st.subheader("What matters", anchor="matters")
        told = ", ".join(f"{short(path)} {share:.0%}" for path, share in shares.items())
        live_chart(importance_figure(shares), key="importance", height=80 + 40 * len(shares), alt=told)
        st.caption("fANOVA over the settings that were tried. Few settings make it rough.")
    if len(paths := list(spec.space.dimensions)) > 1:
        st.subheader("Two settings", anchor="two")
        with st.container(horizontal=True):
            across = st.selectbox("Across", paths, format_func=short, key="across")
            up = st.selectbox("Up", [path for path in paths if path != across], format_func=short, key="up")
        alt = f"Mean {spec.metric} by {short(across)} and {short(up)}"
        live_chart(heat_figure(settings, values, across, up, spec.metric), key="heat", height=360, alt=alt)
        st.caption("Means over seeds and over what else varies.")
