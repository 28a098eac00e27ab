"""The Sweeps page: start a sweep, watch its table fill, and see which setting matters and which is best."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import streamlit as st

from cpc_engine.comparison.arms import MIN_SEEDS
from cpc_engine.config import in_words, label_of
from cpc_engine.evaluation.metric_info import describe_metric
from cpc_engine.storage.folder import RunFolder

from ..components.live_chart import live_chart
from ..shell.address import base_path, join_ids
from ..shell.compat import inside_app
from ..shell.errors import plain_errors
from ..shell.session import has_ended, open_run, root
from .figures import as_text, importance_figure, parallel_figure, two_figure, two_height
from .start import new_sweep

if TYPE_CHECKING:
    from collections.abc import Sequence

    from optuna import Study

    from cpc_engine.sweeps.results import Best, Row
    from cpc_engine.sweeps.study import Spec

SECONDS = 5  # between two looks at a sweep that goes on
MOST = 40  # runs that Compare takes
ROW, HIGHEST = 35, 420  # pixels of a row, and of the table at most


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
    with plain_errors():
        active = is_going(root(), name) or _trains(_read(name)[2])
        st.fragment(_sweep, run_every=SECONDS if active else None)(name, active)


def _read(name: str) -> tuple[Study, Spec, list[Row]]:
    """A sweep as it is now.

    Raises:
        CpcError: it cannot be read.
    """
    from cpc_engine.sweeps.results import rows
    from cpc_engine.sweeps.study import open_study, storage_url

    study, spec = open_study(storage_url(root(), name, None), name)
    return study, spec, rows(study, spec, root())


def _trains(table: Sequence[Row]) -> bool:
    """Whether a run of it trains now, also for a sweep that a command line started."""
    begun = [row.run for row in table if row.run is not None and row.status == "running"]
    here = [run for run in begun if RunFolder(root() / run).has("config")]
    return any(not has_ended(open_run(run).info.status) for run in here)


def _sweep(name: str, expected: bool) -> None:
    with plain_errors():
        from cpc_engine.sweeps.background import is_going
        from cpc_engine.sweeps.results import best_setting, importance

        going = is_going(root(), name)
        study, spec, table = _read(name)
        if expected and not (going or _trains(table)):
            st.rerun()  # it has ended: no further looks
        _head(name, going, table)
        best = best_setting(table, spec, root())
        metric = describe_metric(spec.metric).title
        _best(best, table, metric)
        _table(table, spec, metric)
        # Of one setting, or of several that are equal, nothing can be explained.
        _charts(table, spec, importance(study) if best is not None and best.of > 1 + best.tied else {}, metric)


def _head(name: str, going: bool, table: Sequence[Row]) -> None:
    """How far it is, and what stops it or lets it go on."""
    from cpc_engine.sweeps.background import begin, stop

    left = sum(row.status in ("waiting", "running") for row in table)
    failed = sum(row.status == "failed" for row in table)
    with st.container(horizontal=True, vertical_alignment="center", gap="small"):
        elsewhere = not going and _trains(table)
        ended = f"{failed} failed" if failed else "finished"
        state = "going on" if going or elsewhere else "stopped" if left else ended
        st.badge(state, color="blue" if going or elsewhere else "gray" if left else "red" if failed else "green")
        st.progress(
            (len(table) - left) / len(table),
            text=f"{len(table) - left} of {len(table)} runs have ended{' · started outside of the app' * elsewhere}",
            width="stretch",
        )
        if going and st.button("Stop", icon=":material/stop:", key="stop-sweep"):
            stop(root(), name)
            st.rerun()
        label = "Go on" if left else "Try what failed again"
        if (
            not (going or elsewhere)
            and (left or failed)
            and st.button(label, icon=":material/play_arrow:", key="go-on", type="primary")
        ):
            begin(root(), name, None, workers=1)
            st.rerun()


def _best(best: Best | None, table: Sequence[Row], metric: str) -> None:
    """What to make of it, and the way to its runs."""
    if best is None:
        st.info("No setting has all its runs yet.", icon=":material/hourglass_empty:")
    elif best.of > 1 and not best.tied:
        few = best.seeds < MIN_SEEDS
        words = f"Best mean of {metric.lower()}: **{in_words(_rounded(best.settings))}**, {best.sentence()}."
        if few:
            words += f" No verdict below {MIN_SEEDS} seeds."
        (st.info if few else st.success)(words, icon=":material/leaderboard:" if few else ":material/trophy:")
    else:
        st.info(f"{metric} of **{in_words(_rounded(best.settings))}**: {best.sentence()}.", icon=":material/balance:")
    runs = [row.run for row in table if row.run is not None]
    if not runs:
        return
    with st.container(horizontal=True, gap="small"):
        if best is not None:
            st.page_link(
                "pages/train.py", label="Open its run", icon=":material/tune:", query_params={"run": best.runs[0]}
            )
        if len(runs) <= MOST:
            address = {"runs": join_ids(runs)}
            st.page_link("pages/compare.py", label="Compare all runs", icon=":material/balance:", query_params=address)


def _rounded(settings: dict[str, Any]) -> dict[str, Any]:
    """What TPE draws has many digits."""
    return {path: as_text(value) for path, value in settings.items()}


def _table(table: Sequence[Row], spec: Spec, metric: str) -> None:
    columns: dict[str, list[Any]] = {
        label_of(path): [as_text(row.settings[path]) if path in row.settings else "" for row in table]
        for path in spec.space.dimensions
    }
    columns |= {
        "Seed": [row.seed for row in table],
        "Status": [row.status for row in table],
        metric: [row.value for row in table],
        "Run": [None if row.run is None else f"{base_path()}/train?run={row.run}" for row in table],
    }
    if any(row.message for row in table):
        columns["Why"] = [row.message for row in table]
    st.subheader("Runs", anchor="runs")
    st.dataframe(
        columns,
        hide_index=True,
        height=min(ROW * (len(table) + 1) + 3, HIGHEST),
        column_config={"Run": st.column_config.LinkColumn(display_text="Open")},
        placeholder="–",
    )


def _charts(table: Sequence[Row], spec: Spec, shares: dict[str, float], metric: str) -> None:
    measured = [(row.settings, row.value) for row in table if row.value is not None]
    if len(measured) < 2:
        return
    settings, values = [one for one, _ in measured], [value for _, value in measured]
    st.subheader("From settings to results", anchor="lines")
    alt = f"{len(values)} runs; {metric} from {min(values):.3g} to {max(values):.3g}"
    live_chart(parallel_figure(settings, values, metric), key="parallel", height=300, alt=alt)
    st.caption("One line a run; the color is the last axis. Drag along an axis to keep only the lines that pass there.")
    if shares:
        st.subheader("What matters", anchor="matters")
        told = ", ".join(f"{label_of(path)} {share:.0%}" for path, share in shares.items())
        live_chart(importance_figure(shares), key="importance", height=80 + 40 * len(shares), alt=told)
        st.caption("fANOVA over the settings that were tried. Few settings make it rough.")
    if len(paths := list(spec.space.dimensions)) > 1:
        st.subheader("Two settings", anchor="two")
        with st.container(horizontal=True):
            across = st.selectbox("Across", paths, format_func=label_of, key="across", width=260)
            others = [path for path in paths if path != across]
            up = st.selectbox("Up", others, format_func=label_of, key="up", width=260)
        alt = f"{metric} by {label_of(across)} and {label_of(up)}"
        figure = two_figure(settings, values, across, up, metric)
        live_chart(figure, key="heat", height=two_height(figure), alt=alt)
        cells = figure["data"][0]["type"] == "heatmap"
        st.caption("Means over seeds and over what else varies." if cells else "A dot a run, colored by the metric.")
