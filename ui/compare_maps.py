"""Two maps side by side: the same colours, and what is chosen with the lasso on one is marked on the other."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import streamlit as st

from .charts import Figure, Floats, map_figure
from .compare_curves import plain_name
from .curves import MODALITY_WORDS, columns_csv
from .engine import plain_errors, root
from .live_chart import live_chart
from .maps import HINTS, METHODS, map_columns

BUILT_IN = ("tones", "chirps", "bars", "tones_bars", "keypad")


@dataclass(frozen=True)
class Side:
    """One run's map; row i of everything is one held-out item. `origin` says what its sources' names belong to."""

    name: str
    origin: str
    layout: Floats
    labels: list[int]
    classes: list[str]
    modalities: list[str]
    sources: list[str]
    trustworthiness: float = 0.0

    def items(self) -> list[tuple[str, str, str]]:
        """What makes a point of one map the same item as a point of another."""
        return [(self.origin, m, s) for m, s in zip(self.modalities, self.sources, strict=True)]


def shared_ids(sides: Sequence[Side]) -> tuple[list[list[int]], list[tuple[str, str, str]]]:
    """(a number for each point of each side, the key behind each number): equal for the same item."""
    numbers: dict[tuple[str, str, str], int] = {}
    ids = [[numbers.setdefault(key, len(numbers)) for key in side.items()] for side in sides]
    return ids, list(numbers)


def turned(layout: Floats, ids: Sequence[int], like: Floats, like_ids: Sequence[int]) -> Floats:
    """`layout` turned and mirrored, never stretched, so that common items lie as near to `like`'s as they can."""
    rows = {one: row for row, one in enumerate(ids)}
    pairs = [(rows[one], row) for row, one in enumerate(like_ids) if one in rows]
    centred = layout - layout.mean(0)
    if len(pairs) < 3:
        return centred
    mine, theirs = (np.array(column) for column in zip(*pairs, strict=True))
    from cpc_engine.evaluation.maps import rotation_onto

    return centred @ rotation_onto(layout[mine], like[theirs])


def found(sides: Sequence[Side], classes: Sequence[str], words: str) -> list[int]:
    """Numbers (see `shared_ids`) of items of any of `classes` (all, where none is named) with `words` in their name."""
    ids, _ = shared_ids(sides)
    wanted = words.lower().strip()
    return sorted(
        {
            number
            for side, numbers in zip(sides, ids, strict=True)
            for number, label, source in zip(numbers, side.labels, side.sources, strict=True)
            if (not classes or (0 <= label < len(side.classes) and side.classes[label] in classes))
            and wanted in source.lower()
        }
    )


def pair_figures(sides: Sequence[Side], chosen: Sequence[int] | None = None) -> list[Figure]:
    """One figure a side, the second turned to lie like the first; a class has one look on both.

    `chosen` numbers are marked, where there are any to choose from.
    """
    ids, _ = shared_ids(sides)
    classes = list(dict.fromkeys(name for side in sides for name in side.classes))
    both = len({modality for side in sides for modality in side.modalities}) > 1
    figures = []
    for side, numbers in zip(sides, ids, strict=True):
        first = side is sides[0]
        layout = side.layout if first else turned(side.layout, numbers, sides[0].layout, ids[0])
        known = range(len(side.classes))
        labels = [classes.index(side.classes[label]) if label in known else -1 for label in side.labels]
        figure = map_figure(
            layout,
            labels,
            [plain_name(name) for name in classes],
            side.modalities if both else None,
            [plain_name(source) for source in side.sources],
            title=plain_name(side.name),
            ids=numbers,
        )
        for trace in figure["data"]:
            trace["hovertemplate"] = "%{fullData.name}<br>%{text}<extra></extra>"
            trace["unselected"] = {"marker": {"opacity": 0.12}}
            if chosen is not None:
                trace["selectedpoints"] = [row for row, [one] in enumerate(trace["customdata"]) if one in chosen]
        figures.append(figure)
    return figures


def load_side(run: str, name: str, method: str) -> Side:
    """A run's map from its folder.

    Raises:
        RunError: it has none, or its files are damaged.
    """
    from cpc_engine.runs.folder import RunFolder
    from cpc_engine.runs.map import load_map

    folder = RunFolder.open(run, root())
    found, data = load_map(folder, method), folder.config().data
    # Made-up items have names like "tones/test/17", the same for other seeds of the data, which are other items.
    made = data.dataset in BUILT_IN
    origin = f"{data.dataset} {(data.seed, data.train_items, data.test_items, data.classes) if made else ''}"
    fitted = found.maps[method]
    return Side(
        name,
        origin,
        np.asarray(fitted.layout, dtype=np.float64),
        found.labels.tolist(),
        list(found.classes),
        list(found.modalities),
        list(found.sources),
        fitted.trustworthiness,
    )


@st.cache_data(max_entries=32, show_spinner=False)
def cached_side(run: str, name: str, method: str, updated: int) -> Side:
    """As `load_side`; `updated` changes with the map's files."""
    return load_side(run, name, method)


def show_maps(runs: dict[str, str]) -> None:
    """Two of `runs` (id → name, those that have a map) side by side; a lasso draws this part of the page alone."""
    st.fragment(_show_maps)(runs)


def _show_maps(runs: dict[str, str]) -> None:
    with plain_errors():
        _pair(runs)


