"""Two maps side by side; what is marked with the lasso on one is marked on the other, in the browser at once."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
import streamlit as st

from cpc_engine.csv_text import columns_csv
from cpc_engine.datasets import DATASETS
from cpc_engine.terms import ITEM_NOUNS

from ..components.run_map import HINTS, METHODS, choose_method, collapse_words, said_of_map, show_map
from ..components.scatter import choice, clicked, lassoed, light
from ..drawing.map_figure import NO_CLASS, item_words, lit_traces, map_columns
from ..drawing.text import plain_name
from ..shell.errors import literal, plain_errors
from ..shell.links import negatives_of
from ..shell.session import open_run
from .pairs import ItemKey, Side, aligned, pair_figures, search, shared_ids

if TYPE_CHECKING:
    from cpc_engine.maps.projection import Method

PLACES = ("left", "right")


def load_side(run: str, name: str, method: Method) -> Side:
    """A run's map.

    Raises:
        RunError: it has none, or its files are damaged.
    """
    opened = open_run(run)
    stored, data = opened.stored_map(method), opened.config.data
    # Generated items have names like "tones/test/17", the same for other seeds of the data, which are other items.
    generated = DATASETS[data.dataset].origin == "generated"
    origin = f"{data.dataset} {(data.seed, data.train_items, data.test_items, data.classes) if generated else ''}"
    fitted = stored.maps[method]
    return Side(
        name,
        origin,
        np.asarray(fitted.layout, dtype=np.float64),
        stored.labels,
        list(stored.classes),
        list(stored.modalities),
        list(stored.names),
        fitted.trustworthiness,
    )


@st.cache_resource(max_entries=32, show_spinner=False)
def cached_side(run: str, name: str, method: Method, stamp: tuple[int, ...]) -> Side:
    """As `load_side`; `stamp` changes with the map's files."""
    return load_side(run, name, method)


def show_maps(runs: dict[str, str]) -> None:
    """Two of `runs` (id → name, those that have a map) side by side; a new choice draws this part of the page alone."""
    st.fragment(_show_maps)(runs)


def _show_maps(runs: dict[str, str]) -> None:
    with plain_errors():
        ids = list(runs)
        with st.container(horizontal=True, vertical_alignment="bottom"):
            method = choose_method("pair-method", default="pca")
            look: Any = {"format_func": runs.__getitem__, "width": 300, "bind": "query-params"}
            left = st.selectbox("Left", ids, key="pair-left", **look)
            right = st.selectbox("Right", ids, index=min(1, len(ids) - 1), key="pair-right", **look)
        with st.spinner("Drawing the maps …"):
            sides = aligned([_side(run, runs[run], method) for run in (left, right)])
        group = f"pair-{left}-{right}"  # another pair has other items: it knows nothing of the lasso before
        parts = zip(st.columns(2), (left, right), sides, pair_figures(sides), PLACES, strict=True)
        for column, run, side, figure, place in parts:
            with column:
                _show_side(run, side, figure, place, method, group)
        numbers, _ = shared_ids(sides)
        common = len(set(numbers[0]) & set(numbers[1]))
        words = "The two maps show different items."
        if common:
            words = f"**{common} items are on both maps.** Draw a **lasso** on one to mark them on the other; "
            words += "double-click ends it."
        words += f" **Click** a dot for its negatives. {HINTS[method]} Without a mouse:"
        st.fragment(_selection)((left, right), sides, group, words)


def _side(run: str, name: str, method: Method) -> Side:
    return cached_side(run, name, method, open_run(run).folder.stamp("map", "config"))


def _show_side(run: str, side: Side, figure: dict[str, Any], place: str, method: Method, group: str) -> None:
    collapse = collapse_words(run, side.trustworthiness)
    show_map(
        figure,
        lambda: map_columns(side, side.layout),
        key=f"pair-{place}-chart",
        what=f"{METHODS[method]} map of {len(side.labels)} held-out items of {side.name}, colored by class.",
        words=f"**{collapse}**" if collapse else f"Trustworthiness {side.trustworthiness:.2f} of 1.",
        height=480,
        table=f"map-{place}",
        group=group,
    )


def _selection(runs: Sequence[str], sides: Sequence[Side], group: str, words: str) -> None:
    """Items chosen by lasso, click or search; draws itself again at every one of them, without the maps."""
    with plain_errors():
        place = st.container(gap=None)
        classes, query = _search(list(dict.fromkeys(name for side in sides for name in side.classes)))
        searched = search(sides, classes, query) if classes or query else None
        ids = lassoed(group) if searched is None else searched

        def drop_search() -> None:  # the newest choice counts
            st.session_state["pair-classes"], st.session_state["pair-find"] = [], ""

        choice(group, ids, drop_search, drop_search)
        with place:
            _one_item(runs, sides, clicked(group) if searched is None or len(searched) != 1 else searched[0], words)
        if searched == []:
            st.info("No item fits.", icon=":material/search_off:")
        _, keys = shared_ids(sides)
        if chosen := [keys[number] for number in sorted(set(ids)) if number < len(keys)]:
            _chosen(chosen, sides)


def _one_item(runs: Sequence[str], sides: Sequence[Side], number: int | None, words: str) -> None:
    """The item that was clicked, or the only one found, in the place of the words, with its negatives in each run."""
    rows = [numbers.index(number) if number in numbers else None for numbers in shared_ids(sides)[0]]
    found = [(side, row) for side, row in zip(sides, rows, strict=True) if row is not None]

    def item() -> None:
        st.markdown(f"**{literal(item_words(*found[0]))}**")
        for run, place, row in zip(runs, PLACES, rows, strict=True):
            if row is not None:
                negatives_of(run, row, f"Its negatives, {place}")

    said_of_map("pair", words, item if found else None)
    for side, place, row in zip(sides, PLACES, rows, strict=True):
        light(f"pair-{place}-chart", [] if row is None else lit_traces(side.layout[[row]], ["here"]))


def _search(classes: list[str]) -> tuple[list[str], str]:
    """What the keyboard has instead of the lasso: (classes, part of a name)."""
    kept = st.session_state.get("pair-classes", [])
    st.session_state["pair-classes"] = [name for name in kept if name in classes]  # of the maps before these
    with st.container(horizontal=True, vertical_alignment="bottom"):
        chosen = st.multiselect("Mark classes", classes, format_func=plain_name, key="pair-classes", width=420)
        query = st.text_input("Mark items", placeholder="part of a name", key="pair-find", width=260)
    return chosen, query


def _chosen(keys: Sequence[ItemKey], sides: Sequence[Side]) -> None:
    """The chosen items as a table."""
    labels = {
        key: side.classes[label]
        for side in sides
        for key, label in zip(side.item_keys(), side.labels.tolist(), strict=True)
        if 0 <= label < len(side.classes)
    }
    present = [set(side.item_keys()) for side in sides]
    st.markdown(f"**{len(keys)} items chosen**")
    columns = {
        "Item": [name for _, _, name in keys],
        "Kind": [ITEM_NOUNS[modality][0] for _, modality, _ in keys],
        "Class": [labels.get(key, NO_CLASS) for key in keys],
        "On the maps": [
            " and ".join(place for place, on_map in zip(PLACES, present, strict=True) if key in on_map) for key in keys
        ],
    }
    st.dataframe(columns, hide_index=True, height=200)
    st.download_button("Chosen items (CSV)", columns_csv(columns), "chosen-items.csv", "text/csv", on_click="ignore")
