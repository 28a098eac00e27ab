"""The parts of the comparison page that draw: tables, curves while they grow, what to take along."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import suppress
from itertools import product
from typing import TYPE_CHECKING

import streamlit as st

from cpc_engine.errors import CpcError
from cpc_engine.negatives.plan import modalities

from .compare_curves import CURVES, Axis, Bundle, Seeds, curves_figure, plain_name, run_curve
from .compare_data import GOING_ON, records_of
from .compare_tables import differences, measures_csv_columns, measures_table
from .curves import columns_csv
from .engine import manager, plain_errors, root
from .palette import MODALITIES, series_style
from .run_view import chart, refresh_seconds
from .status import duration, held, hold_here

if TYPE_CHECKING:
    from cpc_engine.evaluation.compare import Setting

    from .charts import Figure


def settings_diff(settings: Sequence[Setting]) -> None:
    """Knobs that differ, or all of them."""
    every = st.toggle("Show all knobs", key="all-knobs", bind="query-params")
    columns = differences(settings, every)
    if columns["Knob"]:
        st.dataframe(columns, hide_index=True, height=min(35 * (len(columns["Knob"]) + 1) + 3, 420))
        st.download_button("Settings (CSV)", columns_csv(columns), "settings.csv", "text/csv", on_click="ignore")
    else:
        st.info("These runs differ in nothing but their seed: they are one setting.", icon=":material/equal:")


def measures(settings: Sequence[Setting]) -> Setting:
    """Final measures with intervals and verdicts; gives the setting that the others are held against."""
    by_letter = {setting.letter: setting for setting in settings}
    with st.container(horizontal=True, vertical_alignment="bottom"):
        letter = st.selectbox(
            "Hold all against",
            list(by_letter),
            format_func=lambda one: by_letter[one].name,
            key="reference",
            bind="query-params",
            width=320,
        )
        every = st.toggle("Every modality and horizon", key="all-measures", bind="query-params")
    reference = by_letter[letter]
    columns = measures_table(settings, reference, every)
    if not columns["Measure"]:
        st.info("No run has finished yet, so there is nothing to measure.", icon=":material/hourglass_empty:")
        return reference
    # As wide as the longest text: cut short, "not distinguishable" would read as "not".
    wide = st.column_config.TextColumn(width=230)
    verdicts = {name: wide for name in columns if name == "Measure" or name.endswith("?")}
    height = min(35 * (len(columns["Measure"]) + 1) + 3, 560)
    st.dataframe(columns, hide_index=True, height=height, column_config=verdicts)
    st.caption(
        "Mean ± half width of the 95 % Student-t interval over seeds of finished runs. Verdicts come from "
        "differences seed by seed where the seeds are the same, else from Welch's interval. Of twenty measures "
        "about one differs by chance."
    )
    st.download_button(
        "Measures (CSV)",
        columns_csv(measures_csv_columns(settings, reference)),
        "measures.csv",
        "text/csv",
        key="measures-csv",
        icon=":material/download:",
        on_click="ignore",
    )
    return reference


def curve_choices(both: bool) -> tuple[Axis, Seeds, bool, bool]:
    """(axis, what is drawn of seeds, smoothed, sound and pictures apart) as the reader wants it."""
    with st.container(horizontal=True, vertical_alignment="bottom"):
        words = {"step": "Per step", "seconds": "Per second"}
        axis = st.segmented_control(
            "Axis",
            list(words),
            default="step",
            required=True,
            format_func=words.__getitem__,
            key="axis",
            bind="query-params",
        )
        words = {"range": "Mean, range", "interval": "Mean, 95 %", "each": "Each run"}
        seeds = st.segmented_control(
            "Seeds",
            list(words),
            default="range",
            required=True,
            format_func=words.__getitem__,
            key="seeds",
            bind="query-params",
        )
        beneath = "The values themselves stay faint beneath."
        smoothed = st.toggle("Smooth", value=True, key="smooth", help=beneath, bind="query-params")
        apart = both and st.toggle("Sound and pictures apart", key="apart", bind="query-params")
    return axis, seeds, smoothed, apart  # type: ignore[return-value]


def curve_figures(
    settings: Sequence[Setting], axis: Axis, seeds: Seeds, smoothed: bool, apart: bool = False
) -> list[Figure]:
    """A figure for each measure that has points, or one for each of its modalities."""
    records = {run.id: records_of(run.id) for setting in settings for run in setting.runs}
    figures = []
    for measure, modality in product(CURVES, MODALITIES if apart else [""]):
        bundles = [
            Bundle(
                plain_name(s.name),
                series_style(index),
                [run_curve(records[run.id], measure, axis, modality) for run in s.runs],
            )
            for index, s in enumerate(settings)
        ]
        if any(len(curve.x) for bundle in bundles for curve in bundle.curves):
            figures.append(curves_figure(bundles, measure, axis, seeds, smoothed, modality))
    return figures


def curves(settings: Sequence[Setting]) -> None:
    """All curves; they grow by themselves while a run goes on, unless they are held still."""
    choices = curve_choices(any(len(modalities(setting.config)) > 1 for setting in settings))
    going_on = [run.id for setting in settings for run in setting.runs if run.status in GOING_ON]
    if going_on:
        hold_here()
    st.fragment(_curves, run_every=refresh_seconds(going_on[0]) if going_on and not held() else None)(
        settings, going_on, *choices
    )


def _curves(
    settings: Sequence[Setting], going_on: list[str], axis: Axis, seeds: Seeds, smoothed: bool, apart: bool
) -> None:
    with plain_errors():
        now = [manager().snapshot(run) for run in going_on]
        if any(one.status not in GOING_ON for one in now):
            st.rerun()  # a run has ended: its numbers count from now on
        for one in now[:4]:
            left = f" · {duration(one.seconds_left)} left" if one.seconds_left else ""
            text = f"{one.name or one.id} · {one.step} of {one.steps} steps{left}".replace("[", "\\[")
            st.progress(min(one.step / max(one.steps, 1), 1.0), text=text)
        if len(now) > 4:
            st.caption(f"and {len(now) - 4} more wait or train")
        figures = curve_figures(settings, axis, seeds, smoothed, apart)
        if not figures:
            st.info("Nothing is recorded yet. The curves begin with the first step.", icon=":material/hourglass_empty:")
        for index, figure in enumerate(figures):
            if index % 2 == 0:
                row = st.columns(2)  # a row of its own, so that a phone shows them in this order
            with row[index % 2]:
                chart(
                    figure,
                    f"compare-{figure['layout']['title']['text'].lower().replace(':', '').replace(' ', '-')}",
                    320,
                )


def mapped(settings: Sequence[Setting]) -> dict[str, str]:
    """{run: name} of the runs that have a map, first the first of each setting."""
    found: dict[str, str] = {}
    for setting in settings:
        found |= {
            run.id: f"{setting.name} · seed {run.seed}"
            for run in setting.runs
            if (root() / run.id / "map.json").is_file()
        }
    first = [s.runs[0].id for s in settings if s.runs[0].id in found]
    return {run: found[run] for run in [*first, *found]}


def take_along(settings: Sequence[Setting], reference: Setting) -> None:
    """The report, commands and configurations."""
    from .compare_report import commands, configurations

    shell = commands(settings)
    with st.container(horizontal=True):
        st.download_button(
            "Report (one HTML file)",
            lambda: _report(settings, reference),
            "comparison.html",
            "text/html",
            key="report",
            icon=":material/article:",
            type="primary",
            on_click="ignore",
        )
        st.download_button(
            "Configurations (JSON)",
            configurations(settings),
            "configurations.json",
            "application/json",
            on_click="ignore",
        )
        st.download_button("Commands (shell)", shell, "commands.sh", "text/x-shellscript", on_click="ignore")
    with st.expander("The same from the command line"):
        st.code(shell, language="bash", wrap_lines=True)
    st.caption("Each chart's own toolbar saves it as PNG or SVG; each table and map has its CSV beside it.")


def _report(settings: Sequence[Setting], reference: Setting) -> str:
    from .compare_maps import load_side, pair_figures
    from .compare_report import report

    maps = []
    names = list(mapped(settings).items())[:2]
    with suppress(CpcError):  # a damaged map must not cost the rest of the report
        sides = [load_side(run, name, "pca") for run, name in names]
        for side, figure in zip(sides, pair_figures(sides), strict=True):
            figure["layout"] |= {"dragmode": "pan"}
            maps.append((figure, f"PCA map of {len(side.labels)} held-out items of {side.name}, coloured by class."))
    return report(settings, reference, curve_figures(settings, "step", "range", True), maps)
