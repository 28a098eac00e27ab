"""Runs opened for exploration, kept between reruns, what one of their items looks and sounds like, and where their data
are when they are not where they were."""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal

import numpy as np
import streamlit as st

from cpc_engine.datasets import DATASETS

from ..drawing.map_figure import item_words
from ..drawing.pictures import data_address, spectrogram_png
from ..shell.errors import literal, plain_errors
from ..shell.session import open_run
from .scatter import Card

if TYPE_CHECKING:
    from cpc_engine import Run
    from cpc_engine.maps.exploration import Exploration, Space
    from cpc_engine.maps.projection import Map, Method

Stamp = tuple[int, ...]
PLACES = "a folder or a file on this machine"
LONG = 1 << 19  # bytes of a sound that is not sent with the page
SPLITS = {"test": "held out", "train": "training"}


def stamp(run: str) -> Stamp:
    """Numbers that change with the files that an opened run is made from."""
    return open_run(run).folder.stamp("config", "weights", "map", "probe", "ood")


@st.cache_resource(max_entries=4, show_spinner=False)
def cached_run(run: str, stamp: Stamp) -> Run:
    """A run as its files are at `stamp`; its network is loaded once for all pages and sessions."""
    return open_run(run)


def opened(run: str, training: bool, stamp: Stamp) -> Exploration:
    """A run's items as its files are at `stamp`; not kept where the data are missing, which may come.

    Raises:
        CpcError: as `Exploration`.
    """
    found = _opened(run, training, stamp)
    if found.data is None:
        _opened.clear(run, training, stamp)
    return found


@st.cache_resource(max_entries=4, show_spinner=False)
def _opened(run: str, training: bool, stamp: Stamp) -> Exploration:
    return cached_run(run, stamp).explore(training)


def ask_for_data(run: str, reason: str) -> None:
    """Say why there are no data, and fetch them or take where they are now: then the page is drawn again.

    Args:
        reason: a sentence in Markdown.
    """
    config = open_run(run).config
    spec = DATASETS[config.data.dataset]
    st.warning(reason, icon=":material/folder_off:")
    if spec.origin == "generated":  # no file of them is anywhere
        return
    names = {"path": "Where its data are now", "image_path": "Where its pictures are now"}
    places, fetch = {}, False
    with st.form(f"data-{run}", border=False), st.container(horizontal=True, vertical_alignment="bottom"):
        for setting in names if config.data.image_path else ("path",):
            places[setting] = st.text_input(names[setting], key=f"{setting}-{run}", placeholder=PLACES, width=420)
        given = st.form_submit_button("Use them") and any(places.values())
        if spec.origin == "download" and spec.is_within_reach(config.replace({"data.download": True})):
            fetch = st.form_submit_button(f"Download ({spec.megabytes} MB)", icon=":material/download:")
    if fetch or given:
        with plain_errors(), st.spinner("Reading the data …"):
            open_run(run).locate_data(**{} if fetch else places, download=fetch)
            st.rerun()


@st.cache_resource(max_entries=24, show_spinner=False)
def layout(run: str, training: bool, stamp: Stamp, space: Space, method: Method, dimensions: Literal[2, 3]) -> Map:
    """A map of an opened run, fitted once."""
    return opened(run, training, stamp).map(space, method, dimensions)


@st.cache_data(max_entries=24, show_spinner=False)
def purity(run: str, training: bool, stamp: Stamp, space: Space) -> np.ndarray:
    """(N,) neighbor purity of an opened run's items."""
    from cpc_engine.maps.exploration import neighbor_purity

    exploration = opened(run, training, stamp)
    return neighbor_purity(exploration.features(space), exploration.items.labels)


def looks(exploration: Exploration, index: int) -> tuple[bytes, bytes | None]:
    """(PNG of the picture or the spectrogram, WAV of the sound or None) of one item.

    Raises:
        DataError: the data set is not there.
    """
    from cpc_engine.data import preview_png, preview_wav

    split, row, modality = exploration.item(index)
    if modality == "image":
        return preview_png(split, row), None
    rate = exploration.config.audio.sample_rate
    return spectrogram_png(exploration.log_mel(index)), preview_wav(split, row, rate)


def show_look(picture: bytes, sound: bytes | None, alt: str, width: int = 120) -> None:
    """What `looks` gives: the picture or the spectrogram, and the player of the sound."""
    st.image(data_address(picture, "image/png"), width=width, alt=alt)
    if sound:
        show_sound(sound)


def show_sound(sound: bytes) -> None:
    """The player of a WAV file, which comes with the page unless it is long."""
    st.audio(sound if len(sound) > LONG else data_address(sound, "audio/wav"), format="audio/wav")


def card(exploration: Exploration, index: int) -> Card:
    """What the card beside a point shows; without the data set its label and name only."""
    items = exploration.items
    title = items.classes[int(items.labels[index])]
    split = f" · {SPLITS[items.splits[index]]}" if exploration.training else ""
    lines = [f"{items.names[index]}{split}"]
    if exploration.data is None:
        return Card(title, [*lines, "The data set is not here: nothing to show or play."])
    picture, sound = looks(exploration, index)
    return Card(title, [*lines, "click to play, space stops" if sound else "click to enlarge"], picture, sound)


def label_of(exploration: Exploration, index: int) -> str:
    """One item in a list."""
    return item_words(exploration.items, index)


def tiles(exploration: Exploration, ids: list[int], notes: list[str], key: str) -> None:
    """Items in rows, each with its picture or spectrogram, its player, and a note after its name."""
    with st.container(horizontal=True, gap="small"):
        for index, note in zip(ids, notes, strict=False):
            with st.container(width=150, gap="xsmall", key=f"{key}-{index}"):
                picture, sound = looks(exploration, index)
                show_look(picture, sound, label_of(exploration, index))
                st.caption(f"{literal(label_of(exploration, index))}{note}")
