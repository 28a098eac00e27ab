"""The details of a comparison: tables, curves while they grow, what to export."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from contextlib import suppress
from itertools import product
from typing import TYPE_CHECKING, Any

import streamlit as st

from cpc_engine.comparison.forks import paired
from cpc_engine.comparison.judge import EXPLANATION
from cpc_engine.comparison.standings import titles
from cpc_engine.comparison.tables import differences, metrics_csv_columns, metrics_table
from cpc_engine.config import label_of
from cpc_engine.csv_text import columns_csv
from cpc_engine.errors import CpcError
from cpc_engine.terms import MODALITIES
from cpc_engine.training.plan import modalities

from ..components.chart import chart
from ..drawing.palette import series_style
from ..drawing.text import plain_name
from ..shell.errors import literal, plain_errors
from ..shell.names import names_of
from ..shell.session import has_ended, has_map, manager, open_run
from ..shell.status import duration, held, hold_switch, refresh_seconds
from .curves import CURVES, Axis, Bundle, Seeds, curves_figure, run_curve
from .data import all_ended, records_of
from .plane import MEANING, Trail, plane_columns, plane_figure, plane_words, trail_points

if TYPE_CHECKING:
    from cpc_engine.comparison.arms import Arm

    from ..drawing.charts import Figure

ABREAST = 3  # charts in a row
AXES: dict[Axis, str] = {"step": "Per step", "seconds": "Per second"}
SEEDS: dict[Seeds, str] = {"range": "Mean, range", "interval": "Mean, 95 %", "each": "Each run"}


def settings_diff(arms: Sequence[Arm]) -> None:
    """Settings that differ, or all of them."""
    every = st.toggle("Show all settings", key="all-settings", bind="query-params")
    columns = differences(arms, every)
    if columns["Setting"]:
        height = min(35 * (len(columns["Setting"]) + 1) + 3, 420)
        st.dataframe(_in_words(columns), hide_index=True, height=height, placeholder="–")
        st.download_button("Settings (CSV)", columns_csv(columns), "settings.csv", "text/csv", on_click="ignore")
    else:
        st.info("These runs differ in nothing but their seed: they are one arm.", icon=":material/equal:")


def _in_words(columns: Mapping[str, list[Any]]) -> dict[str, list[Any]]:
    """Settings by their labels, and "on" and "off" for the values of switches."""
    switches = {"true": "on", "false": "off"}
    words = {name: [switches.get(value, value) for value in values] for name, values in columns.items()}
    paths = (path.partition(" from step ") for path in columns["Setting"])
    return words | {"Setting": [f"{label_of(path)}{since}{step}" for path, since, step in paths]}


def metrics(arms: Sequence[Arm], baseline: Arm, primary: str) -> None:
    """Final metrics with intervals, differences and verdicts."""
    every = st.toggle("Every modality and horizon", key="all-metrics", bind="query-params")
    columns = metrics_table(arms, baseline, primary, every)
    if not columns["Metric"]:
        how = all_ended(arms)
        none = f"No run has finished ({how})" if how else "No run has finished yet"
        st.info(f"{none}, so there is nothing to measure.", icon=":material/hourglass_empty:")
        return
    # As wide as the longest text: cut short, "not distinguishable" would read as "not".
    wide = st.column_config.TextColumn(width=270)
    verdicts = {name: wide for name in columns if name == "Metric" or name.endswith("?")}
    height = min(35 * (len(columns["Metric"]) + 1) + 3, 560)
    st.dataframe(columns, hide_index=True, height=height, column_config=verdicts, placeholder="–")
    st.caption(EXPLANATION)
    st.download_button(
        "Metrics (CSV)",
        columns_csv(metrics_csv_columns(arms, baseline, primary)),
        "metrics.csv",
        "text/csv",
        key="metrics-csv",
        icon=":material/download:",
        on_click="ignore",
    )


def curve_choices(both: bool) -> tuple[Axis, Seeds, bool, bool]:
    """(axis, what is drawn of seeds, smoothed, modalities apart) as the reader wants it; `both` where there are two."""
    with st.container(horizontal=True, vertical_alignment="bottom"):
        axis = st.segmented_control(
            "Axis",
            list(AXES),
            default="step",
            required=True,
            format_func=AXES.__getitem__,
            key="axis",
            bind="query-params",
        )
        seeds = st.segmented_control(
            "Seeds",
            list(SEEDS),
            default="range",
            required=True,
            format_func=SEEDS.__getitem__,
            key="seeds",
            bind="query-params",
            help="95 %: Student-t interval over seeds; it does not cover the choice of held-out items or split.",
        )
        beneath = "The values themselves stay faint beneath."
        smoothed = st.toggle("Smooth", value=True, key="smooth", help=beneath, bind="query-params")
        apart = both and st.toggle("Sounds and pictures apart", key="apart", bind="query-params")
    return axis, seeds, smoothed, apart


def curve_figures(
    arms: Sequence[Arm], axis: Axis, seeds: Seeds, smoothed: bool, apart: bool = False
) -> dict[str, Figure]:
    """{name: figure} of each metric that has points, or of each of its modalities."""
    records = {run.id: records_of(run.id) for arm in arms for run in arm.runs}
    names = titles(arms)
    figures = {}
    for metric, modality in product(CURVES, MODALITIES if apart else [""]):
        bundles = [
            Bundle(
                plain_name(names[index]),
                series_style(index),
                [run_curve(records[run.id], metric, axis, modality) for run in arm.runs],
            )
            for index, arm in enumerate(arms)
        ]
        if any(len(curve.x) for bundle in bundles for curve in bundle.curves):
            name = f"{metric}-{modality}" if modality else metric
            figures[name] = curves_figure(bundles, metric, axis, seeds, smoothed, modality)
            if axis == "step":  # as long as the runs will be, so that nothing moves while they grow
                figures[name]["layout"]["xaxis"]["range"] = [0, 1.01 * max(arm.config.optimizer.steps for arm in arms)]
    return figures


def plane_trails(arms: Sequence[Arm], apart: bool = False) -> dict[str, list[Trail]]:
    """{modality: trails over alignment and uniformity}; the modality is "" where they are not apart."""
    names = titles(arms)
    found = {}
    for modality in MODALITIES if apart else [""]:
        trails = [
            Trail(plain_name(run.label), plain_name(names[index]), series_style(index), points)
            for index, arm in enumerate(arms)
            for run in arm.runs
            if (points := trail_points(records_of(run.id), modality))
        ]
        if trails:
            found[modality] = trails
    return found


def curves(arms: Sequence[Arm]) -> None:
    """All curves; they grow by themselves while a run is active, unless they are held still."""
    axis, seeds, smoothed, apart = curve_choices(any(len(modalities(arm.config)) > 1 for arm in arms))
    active = [run.id for arm in arms for run in arm.runs if not has_ended(run.status)]
    if active and not manager().active():
        hold_switch()  # runs of another process, of which the bar below the page does not tell
    st.fragment(_curves, run_every=refresh_seconds(active[0]) if active and not held() else None)(
        arms, active, axis, seeds, smoothed, apart
    )


def _curves(arms: Sequence[Arm], active: list[str], axis: Axis, seeds: Seeds, smoothed: bool, apart: bool) -> None:
    with plain_errors():
        runs = [manager().progress_of(run) for run in active]
        if any(has_ended(run.status) for run in runs):
            st.rerun()  # a run has ended: its numbers count from now on
        named = names_of(open_run(run.id).info for run in runs)
        for run in runs[:4]:
            left = f" · {duration(run.seconds_left)} left" if run.seconds_left else ""
            text = literal(f"{named[run.id]} · {run.step} of {run.steps} steps{left}")
            st.progress(min(run.step / max(run.steps, 1), 1.0), text=text)
        if len(runs) > 4:
            st.caption(f"and {len(runs) - 4} more wait or train")
        figures = curve_figures(arms, axis, seeds, smoothed, apart)
        if not figures:
            how = all_ended(arms)
            none = f"Nothing was recorded ({how})." if how else "Nothing is recorded yet."
            begin = "" if how else " The curves begin with the first step."
            st.info(f"{none}{begin}", icon=":material/hourglass_empty:")
        marks = [f":color[■]{{foreground='{series_style(index).color}'}}" for index in range(len(arms))]
        names = [literal(title) for title in titles(arms)]
        st.markdown(" &ensp; ".join(f"{mark} {name}" for mark, name in zip(marks, names, strict=True)))
        for index, (name, figure) in enumerate(figures.items()):
            if index % ABREAST == 0:
                row = st.columns(ABREAST)  # a row of its own, so that a phone shows them in this order
            # One legend for all charts stands above them. Where few steps were recorded the nearest of them counts.
            figure["layout"] |= {"showlegend": False, "hoverdistance": -1}
            figure["layout"]["margin"] |= {"t": 40}
            with row[index % ABREAST]:
                chart(figure, f"compare-{name}", 270, together="compare")
        planes = plane_trails(arms, apart)
        for (modality, trails), place in zip(planes.items(), st.columns(max(len(planes), 1)), strict=False):
            figure = plane_figure(trails, modality)
            figure["layout"] |= {"showlegend": False}
            figure["layout"]["margin"] |= {"t": 40}
            with place:
                chart(
                    figure,
                    f"plane-{modality}",
                    380,
                    MEANING,
                    alt=plane_words(trails),
                    columns=plane_columns(trails),
                )


def mapped(arms: Sequence[Arm]) -> dict[str, str]:
    """{run: name} of the runs that have a map, the first of each arm first."""
    of_arms = titles(arms)
    names: dict[str, str] = {}
    for arm, title in zip(arms, of_arms, strict=True):
        names |= {run.id: f"{title} · seed {run.seed}" for run in arm.runs if has_map(run.id)}
    first = [arm.runs[0].id for arm in arms if arm.runs[0].id in names]
    return {run: names[run] for run in [*first, *names]}


def export(arms: Sequence[Arm], baseline: Arm, primary: str) -> None:
    """The report, commands and configurations."""
    from .report import commands, configurations, latex_table

    shell = commands(arms)
    with st.container(horizontal=True):
        st.download_button(
            "Report (one HTML file)",
            lambda: _report(arms, baseline, primary),
            "comparison.html",
            "text/html",
            key="report",
            icon=":material/article:",
            type="primary",
            on_click="ignore",
        )
        st.download_button(
            "Configurations (JSON)",
            configurations(arms),
            "configurations.json",
            "application/json",
            on_click="ignore",
        )
        st.download_button(
            "Table (LaTeX)", latex_table(arms, primary), "table.tex", "text/x-tex", key="latex", on_click="ignore"
        )
        st.download_button("Commands (shell)", shell, "commands.sh", "text/x-shellscript", on_click="ignore")
    with st.expander("The same from the command line"):
        st.code(shell, language="bash", wrap_lines=True)
    st.caption("Below each chart, Figure saves it as SVG, PDF or PNG and Table as CSV.")


def _report(arms: Sequence[Arm], baseline: Arm, primary: str) -> str:
    from .forks import fork_figures
    from .maps import load_side
    from .negatives import drawn_runs
    from .pairs import aligned, pair_figures
    from .report import report

    maps = []
    names = list(mapped(arms).items())[:2]
    with suppress(CpcError):  # a damaged map must not cost the rest of the report
        sides = aligned([load_side(run, name, "pca") for run, name in names])
        for side, figure in zip(sides, pair_figures(sides), strict=True):
            maps.append((figure, f"PCA map of {len(side.labels)} held-out items of {side.name}, colored by class."))
    planes = [(plane_figure(trails, modality), plane_words(trails)) for modality, trails in plane_trails(arms).items()]
    curves = list(curve_figures(arms, "step", "range", True).values())
    forks = list(fork_figures(paired(run for arm in arms for run in arm.runs)).values())
    return report(arms, baseline, primary, curves, maps, planes, forks, drawn_runs(arms))
