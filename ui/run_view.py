"""One run on a page: how far it is, its curves while they grow, what to worry about, and its map at the end."""

from __future__ import annotations

from itertools import cycle
from typing import TYPE_CHECKING

import streamlit as st

from . import curves
from .controls import controls
from .draft import train_like
from .engine import ENDED, manager, plain_errors, root, sentence
from .knobs import as_text
from .live_chart import live_chart
from .maps import show_evolving_map, show_map
from .status import badge, duration, held, hold_here

if TYPE_CHECKING:
    from cpc_engine.runs.folder import RunFolder
    from cpc_engine.runs.manager import Snapshot

    from .charts import Figure


MAP_SECONDS = 10  # between two looks for a newer map of a run that goes on


def refresh_seconds(run: str) -> float:
    """Seconds between two looks at a run. Where it trains on the processor, drawing takes time from it."""
    from cpc_engine.runs.folder import RunFolder

    with plain_errors():
        if RunFolder.open(run, root()).info().device.startswith("cuda"):
            return 1.0
    return 4.0


def show_run(run: str) -> None:
    """Everything about one run; refreshes itself while the run goes on and nobody holds the page still."""
    now = manager().snapshot(run)
    going_on = now.status not in ENDED
    if going_on:
        hold_here()
    refreshing = going_on and not held()
    st.fragment(_live, run_every=refresh_seconds(run) if refreshing else None)(run, going_on)
    if going_on:
        st.fragment(show_evolving_map, run_every=MAP_SECONDS if refreshing else None)(run)
    else:
        with plain_errors():
            show_map(run)


def _live(run: str, expected: bool) -> None:
    from cpc_engine.runs.folder import RunFolder

    with plain_errors():
        now = manager().snapshot(run)
        if expected and now.status in ENDED:
            st.rerun()  # draw the map, and stop asking
        folder = RunFolder.open(run, root())
        _headline(now)
        if not folder.info().teaches:  # an example stays as it is
            controls(now)
        _warnings(now, folder)
        if now.records:
            _charts(now)
        elif now.status in ENDED:
            st.info(
                "This run ended before its first step, so there is no curve. “Train one like it” above brings its "
                "settings back.",
                icon=":material/info:",
            )


def _headline(now: Snapshot) -> None:
    with st.container(horizontal=True, vertical_alignment="center", gap="small"):
        st.markdown(f"**{now.name or now.id}**")
        badge(now.status)
    share = now.step / now.steps if now.steps else 0.0
    speed = f" · {now.steps_per_second:.1f} steps/s" if now.steps_per_second and now.status not in ENDED else ""
    left = f" · {duration(now.seconds_left)} left" if now.seconds_left and now.status not in ENDED else ""
    doing = f" · {now.phase}" if now.phase else ""
    text = f"{now.step} of {now.steps} steps · {duration(now.seconds)}{speed}{left}{doing}"
    st.progress(min(share, 1.0), text=text)
    if now.message:
        level = st.error if now.status in ("failed", "diverged") else st.info
        level(sentence(now.message))


def _warnings(now: Snapshot, folder: RunFolder) -> None:
    from cpc_engine.evaluation.alarms import alarms

    items = folder.info().data.get("items", {}).get("train")
    found = alarms(now.records, items) if items else []
    for alarm in found:
        st.warning(f"**{alarm.message}** {alarm.advice}", icon=":material/warning:")
    ways = [alarm.changes for alarm in found if alarm.changes]
    for index, changes in enumerate(ways):
        if changes not in ways[:index]:  # both senses may ask for the same
            change = ", ".join(f"{p.partition('.')[2].replace('_', ' ')} {as_text(v)}" for p, v in changes.items())
            train_like(folder.config(), f"Set up a run with {change}", changes)


def _charts(now: Snapshot) -> None:
    from cpc_engine.runs.folder import RunFolder

    chart(curves.loss_figure(now.records, now.events), f"loss-{now.id}", 340)
    figures = {"accuracy": curves.accuracy_figure(now.records)}
    for modality in curves.modalities(now.records):
        if len(now.records[-1]["modalities"][modality]["sources"]) > 1:  # alone, a source has the whole pull
            figures[f"share-{modality}"] = curves.share_figure(now.records, modality)
    for column, (name, figure) in zip(cycle(st.columns(2)), figures.items(), strict=False):
        with column:
            chart(figure, f"{name}-{now.id}")
    if any(record.get("geometry") for record in now.records):
        for column, (measure, (_, _, meaning)) in zip(st.columns(3), curves.GEOMETRY.items(), strict=True):
            with column:
                chart(curves.geometry_figure(now.records, measure), f"{measure}-{now.id}", 260)
                st.caption(meaning)
    st.download_button(
        "All numbers (CSV)",
        lambda: curves.records_csv(RunFolder.open(now.id, root()).records()),
        f"{now.id}.csv",
        "text/csv",
        key=f"csv-{now.id}",
        icon=":material/download:",
        on_click="ignore",
    )


def chart(figure: Figure, key: str, height: int = 300) -> None:
    """A figure that stays in place while it grows, with its table and CSV behind a button."""
    title = figure["layout"]["title"]["text"]
    live_chart(figure, key=key, height=height, alt=curves.spoken(figure))
    numbers = st.popover(
        "Table", icon=":material/table:", type="tertiary", key=f"table-{key}", on_change="rerun", help=f"{title}: table"
    )
    if numbers.open:
        columns = curves.table(figure)
        with numbers:
            st.dataframe(columns, hide_index=True, height=260)
            st.download_button(
                f"{title} (CSV)",
                curves.columns_csv(columns),
                f"{key}.csv",
                "text/csv",
                key=f"get-{key}",
                on_click="ignore",
            )
