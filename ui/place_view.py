"""The map of the Place page, what is lit up on it, and all items side by side."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import streamlit as st

from .charts import Figure
from .compare_curves import plain_name
from .curves import columns_csv
from .explore_data import card
from .explore_view import trust_words
from .maps import HINTS, METHODS
from .place_items import Item, placer
from .scatter import cards, light, scatter
from .scatter_figure import groups_figure, lit_traces

if TYPE_CHECKING:
    from cpc_engine.placing import Placement, Placer
    from cpc_engine.runs.explore import Exploration

Found = list[tuple[Item, "Placement | str"]]
BASIC = ("pca", "tsne")


def choose_method() -> tuple[str, tuple[Any, ...]]:
    """(the map that is shown, the maps that are needed for it)."""
    method = st.segmented_control(
        "Map",
        list(METHODS),
        default="tsne",
        required=True,
        format_func=METHODS.__getitem__,
        key="method",
        bind="query-params",
    )
    return method, BASIC if method in BASIC else (*BASIC, method)


def show_map(run: str, at: tuple[int, ...], ready: Placer, explored: Exploration, method: str) -> None:
    """Held-out items by class, with their cards."""
    fitted = ready.map.maps[method]  # type: ignore[index]
    key = map_key(run)
    words = trust_words(fitted.trustworthiness, fitted.overlap)
    alt = f"{METHODS[method]} map of {len(ready.map.labels)} held-out items, by class. {words}"
    scatter(_figure(run, at, ready.methods, method), key=key, height=520, alt=alt)
    st.fragment(cards)(key, lambda index: card(explored, index))
    st.caption(f"**{words}** {HINTS[method]}")


def light_up(run: str, ready: Placer, found: Found, method: str) -> None:
    """Every placed item as a star with its number; rings around the newest one's true neighbours, and its path."""
    stars = [(item, one) for item, one in found if not isinstance(one, str)]
    if not stars:
        light(map_key(run), [])
        return
    _, newest = stars[-1]
    near = ready.map.maps[method].layout[[one.row for one in newest.neighbours]]  # type: ignore[index]
    path = [window.positions[method] for window in newest.windows] or None
    points = [one.positions[method] for _, one in stars]
    light(map_key(run), lit_traces(points, [str(item.number) for item, _ in stars], near, path))


def compare_table(found: Found) -> None:
    """All items in one table."""
    columns: dict[str, list[Any]] = {
        "Number": [item.number for item, _ in found],
        "Item": [item.name for item, _ in found],
        "Class": [None if isinstance(one, str) else one.predicted for _, one in found],
        "Probability": [
            None if isinstance(one, str) or not one.probabilities else max(one.probabilities.values())
            for _, one in found
        ],
        "Typicality": [None if isinstance(one, str) else one.typicality for _, one in found],
        "Verdict": [one if isinstance(one, str) else one.verdict for _, one in found],
        "Nearest": [None if isinstance(one, str) else one.neighbours[0].source for _, one in found],
    }
    st.dataframe(columns, hide_index=True)
    st.download_button("Placed items (CSV)", columns_csv(columns), "placed.csv", "text/csv", on_click="ignore")


def map_key(run: str) -> str:
    return f"place-{run}"


@st.cache_resource(max_entries=12, show_spinner=False)
def _figure(run: str, at: tuple[int, ...], methods: tuple[Any, ...], method: Any) -> Figure:
    """The base map: never sent again while the run stays the same."""
    known = placer(run, at, methods).map
    kinds = known.modalities if len(set(known.modalities)) > 1 else None
    names = [plain_name(name) for name in known.classes]
    title = f"Held-out items by {METHODS[method]}"
    return groups_figure(known.maps[method].layout, known.labels, names, kinds, title)
