"""Sounds and pictures over time: a sound with its nearest pictures at a step, the reverse, and how often they fit."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import streamlit as st

from cpc_engine.errors import CpcError
from cpc_engine.evaluation.metric_info import METRICS
from cpc_engine.terms import ITEM_NOUNS, MODALITIES, Modality

from ..components.chart import chart
from ..components.items import cached_run, show_look
from ..components.items import stamp as files
from ..components.scatter import choice, clicked, light
from ..drawing.charts import Figure, Series, line_figure
from ..drawing.curves import number
from ..drawing.map_figure import LIT, lit_traces
from ..drawing.palette import GRAY, MODALITY_STYLES, Style, series_style
from ..drawing.pictures import spectrogram_png
from ..drawing.text import plain_name
from ..shell.errors import literal, sentence
from ..shell.session import open_run

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from cpc_engine.data.dataset import Split
    from cpc_engine.maps.snapshots import MapSnapshots

    from ..drawing.curves import Record

NEAREST = 6
RETRIEVED: dict[Modality, str] = {"audio": "retrieval_class", "image": "retrieval_class_reverse"}
WORDS = (
    "Gap: the distance between the mean sound and the mean picture. Retrieval: how often the nearest item of the other "
    "kind has the class, on all measured items. A gap need not fall for retrieval to rise: what counts is the order."
)
Stamp = tuple[int, ...]


def show_across(run: str, snapshots: MapSnapshots, xy: np.ndarray, step: int) -> None:
    """An item of the snapshot's map with its nearest of the other kind, and the curves of all steps with a cursor."""
    from cpc_engine.maps.across import chance, nearest_across

    st.subheader("Sounds and pictures over the training", anchor="across", help=WORDS)
    key, link = f"across-{run}", f"snapshots-{run}"

    def follow_click() -> None:
        st.session_state[key] = clicked(link)

    choice(link, [], lambda: None, follow_click)
    point = st.selectbox(
        "Sound or picture",
        range(len(snapshots.names)),
        index=None,
        format_func=lambda index: _name(snapshots, index),
        placeholder="click a dot of the map above, or choose here",
        key=key,
        width=420,
    )
    if point is None:
        light(link, [])
    else:
        near = nearest_across(snapshots, step, point, NEAREST)
        own = snapshots.labels[point]
        right = sum(bool(snapshots.labels[index] == own) for index, _ in near)
        nouns = ITEM_NOUNS[snapshots.modalities[near[0][0]]][1]
        st.markdown(f"At step {step:,}, **{right} of its {len(near)} nearest {nouns}** have its class.")
        _tiles(run, snapshots, [(point, "")] + [(index, f" · cosine {cosine:.2f}") for index, cosine in near])
        rings = xy[[index for index, _ in near]]
        # Of the map's own kind: as WebGL they would be drawn beneath its dots.
        light(link, [trace | {"type": "scatter"} for trace in lit_traces(xy[[point]], ["here"], rings)])
    records = _records(run, open_run(run).folder.stamp("config", "metrics"))
    for place, (name, figure) in zip(
        st.columns(2), across_figures(records, step, chance(snapshots)).items(), strict=False
    ):
        with place:
            chart(figure, f"across-{name}-{run}", 260)


def across_figures(records: Sequence[Record], step: int, by_chance: Mapping[Modality, float]) -> dict[str, Figure]:
    """{"retrieval", "gap": figure} over the measured steps, with a cursor at one; those that were measured."""
    rows = [(row["step"], row["geometry"]) for row in records if row.get("geometry")]

    def series(metric: str, name: str, style: Style, scale: float) -> list[Series]:
        found = [(step, scale * number(values[metric])) for step, values in rows if metric in values]
        return [Series(name, [step for step, _ in found], [value for _, value in found], style)] if found else []

    figures = {}
    curves = []
    for modality, other in zip(MODALITIES, reversed(MODALITIES), strict=True):
        name = f"nearest {ITEM_NOUNS[other][0]} of a {ITEM_NOUNS[modality][0]}"
        curves += series(RETRIEVED[modality], name, MODALITY_STYLES[modality], 100)
    if curves:
        ends, share = [rows[0][0], rows[-1][0]], 100 * sum(by_chance.values()) / max(len(by_chance), 1)
        curves.append(Series("chance", ends, [share, share], Style(GRAY, "line-ew", "dot")))
        figures["retrieval"] = line_figure(curves, "step", "% with its class", "Retrieval R@1 (class)")
        figures["retrieval"]["layout"]["yaxis"] |= {"range": [0, 103]}
    gap = series("modality_gap", "gap", series_style(3), 1)
    if gap:
        unit = f"{METRICS['modality_gap'].unit} ({METRICS['modality_gap'].arrow} better)"
        figures["gap"] = line_figure(gap, "step", unit, METRICS["modality_gap"].title)
    cursor = {"type": "line", "x0": step, "x1": step, "yref": "paper", "y0": 0, "y1": 1}
    for figure in figures.values():
        figure["layout"]["shapes"] = [cursor | {"line": {"color": LIT, "width": 1.5, "dash": "dot"}}]
    return figures


def _name(snapshots: MapSnapshots, index: int) -> str:
    name, label = snapshots.names[index], snapshots.classes[int(snapshots.labels[index])]
    return f"{ITEM_NOUNS[snapshots.modalities[index]][0]} · {plain_name(label)} · {plain_name(name)}"


def _tiles(run: str, snapshots: MapSnapshots, points: Sequence[tuple[int, str]]) -> None:
    """The chosen item and its nearest, each as a picture or a spectrogram with its player."""
    folder = open_run(run).folder
    stamp = folder.stamp("config", "weights", "snapshots")
    try:
        with st.spinner("Loading the items …"):
            items = _items(run, stamp)
    except CpcError as error:
        st.caption(sentence(str(error)))
        items = None
    with st.container(horizontal=True, gap="small"):
        for index, note in points:
            with st.container(width=150, gap="xsmall"):
                modality = snapshots.modalities[index]
                if items is not None:
                    picture, sound = _looks(run, stamp, modality, index % len(items))
                    show_look(picture, sound, _name(snapshots, index))
                fits = snapshots.labels[index] == snapshots.labels[points[0][0]]
                mark = "" if index == points[0][0] else " :green[✓]" if fits else " :orange[✗]"
                st.caption(f"{literal(plain_name(snapshots.classes[int(snapshots.labels[index])]))}{mark}{note}")


@st.cache_resource(max_entries=2, show_spinner=False)
def _items(run: str, stamp: Stamp) -> Split:
    """The items of a run's snapshots, as its files are at `stamp`."""
    from cpc_engine.maps.across import shown_items

    snapshots = open_run(run).snapshots()
    assert snapshots is not None
    return shown_items(open_run(run).folder, snapshots)


@st.cache_data(max_entries=800, show_spinner=False)
def _looks(run: str, stamp: Stamp, modality: Modality, row: int) -> tuple[bytes, bytes | None]:
    """(PNG of the picture or the spectrogram, WAV of the sound or None) of one of `_items`."""
    from cpc_engine.data import preview_png, preview_wav
    from cpc_engine.maps.across import log_mel

    items, opened = _items(run, stamp), cached_run(run, files(run))
    if modality == "image":
        return preview_png(items, row), None
    return spectrogram_png(log_mel(opened.model, items, row)), preview_wav(items, row, opened.config.audio.sample_rate)


@st.cache_resource(max_entries=8, show_spinner=False)
def _records(run: str, stamp: Stamp) -> list[Record]:
    return open_run(run).folder.records()
