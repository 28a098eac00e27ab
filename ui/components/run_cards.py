"""Runs as cards: a small curve, a small map, the status, and links into the run."""

from __future__ import annotations

import time
from collections.abc import Mapping
from typing import TYPE_CHECKING

import streamlit as st
from numpy.typing import ArrayLike

from cpc_engine.errors import CpcError
from cpc_engine.evaluation.alarms import has_collapsed

from ..drawing.run_picture import run_picture
from ..drawing.thumbnails import curve_svg, map_svg, side_by_side
from ..shell.errors import literal
from ..shell.links import look_into
from ..shell.names import names_of
from ..shell.session import open_run, root
from ..shell.status import badge, duration
from .svg import show_svg

if TYPE_CHECKING:
    from cpc_engine.storage.info import RunInfo


def show_cards(runs: list[RunInfo], columns: int = 3) -> None:
    """One card per run, in rows."""
    names = names_of(runs)
    for start in range(0, len(runs), columns):
        for column, info in zip(st.columns(columns), runs[start : start + columns], strict=False):
            with column:
                _card(info, names[info.id])


def _card(info: RunInfo, name: str) -> None:
    with st.container(border=True, key=f"card-{info.id}"):
        st.page_link(
            "pages/train.py",
            label=literal(name),
            icon=":material/monitoring:",
            query_params={"run": info.id},
        )
        show_svg(_drawings(info.id, info.updated), key=f"drawing-{info.id}")
        loss = f"loss {info.loss_first:.2f} → {info.loss_last:.2f}" if info.loss_first and info.loss_last else ""
        with st.container(horizontal=True, vertical_alignment="center"):
            badge(info.status)
            if has_collapsed(metrics_of(info.id, info.updated)):
                st.badge("collapsed", icon=":material/warning:", color="red")
            look_into(info.id)
        if info.teaches:
            st.markdown(literal(info.teaches))
        steps = f"{info.steps_done} of {info.steps} steps"
        facts = [str(info.data.get("name", "")), f"seed {info.seed}", steps, loss, _ago(info.created)]
        st.caption(literal(" · ".join(filter(None, facts))))


def metrics_of(run: str, updated: float) -> Mapping[str, float | None]:
    """Final metrics of a run as it was at `updated`; none where its files are damaged."""
    kept = _metrics_read(str(root()))
    if run not in kept or kept[run][0] != updated:
        kept[run] = updated, _metrics(run)
    return kept[run][1]


@st.cache_resource(max_entries=4, show_spinner=False)
def _metrics_read(root: str) -> dict[str, tuple[float, Mapping[str, float | None]]]:
    """{id: (updated, metrics)} of what was read: one look-up a run, since there may be thousands."""
    return {}


def _metrics(run: str) -> Mapping[str, float | None]:
    from cpc_engine.comparison.collect import final_metrics

    try:
        return final_metrics(open_run(run).folder)
    except CpcError:
        return {}


@st.cache_data(max_entries=600, show_spinner=False)
def _drawings(run: str, updated: float) -> str:
    """Curve and map of a run as it was at `updated`."""
    _, losses = _curve(run)
    return side_by_side(curve_svg(losses), map_svg(*_map(run)))


@st.cache_data(max_entries=8, show_spinner=False)
def picture(run: str, updated: float, classes: list[str]) -> str | None:
    """The large drawing of a run as it was at `updated`; None where it has no curve or no map."""
    losses = {step: loss for step, loss in zip(*_curve(run), strict=True) if loss is not None}
    layout, labels = _map(run)
    if len(losses) < 2 or len(labels) < 2:
        return None
    return run_picture(list(losses), list(losses.values()), layout, labels, classes)


def _curve(run: str) -> tuple[list[int], list[float | None]]:
    """(steps, losses) of a run; empty where they cannot be read."""
    try:
        records = open_run(run).folder.records()
    except CpcError:
        return [], []
    return [record["step"] for record in records], [record.get("loss") for record in records]


def _map(run: str) -> tuple[ArrayLike, list[int]]:
    """(layout, labels) of a run's t-SNE map, or of its PCA map where it stores no other; empty without a map."""
    try:
        stored = open_run(run).stored_map("pca")
    except CpcError:
        return [], []
    return stored.maps.get("tsne", stored.maps["pca"]).layout, stored.labels.tolist()


def _ago(when: float) -> str:
    """ "3 min ago" within a day, the date before that."""
    seconds = time.time() - when
    if seconds < 86400:
        return f"{' '.join(duration(max(seconds, 0)).split(' ')[:2])} ago"
    return time.strftime("%d %b %Y", time.localtime(when))
