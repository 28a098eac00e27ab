"""One run on a page: its progress, its curves while they grow, its alarms, and its map at the end."""

from __future__ import annotations

from itertools import cycle
from typing import TYPE_CHECKING

import streamlit as st

from cpc_engine.evaluation.metric_info import METRICS

from ..drawing import curves
from ..drawing.csv_text import records_csv
from ..shell.errors import literal, plain_errors, sentence
from ..shell.glossary import define
from ..shell.links import train_like
from ..shell.session import has_ended, manager, open_run
from ..shell.status import badge, duration, held, hold_here
from .chart import chart
from .run_controls import controls
from .run_map import show_evolving_map, show_run_map
from .settings_form import as_text

if TYPE_CHECKING:
    from cpc_engine import Run
    from cpc_engine.execution.manager import RunProgress


MAP_SECONDS = 10  # between two looks for a newer map of an active run


def refresh_seconds(run: str) -> float:
    """Seconds between two looks at a run: fewer on a GPU, since drawing takes processor time from training."""
    with plain_errors():
        if open_run(run).info.device.startswith("cuda"):
            return 1.0
    return 4.0


def show_run(run: str) -> None:
    """Everything about one run; refreshes itself while the run is active and the page is not held still."""
    active = not has_ended(manager().progress_of(run).status)
    if active:
        hold_here()
    refreshing = active and not held()
    st.fragment(_live, run_every=refresh_seconds(run) if refreshing else None)(run, active)
    if active:
        st.fragment(show_evolving_map, run_every=MAP_SECONDS if refreshing else None)(run)
    else:
        with plain_errors():
            show_run_map(run)


def _live(run: str, expected: bool) -> None:
    """What refreshes. `expected`: whether the run was active when the page was drawn."""
    with plain_errors():
        progress, stored = manager().progress_of(run), open_run(run)
        if expected and has_ended(progress.status):
            st.rerun()  # draw the map, and stop refreshing
        _headline(progress)
        if not stored.info.is_example:
            controls(progress)
        _remarks(stored)
        _alarms(progress, stored)
        if progress.records:
            _charts(progress)
        elif has_ended(progress.status):
            st.info(
                "This run ended before its first step, so there is no curve. “Train one like it” above brings its "
                "settings back.",
                icon=":material/info:",
            )


def _headline(run: RunProgress) -> None:
    with st.container(horizontal=True, vertical_alignment="center", gap="small"):
        st.markdown(f"**{literal(run.name or run.id)}**")
        badge(run.status)
    share = run.step / run.steps if run.steps else 0.0
    active = not has_ended(run.status)
    speed = f" · {run.steps_per_second:.1f} steps/s" if run.steps_per_second and active else ""
    left = f" · {duration(run.seconds_left)} left" if run.seconds_left and active else ""
    phase = f" · {run.phase}" if run.phase else ""
    text = f"{run.step} of {run.steps} steps · {duration(run.seconds)}{speed}{left}{phase}"
    st.progress(min(share, 1.0), text=text)
    if run.message:
        level = st.error if run.status in ("failed", "diverged") else st.info
        level(sentence(run.message))


def _remarks(run: Run) -> None:
    """What was found in the files: those skipped, copies, and groups."""
    data = run.info.data
    lines = list(data.get("remarks", ()))  # runs of earlier versions have none
    if data.get("skipped"):
        lines.append(f"{data['skipped']} files were skipped, for example {data['skipped_files'][0]}")
    for line in lines:
        st.caption(literal(sentence(line)))


def _alarms(progress: RunProgress, run: Run) -> None:
    """Alarms in plain words, and links to a run with the settings that they advise."""
    from cpc_engine.evaluation.alarms import alarms

    items = run.info.data.get("items", {}).get("train")
    raised = alarms(progress.records, items) if items else []
    for alarm in raised:
        st.warning(f"**{alarm.message}** {alarm.advice}", icon=":material/warning:")
    advised = [alarm.changes for alarm in raised if alarm.changes]
    for index, changes in enumerate(advised):
        if changes not in advised[:index]:  # both modalities may advise the same
            words = ", ".join(f"{p.partition('.')[2].replace('_', ' ')} {as_text(v)}" for p, v in changes.items())
            train_like(run.config, f"Set up a run with {words}", changes)


def _charts(run: RunProgress) -> None:
    _training_charts(run)
    if any(record.get("geometry") for record in run.records):
        for column, metric in zip(st.columns(len(curves.GEOMETRY)), curves.GEOMETRY, strict=True):
            with column:
                figure, info = curves.geometry_figure(run.records, metric), METRICS[metric]
                meaning = f"{info.meaning} {info.better.capitalize()} is better."
                chart(figure, f"{metric}-{run.id}", 260, meaning, define(metric))
    st.download_button(
        "All numbers (CSV)",
        lambda: records_csv(open_run(run.id).folder.records()),  # those of a long run are thinned here
        f"{run.id}.csv",
        "text/csv",
        key=f"csv-{run.id}",
        icon=":material/download:",
        on_click="ignore",
    )


def _training_charts(run: RunProgress) -> None:
    """Loss, accuracy and, of each modality with more than one source, the gradient shares."""
    loss = curves.loss_figure(run.records, run.events)
    chart(loss, f"loss-{run.id}", 340, "Of training batches, with the run's own negatives.", define("infonce"))
    columns = cycle(st.columns(2))
    with next(columns):
        accuracy = curves.accuracy_figure(run.records)
        meaning = "How often the true future scores at least as high as every negative."
        chart(accuracy, f"accuracy-{run.id}", meaning=meaning, definition=define("contrastive_accuracy"))
    for modality in curves.modalities(run.records):
        if len(run.records[-1]["modalities"][modality]["sources"]) < 2:
            continue  # a single source has the whole gradient
        with next(columns):
            shares = curves.share_figure(run.records, modality)
            meaning = "Which source's negatives the predictions are pushed away from."
            chart(shares, f"share-{modality}-{run.id}", meaning=meaning, definition=define("gradient_share"))