def _pair(runs: dict[str, str]) -> None:
    ids = list(runs)
    with st.container(horizontal=True, vertical_alignment="bottom"):
        method = st.segmented_control(
            "Map",
            list(METHODS),
            default="pca",
            required=True,
            format_func=METHODS.__getitem__,
            key="pair-method",
            bind="query-params",
        )
        look: Any = {"format_func": runs.__getitem__, "on_change": _drop_lasso, "width": 300, "bind": "query-params"}
        left = st.selectbox("Left", ids, key="pair-left", **look)
        right = st.selectbox("Right", ids, index=min(1, len(ids) - 1), key="pair-right", **look)
    with st.spinner("Drawing the maps …"):
        stamps = [(root() / run / "map.json").stat().st_mtime_ns for run in (left, right)]
        sides = [cached_side(run, runs[run], method, stamp) for run, stamp in zip((left, right), stamps, strict=True)]
    numbers, keys = shared_ids(sides)
    classes, words = st.session_state.get("pair-classes", []), st.session_state.get("pair-find", "")
    searched = found(sides, classes, words) if classes or words else None
    figures = pair_figures(sides, searched)
    common = len(set(numbers[0]) & set(numbers[1]))
    link = f"pair-{st.session_state.get('pair-searches', 0)}"
    drawn = []
    for column, side, figure, place in zip(st.columns(2), sides, figures, ("left", "right"), strict=True):
        with column:
            alt = f"{METHODS[method]} map of {len(side.labels)} held-out items of {side.name}, coloured by class."
            drawn.append(live_chart(figure, key=f"pair-{place}-chart", height=480, alt=alt, link=link))
            st.caption(f"Trustworthiness {side.trustworthiness:.2f} of 1.")
    if _lassoed(drawn):  # the newest word counts
        st.session_state["pair-classes"], st.session_state["pair-find"], searched = [], "", None
    both = (
        f"**{common} items are on both maps.** Draw a **lasso** on one to mark them on the other; double-click ends it."
    )
    st.caption(f"{both if common else 'The two maps show different items.'} {HINTS[method]} Without a mouse:")
    _search(list(dict.fromkeys(name for side in sides for name in side.classes)))
    ids = set(searched if searched is not None else st.session_state["pair-latest"])
    if searched == []:
        st.info("No item fits.", icon=":material/search_off:")
    _selection(ids, keys, sides)
    _tables(figures)


def _search(classes: list[str]) -> None:
    """What the keyboard has instead of the lasso."""
    kept = st.session_state.get("pair-classes", [])
    st.session_state["pair-classes"] = [name for name in kept if name in classes]  # of the maps before these
    with st.container(horizontal=True, vertical_alignment="bottom"):
        st.multiselect(
            "Mark classes", classes, format_func=plain_name, key="pair-classes", on_change=_drop_lasso, width=420
        )
        st.text_input("Mark items", placeholder="part of a name", key="pair-find", on_change=_drop_lasso, width=260)


def _drop_lasso() -> None:
    """Charts of a link with another name know nothing of the lasso that was drawn before."""
    st.session_state["pair-searches"] = st.session_state.get("pair-searches", 0) + 1
    st.session_state["pair-latest"] = []


def _lassoed(drawn: list[list[Any]]) -> bool:
    """Whether one of the charts tells of another lasso: Streamlit gives both charts' state, not which changed."""
    before = st.session_state.get("pair-before", [[], []])
    latest = next((now for now, then in zip(drawn, before, strict=True) if now != then), None)
    st.session_state["pair-before"] = drawn
    st.session_state["pair-latest"] = st.session_state.get("pair-latest", []) if latest is None else latest
    return latest is not None


def _selection(ids: set[int], keys: list[tuple[str, str, str]], sides: Sequence[Side]) -> None:
    if not ids:
        return
    labels = {
        key: side.classes[label]
        for side in sides
        for key, label in zip(side.items(), side.labels, strict=True)
        if 0 <= label < len(side.classes)
    }
    present = [set(side.items()) for side in sides]
    picked = [keys[one] for one in sorted(ids) if one < len(keys)]
    st.markdown(f"**{len(picked)} items chosen**")
    columns = {
        "Item": [source for _, _, source in picked],
        "Kind": [MODALITY_WORDS.get(modality, modality) for _, modality, _ in picked],
        "Class": [labels.get(key, "unlabelled") for key in picked],
        "On the maps": [
            " and ".join(side for side, has in zip(("left", "right"), present, strict=True) if key in has)
            for key in picked
        ],
    }
    st.dataframe(columns, hide_index=True, height=200)
    st.download_button("Chosen items (CSV)", columns_csv(columns), "chosen-items.csv", "text/csv", on_click="ignore")


def _tables(figures: Sequence[Figure]) -> None:
    numbers = st.popover("Table", icon=":material/table:", type="tertiary", key="pair-table", on_change="rerun")
    if numbers.open:
        with numbers:
            for place, figure in zip(("Left", "Right"), figures, strict=True):
                columns = map_columns(figure)
                st.dataframe(columns, hide_index=True, height=200)
                st.download_button(
                    f"{place} map (CSV)",
                    columns_csv(columns),
                    f"map-{place.lower()}.csv",
                    "text/csv",
                    on_click="ignore",
                )
