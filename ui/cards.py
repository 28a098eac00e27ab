"""Runs as cards: a small curve, a small map, how it ended, and a way in."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

import streamlit as st

from .engine import root
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
        loss = f"loss {info.loss_first:.2f} → {info.loss_last:.2f} · " if info.loss_first and info.loss_last else ""
        data = info.data.get("name", "")
        badge(info.status)
        st.caption(f"{data} · {info.steps_done} of {info.steps} steps · {loss}{_ago(info.created)}".strip(" ·"))


@st.cache_data(max_entries=600, show_spinner=False)
def _drawings(run: str, updated: float) -> str:
    """Curve and map of a run as it was at `updated`; what cannot be read is left blank."""
    from cpc_engine.errors import CpcError
    from cpc_engine.runs.folder import RunFolder

    folder = RunFolder(root() / run)
    try:
        losses = [record.get("loss") for record in folder.records()]
    except CpcError:
        losses = []
    layout, labels = [], []
    try:
        tensors = folder.tensors("map") if folder.has_tensors("map") else {}
        name = "tsne.layout" if "tsne.layout" in tensors else "pca.layout"
        if name in tensors and "labels" in tensors:
            layout, labels = tensors[name].numpy(), tensors["labels"].tolist()
    except CpcError:
        pass
    return side_by_side(curve_svg(losses), map_svg(layout, labels))


def _ago(when: float) -> str:
    seconds = time.time() - when
    if seconds < 86400:
        return f"{duration(max(seconds, 0)).split(' ')[0]} {duration(max(seconds, 0)).split(' ')[1]} ago"
    return time.strftime("%d %b %Y", time.localtime(when))
