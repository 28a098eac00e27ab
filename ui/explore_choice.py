"""Items chosen on the map, by lasso or by class and name: gallery, table, and one of them with its true neighbours."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import streamlit as st

from .compare_curves import plain_name
from .curves import columns_csv
from .engine import literal, plain_errors
from .explore_data import SPLITS, label_of, looks
from .explore_view import View
from .palette import KINDS
from .scatter import choice, clicked, lassoed, light
from .scatter_figure import lit_traces

if TYPE_CHECKING:
    from cpc_engine.evaluation.maps import Map
    from cpc_engine.runs.explore import Exploration

AT_ONCE = 12
LISTED = 2000  # a longer list is no use in a menu
NEAR = 8


def show_choice(view: View, explored: Exploration, fitted: Map) -> None:
    """Draws itself again at every lasso and click, without the map."""
    st.fragment(_choice)(view, explored, fitted)


def found(explored: Exploration, classes: list[str], words: str) -> list[int]:
    """Items of any of `classes` (all, where none is named) whose name or class contains `words`."""
    items, wanted = explored.items, words.lower().strip()
    return [
        index
        for index, (label, source) in enumerate(zip(items.labels.tolist(), items.sources, strict=True))
        if (not classes or items.classes[label] in classes)
        and (wanted in source.lower() or wanted in items.classes[label].lower())
    ]


def _choice(view: View, explored: Exploration, fitted: Map) -> None:
    with plain_errors():
        ids = _chosen(view, explored)
        if ids:
            _gallery(explored, ids)
        _one(view, explored, fitted, ids)


def _chosen(view: View, explored: Exploration) -> list[int]:
    def drop_search() -> None:  # the newest word counts
        st.session_state["classes"], st.session_state["find"] = [], ""

    def follow_click() -> None:
        st.session_state["item"] = clicked(view.key)

    if view.dimensions == 2:
        st.caption(
            "Draw a **lasso** on the map (a double click or Escape ends it), **hover** to see and **click** to hear an "
            "item. Or, without a mouse:"
        )
    with st.container(horizontal=True, vertical_alignment="bottom"):
        classes = st.multiselect("Classes", explored.items.classes, format_func=plain_name, key="classes", width=420)
        words = st.text_input("Find", placeholder="name or class", key="find", bind="query-params", width=260)
    ids = found(explored, classes, words) if classes or words else lassoed(view.key)
    ids = [one for one in ids if one < len(explored.items)]
    choice(view.key, ids, drop_search, follow_click)
    if (classes or words) and not ids:
        st.info("No item fits.", icon=":material/search_off:")
    return ids


def _gallery(explored: Exploration, ids: list[int]) -> None:
    st.subheader(f"{len(ids)} items chosen", anchor=False)
    if explored.data is not None:
        pages = -(-len(ids) // AT_ONCE)
        at = st.pagination(pages, key=f"gallery-page-{pages}") if pages > 1 else 1
        tiles(explored, ids[(at - 1) * AT_ONCE : at * AT_ONCE], [""] * AT_ONCE, "gallery")
    items = explored.items
    columns: dict[str, list[Any]] = {
        "Item": [items.sources[one] for one in ids],
        "Kind": [KINDS[items.modalities[one]] for one in ids],
        "Class": [items.classes[int(items.labels[one])] for one in ids],
        "Split": [SPLITS[items.splits[one]] for one in ids],
    }
    if explored.data is not None and explored.predicted is not None:
        columns["Class by the probe"] = [items.classes[int(explored.predicted[one])] for one in ids]
    st.dataframe(columns, hide_index=True, height=220)
    st.download_button("Chosen items (CSV)", columns_csv(columns), "chosen-items.csv", "text/csv", on_click="ignore")


def tiles(explored: Exploration, ids: list[int], notes: list[str], key: str) -> None:
    """Items in rows, each with its picture or spectrogram, its player, and a note after its name."""
    with st.container(horizontal=True, gap="small"):
        for one, note in zip(ids, notes, strict=False):
            with st.container(width=150, gap="xsmall", key=f"{key}-{one}"):
                picture, sound = looks(explored, one)
                st.image(picture, width=120)
                if sound:
                    st.audio(sound, format="audio/wav")
                st.caption(f"{literal(label_of(explored, one))}{note}")


def _one(view: View, explored: Exploration, fitted: Map, ids: list[int]) -> None:
    """One item: what it is, how well the map shows it, its nearest in the original space, and its path."""
    from cpc_engine.evaluation.maps import neighbours

    st.subheader("One item", anchor=False)
    picked = st.session_state.get("item")
    options = list(dict.fromkeys([*([picked] if picked is not None else []), *(ids or range(len(explored.items)))]))
    one = st.selectbox(
        "Item",
        [option for option in options if option < len(explored.items)][:LISTED],
        index=None,
        format_func=lambda index: label_of(explored, index),
        placeholder="click a dot, or choose here",
        key="item",
        width=420,
    )
    if one is None:
        light(view.key, [])
        return
    features = explored.features(view.space)
    order, cosines = neighbours(features, features[one : one + 1], 16)
    near = [(index, cosine) for index, cosine in zip(order[0].tolist(), cosines[0].tolist(), strict=True)]
    near = [pair for pair in near if pair[0] != one][:15]
    squares = np.square(fitted.layout - fitted.layout[one]).sum(1)
    beside = [index for index in np.argsort(squares, kind="stable").tolist() if index != one][: len(near)]
    shared = len({index for index, _ in near} & set(beside))
    left, right = st.columns([1, 3])
    with left:
        if explored.data is not None:
            picture, sound = looks(explored, one)
            st.image(picture, width=180)
            if sound:
                st.audio(sound, format="audio/wav")
        st.markdown(f"**{literal(label_of(explored, one))}**")
        st.caption(literal(" · ".join(_facts(explored, one))))
    with right:
        st.markdown(f"**Nearest in the original space** · {shared} of its {len(near)} nearest dots are among them")
        shown = [index for index, _ in near[:NEAR]]
        notes = [f" · cosine {cosine:.3f}" for _, cosine in near[:NEAR]]
        if explored.data is not None:
            tiles(explored, shown, notes, "near")
        else:
            st.dataframe({"Item": [label_of(explored, i) for i in shown], "Cosine": [c for _, c in near[:NEAR]]})
    path = _path(view, explored, one)
    lit = []
    if view.dimensions == 2:
        lit = lit_traces(fitted.layout[[one]], ["here"], fitted.layout[[index for index, _ in near[:NEAR]]], path)
    light(view.key, lit)


def _facts(explored: Exploration, one: int) -> list[str]:
    items = explored.items
    facts = [SPLITS[items.splits[one]]]
    if explored.data is None:
        return [*facts, "the data set is not here: nothing to show or play"]
    if explored.predicted is not None:
        facts.append(f"probe says {plain_name(items.classes[int(explored.predicted[one])])}")
    return [*facts, f"predicted with cosine {explored.agreement[one]:.2f}"]


def _path(view: View, explored: Exploration, one: int) -> Any:
    """The item's contexts one after the other, where the map can show them and the reader wants to see them."""
    hint = "" if view.has_paths else "Needs the 2-D PCA map of contexts, where every single context has its place."
    wanted = st.toggle(
        "Show its path through time", key="path", help=hint or None, disabled=not view.has_paths or not explored.data
    )
    return explored.trajectory(one) if wanted and view.has_paths and explored.data else None
