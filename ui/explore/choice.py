"""Items chosen on the map, by lasso or by class and name: gallery, table, and one of them with its true neighbors."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import streamlit as st

from cpc_engine.csv_text import columns_csv
from cpc_engine.terms import ITEM_NOUNS

from ..components.items import SPLITS, label_of, looks, show_look, tiles
from ..components.scatter import choice, clicked, light
from ..drawing.map_figure import lit_traces
from ..drawing.text import plain_name
from ..shell.errors import literal, plain_errors
from ..shell.links import negatives_of
from .lasso import chosen_by_lasso
from .view import View

if TYPE_CHECKING:
    from cpc_engine.maps.exploration import Exploration
    from cpc_engine.maps.projection import Map

AT_ONCE = 12
LISTED = 2000  # a longer list is no use in a menu
NEIGHBORS = 15
SHOWN = 8  # of the neighbors


def show_choice(view: View, exploration: Exploration, fitted: Map) -> None:
    """Draws itself again at every lasso and click, without the map."""
    st.fragment(_choice)(view, exploration, fitted)


def search(exploration: Exploration, classes: list[str], query: str) -> list[int]:
    """Items of any of `classes` (all, where none is named) whose name or class contains `query`."""
    items, part = exploration.items, query.lower().strip()
    return [
        index
        for index, (label, name) in enumerate(zip(items.labels.tolist(), items.names, strict=True))
        if (not classes or items.classes[label] in classes)
        and (part in name.lower() or part in items.classes[label].lower())
    ]


def _choice(view: View, exploration: Exploration, fitted: Map) -> None:
    with plain_errors():
        ids = _chosen(view, exploration)
        if ids:
            _gallery(exploration, ids)
        _one_item(view, exploration, fitted, ids)


def _chosen(view: View, exploration: Exploration) -> list[int]:
    def drop_search() -> None:  # the newest choice counts
        st.session_state["classes"], st.session_state["find"] = [], ""

    def follow_click() -> None:
        st.session_state["item"] = clicked(view.key)

    if view.dimensions == 2:
        st.caption(
            "Draw a **lasso** on the map (a double click or Escape ends it), **hover** to see and **click** to hear an "
            "item. Or, without a mouse:"
        )
    with st.container(horizontal=True, vertical_alignment="bottom"):
        classes = st.multiselect(
            "Classes",
            exploration.items.classes,
            format_func=plain_name,
            key="classes",
            bind="query-params",
            width=300,
        )
        query = st.text_input("Find", placeholder="name or class", key="find", bind="query-params", width=200)
    ids = chosen_by_lasso(view.key, view.run, len(exploration.items))
    if classes or query:
        ids = search(exploration, classes, query)
    choice(view.key, ids, drop_search, follow_click)
    if (classes or query) and not ids:
        st.info("No item fits.", icon=":material/search_off:")
    return ids


def _gallery(exploration: Exploration, ids: list[int]) -> None:
    st.subheader(f"{len(ids)} items chosen", anchor=False)
    if exploration.data is not None:
        pages = -(-len(ids) // AT_ONCE)
        page = st.pagination(pages, key=f"gallery-page-{pages}") if pages > 1 else 1
        tiles(exploration, ids[(page - 1) * AT_ONCE : page * AT_ONCE], [""] * AT_ONCE, "gallery")
    items = exploration.items
    columns: dict[str, list[Any]] = {
        "Item": [items.names[index] for index in ids],
        "Kind": [ITEM_NOUNS[items.modalities[index]][0] for index in ids],
        "Class": [items.classes[int(items.labels[index])] for index in ids],
        "Split": [SPLITS[items.splits[index]] for index in ids],
    }
    if exploration.data is not None and exploration.predicted is not None:
        columns["Class by the probe"] = [items.classes[int(exploration.predicted[index])] for index in ids]
    st.dataframe(columns, hide_index=True, height=220)
    st.download_button("Chosen items (CSV)", columns_csv(columns), "chosen-items.csv", "text/csv", on_click="ignore")


def _one_item(view: View, exploration: Exploration, fitted: Map, ids: list[int]) -> None:
    """One item: what it is, how well the map shows it, its nearest in the original space, and its path."""
    st.subheader("One item", anchor=False)
    picked = st.session_state.get("item")
    known = isinstance(picked, int) and picked < len(exploration.items)  # a text is a name of another run's item
    if picked is not None and not known:
        st.session_state["item"] = None
    options = list(dict.fromkeys([*([picked] if known else []), *(ids or range(len(exploration.items)))]))
    item = st.selectbox(
        "Item",
        options[:LISTED],
        index=None,
        format_func=lambda index: label_of(exploration, index),
        placeholder="click a dot, or choose here",
        key="item",
        bind="query-params",
        width=420,
    )
    if item is None:
        light(view.key, [])
        return
    near, shared = _nearest(view, exploration, fitted, item)
    _facts(exploration, item)
    st.markdown(f"**Nearest in the original space** · {shared} of its {len(near)} nearest dots are among them")
    _neighbors(exploration, near[:SHOWN])
    path = _path(view, exploration, item)
    traces = []
    if view.dimensions == 2:
        rings = fitted.layout[[index for index, _ in near[:SHOWN]]]
        traces = lit_traces(fitted.layout[[item]], ["here"], rings, path)
    light(view.key, traces)


def _nearest(view: View, exploration: Exploration, fitted: Map, item: int) -> tuple[list[tuple[int, float]], int]:
    """((index, cosine) of an item's nearest, how many of as many nearest dots on the map are among them)."""
    from cpc_engine.maps.projection import neighbors

    features = exploration.features(view.space)
    order, cosines = neighbors(features, features[item : item + 1], NEIGHBORS + 1)
    near = [pair for pair in zip(order[0].tolist(), cosines[0].tolist(), strict=True) if pair[0] != item][:NEIGHBORS]
    squares = np.square(fitted.layout - fitted.layout[item]).sum(1)
    beside = [index for index in np.argsort(squares, kind="stable").tolist() if index != item][: len(near)]
    return near, len({index for index, _ in near} & set(beside))


def _facts(exploration: Exploration, item: int) -> None:
    """What an item looks and sounds like, its name, and what is known of it."""
    if exploration.data is not None:
        picture, sound = looks(exploration, item)
        with st.container(horizontal=True, vertical_alignment="center"):
            show_look(picture, sound, label_of(exploration, item))
    st.markdown(f"**{literal(label_of(exploration, item))}**")
    items = exploration.items
    facts = [SPLITS[items.splits[item]]]
    if exploration.data is None:
        facts.append("the data set is not here: nothing to show or play")
    else:
        if exploration.predicted is not None:
            facts.append(f"probe says {plain_name(items.classes[int(exploration.predicted[item])])}")
        facts.append(f"predicted with cosine {exploration.agreement[item]:.2f}")
    st.caption(literal(" · ".join(facts)))
    if items.splits[item] == "test" and exploration.data is not None:
        negatives_of(exploration.folder.id, item)


def _neighbors(exploration: Exploration, near: list[tuple[int, float]]) -> None:
    indices = [index for index, _ in near]
    if exploration.data is not None:
        tiles(exploration, indices, [f" · cosine {cosine:.3f}" for _, cosine in near], "near")
    else:
        names = [label_of(exploration, index) for index in indices]
        st.dataframe({"Item": names, "Cosine": [cosine for _, cosine in near]})


def _path(view: View, exploration: Exploration, item: int) -> np.ndarray | None:
    """(T, 2) the item's contexts one after the other, where the map can show them and the reader wants to see them."""
    hint = "" if view.has_paths else "Needs the 2-D PCA map of contexts, where every single context has its place."
    possible = view.has_paths and exploration.data is not None
    shown = st.toggle("Show its path through time", key="path", help=hint or None, disabled=not possible)
    return exploration.trajectory(item) if shown and possible else None
