"""Maps on pages: one way to show any of them, and the two maps of a run's own page."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import streamlit as st

from cpc_engine.errors import RunError

from ..drawing.charts import Figure
from ..drawing.csv_text import columns_csv
from ..drawing.map_figure import class_figure, map_columns
from ..shell.errors import plain_errors
from ..shell.session import open_run
from .scatter import Card, cards, scatter

if TYPE_CHECKING:
    from cpc_engine.maps.projection import Map, Method
    from cpc_engine.maps.snapshots import MapSnapshots
    from cpc_engine.maps.stored import RunMap

METHODS: dict[Method, str] = {"tsne": "t-SNE", "pca": "PCA", "umap": "UMAP"}
HINTS: dict[Method, str] = {
    "tsne": "Neighbors stay neighbors; distances between groups mean nothing.",
    "pca": "The two widest directions, straight on; fine groups may overlap.",
    "umap": "Neighbors stay neighbors, groups are drawn together; distances between groups mean little.",
}
Columns = dict[str, list[Any]]


def show_map(
    figure: Figure,
    columns: Callable[[], Columns],
    *,
    key: str,
    what: str,
    words: str,
    height: int = 520,
    card: Callable[[int], Card] | None = None,
    table: str = "",
    **options: Any,
) -> None:
    """A map, what it shows in words, and its table.

    A page adds what it needs by the same key: `choice` for a lasso, `light` for points that are lit up.

    Args:
        columns: called for the table when the reader opens it.
        key: names the map.
        what: for screen readers, instead of the picture.
        words: how to read the map, below it.
        card: what a point shows while hovered; without it the figure's own text.
        table: names the table and its CSV; `key` by default.
        options: of `scatter`.
    """
    scatter(figure, key=key, height=height, alt=what, **options)
    if card:
        st.fragment(cards)(key, card)
    st.caption(words)
    map_table(columns, table or key)


def map_table(columns: Callable[[], Columns], key: str) -> None:
    """A map's points and their CSV behind a button; `columns` is called only when it is pressed."""
    table = st.popover("Table", icon=":material/table:", type="tertiary", key=f"table-{key}", on_change="rerun")
    if table.open:
        with table:
            points = columns()
            st.dataframe(points, hide_index=True, height=260)
            st.download_button("Map (CSV)", columns_csv(points), f"{key}.csv", "text/csv", on_click="ignore")


def choose_method(key: str, default: Method = "tsne", in_address: bool = True) -> Method:
    """The kind of map that the reader picks."""
    method: Method = st.segmented_control(
        "Map",
        list(METHODS),
        default=default,
        required=True,
        format_func=METHODS.__getitem__,
        key=key,
        bind="query-params" if in_address else None,
    )
    return method


def show_run_map(run: str) -> None:
    """Held-out items where the run puts them, by class; nothing where it has no map."""
    opened = open_run(run)
    if not opened.has_map:
        return
    method = choose_method(f"method-{run}", in_address=False)
    with st.spinner("Drawing the map …"):
        items, figure = _run_map(run, opened.folder.stamp("map", "config"), method)
    fitted = items.maps[method]
    quality = quality_words(fitted)
    show_map(
        figure,
        lambda: map_columns(items, fitted.layout),
        key=f"map-{run}",
        what=f"{METHODS[method]} map of {len(items.labels)} held-out items, colored by class. {quality}",
        words=f"**{quality}** {HINTS[method]}",
        lasso=False,
    )


def show_evolving_map(run: str) -> None:
    """Where an active run puts held-out items now: PCA, turned so that it stays put from one look to the next."""
    with plain_errors():
        folder = open_run(run).folder
        if not folder.has("snapshots"):
            return  # no step was taken yet
        snapshots, figure = _newest_snapshot(run, folder.stamp("snapshots"))
        step, count = snapshots.steps[-1], len(snapshots.labels)
        show_map(
            figure,
            lambda: map_columns(snapshots, snapshots.coordinates()[-1]),
            key=f"evolving-{run}",
            what=f"PCA map of {count} held-out items at step {step}.",
            words="Renewed at a few of the steps at which the run is measured; turned like the picture before it.",
            height=400,
            lasso=False,
        )


@st.cache_resource(max_entries=32, show_spinner=False)
def _run_map(run: str, stamp: tuple[int, ...], method: Method) -> tuple[RunMap, Figure]:
    """A run's map as its files are at `stamp`, and its figure."""
    items = open_run(run).stored_map(method)
    figure = class_figure(items, items.maps[method].layout, f"Where unseen items land ({METHODS[method]})")
    figure["layout"]["uirevision"] = method  # zoom of another kind of map means nothing on this one
    return items, figure


@st.cache_resource(max_entries=8, show_spinner=False)
def _newest_snapshot(run: str, stamp: tuple[int, ...]) -> tuple[MapSnapshots, Figure]:
    """A run's snapshots as their files are at `stamp`, and the figure of the newest one."""
    snapshots = open_run(run).snapshots()
    if snapshots is None:
        raise RunError(f"{run}: its snapshots are gone")
    title = f"Where unseen items land at step {snapshots.steps[-1]} (PCA)"
    return snapshots, class_figure(snapshots, snapshots.coordinates()[-1], title, gl=False)


def quality_words(fitted: Map) -> str:
    """How far a map can be trusted."""
    return trust_words(fitted.trustworthiness, fitted.overlap)


def trust_words(trustworthiness: float, overlap: float) -> str:
    """A map's trustworthiness and neighborhood overlap in plain words."""
    verdict = (
        "Neighbors on this map can be relied on"
        if trustworthiness >= 0.95
        else "Most neighbors on this map are real"
        if trustworthiness >= 0.85
        else "This map misplaces much: rely on the list of neighbors, not on the picture"
    )
    return (
        f"{verdict}: trustworthiness {trustworthiness:.2f} of 1, and {overlap:.0%} of the 15 nearest dots are among "
        "the 15 nearest in the original space."
    )
