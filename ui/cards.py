"""Runs as cards: a small curve, a small map, how it ended, and a way in."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

import streamlit as st
from numpy.typing import ArrayLike

from .engine import literal, root
from .explore_run import look_into
from .picture import run_picture
from .status import badge, duration
from .svg import show_svg
from .thumbs import curve_svg, map_svg, side_by_side

if TYPE_CHECKING:
    from cpc_engine.runs.folder import RunInfo


def show_cards(runs: list[RunInfo], columns: int = 3) -> None:
    """One card a run, in rows."""
    for start in range(0, len(runs), columns):
        for column, info in zip(st.columns(columns), runs[start : start + columns], strict=False):
            with column:
                _card(info)


def _card(info: RunInfo) -> None:
    with st.container(border=True, key=f"card-{info.id}"):
        st.page_link(
            "pages/watch.py", label=info.name or info.id, icon=":material/monitoring:", query_params={"run": info.id}
        )
        show_svg(_drawings(info.id, info.updated), key=f"drawing-{info.id}")
        loss = f"loss {info.loss_first:.2f} → {info.loss_last:.2f}" if info.loss_first and info.loss_last else ""
        data = info.data.get("name", "")
        with st.container(horizontal=True, vertical_alignment="center"):
            badge(info.status)
            look_into(info.id)
        if info.teaches:
            st.markdown(literal(info.teaches))
        facts = [data, f"seed {info.seed}", f"{info.steps_done} of {info.steps} steps", loss, _ago(info.created)]
        st.caption(" · ".join(filter(None, facts)))


@st.cache_data(max_entries=600, show_spinner=False)
def _drawings(run: str, updated: float) -> str:
    """Curve and map of a run as it was at `updated`."""
    _, losses, layout, labels = _parts(run)
    return side_by_side(curve_svg(losses), map_svg(layout, labels))


@st.cache_data(max_entries=8, show_spinner=False)
def picture(run: str, updated: float, classes: list[str]) -> str | None:
    """The large drawing of a run as it was at `updated`; None where it has no curve or no map."""
    steps, losses, layout, labels = _parts(run)
    points = [(step, loss) for step, loss in zip(steps, losses, strict=True) if loss is not None]
    if len(points) < 2 or len(layout) < 2:
        return None
    return run_picture(*zip(*points, strict=True), layout, labels, classes)


def _parts(run: str) -> tuple[list[int], list[float | None], ArrayLike, list[int]]:
    """(steps, losses, map, labels) of a run; what cannot be read is left empty."""
    from cpc_engine.errors import CpcError
    from cpc_engine.runs.folder import RunFolder

    folder = RunFolder(root() / run)
    try:
        records = folder.records()
    except CpcError:
        records = []
    layout: ArrayLike = []
    labels: list[int] = []
    try:
        tensors = folder.tensors("map") if folder.has_tensors("map") else {}
        name = "tsne.layout" if "tsne.layout" in tensors else "pca.layout"
        if name in tensors and "labels" in tensors:
            layout, labels = tensors[name].numpy(), tensors["labels"].tolist()
    except CpcError:
        pass
    return [record["step"] for record in records], [record.get("loss") for record in records], layout, labels


def _ago(when: float) -> str:
    seconds = time.time() - when
    if seconds < 86400:
        return f"{duration(max(seconds, 0)).split(' ')[0]} {duration(max(seconds, 0)).split(' ')[1]} ago"
    return time.strftime("%d %b %Y", time.localtime(when))
