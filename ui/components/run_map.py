"""Maps on pages: one way to show any of them, and the two maps of a run's own page."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import TYPE_CHECKING, Any

import streamlit as st

from cpc_engine.csv_text import columns_csv
from cpc_engine.errors import RunError
from cpc_engine.evaluation.alarms import has_collapsed

from ..drawing.charts import Figure
from ..drawing.map_figure import class_figure, in_frame, item_words, lit_traces, map_columns
from ..drawing.text import collapsed_words, trust_words
from ..shell.errors import literal, plain_errors
from ..shell.links import negatives_of
from ..shell.session import open_run
from .figure_dialog import figure_dialog
from .run_cards import metrics_of
from .scatter import Card, cards, choice, clicked, light, scatter

if TYPE_CHECKING:
    import numpy as np

    from cpc_engine.maps.projection import Map, Method
    from cpc_engine.maps.snapshots import MapSnapshots
    from cpc_engine.maps.stored import RunMap

    from ..drawing.map_figure import MapItems

METHODS: dict[Method, str] = {"tsne": "t-SNE", "pca": "PCA", "umap": "UMAP"}
HINTS: dict[Method, str] = {
    "tsne": "Neighbors stay neighbors; distances between groups mean nothing.",
    "pca": "The two widest directions, straight on; fine groups may overlap.",
    "umap": "Neighbors stay neighbors, groups are drawn together; distances between groups mean little.",
}
WHILE = "PCA while it trains; t-SNE and UMAP at the end."
Columns = dict[str, list[Any]]


def show_map(
    figure: Figure,
    columns: Callable[[], Columns],
    *,
    key: str,
    what: str,
    words: str,
    height: int | str = 520,
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
    with st.container(horizontal=True, gap="small"):
        map_table(columns, table or key)
        if "xaxis" in figure["layout"]:  # of two dimensions
            figure_dialog(figure, table or key)


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
        label_visibility="visible" if in_address else "collapsed",
        bind="query-params" if in_address else None,
    )
    return method


def show_map_of(run: str, ended: bool, height: int | str, reach: float | None = None) -> None:
    """A run's own map: while it trains held-out items where it puts them now, in PCA, which is turned so that they stay
    put from one look to the next; when it has ended the map of the kind that the reader picks.

    Args:
        reach: half the width of what is seen, the same for maps that are compared; None: what holds all points.
    """
    with st.container(key=f"map-tools-{run}", horizontal=True, vertical_alignment="center"):
        tools = st.container(width="stretch")
        table = st.container(width="content", horizontal=True, gap="small")
    folder = open_run(run).folder
    if not folder.has("map" if ended else "snapshots"):
        if ended:
            st.caption("This run ended without a map.")
            return
        with tools:
            st.caption(WHILE)
        with table:  # what the map will have
            for name, icon in (("table", ":material/table:"), ("figure", ":material/image:")):
                st.button(name.capitalize(), icon=icon, type="tertiary", key=f"{name}-waits-{run}", disabled=True)
        # As high as the map on every screen, by the map's class, so that nothing below it moves when it comes.
        size = f"{height}px" if isinstance(height, int) else height
        st.html(f'<div class="cpc-scatter" style="height: {size}"></div>')
        with st.container(key=f"map-words-{run}"):
            st.caption("The first map comes before the first step.")
        return
    items: RunMap | MapSnapshots
    if ended:
        with tools:
            method = choose_method(f"method-{run}", in_address=False)
        with st.spinner("Drawing the map …"):
            items, figure = _run_map(run, folder.stamp("map", "config"), method)
        fitted = items.maps[method]
        layout = fitted.layout
        words = f"Trustworthiness {fitted.trustworthiness:.2f}; {fitted.overlap:.0%} of neighbors kept. {HINTS[method]}"
        if collapse := collapse_words(run, fitted.trustworthiness):
            words = f"**{collapse}**"
        words, help = f"Click a dot for its negatives. {words}", quality_words(run, fitted)
        what = f"{METHODS[method]} map of {len(items.labels)} held-out items, colored by class."
    else:
        items, figure = _newest_snapshot(run, folder.stamp("snapshots"))
        layout, step = items.coordinates()[-1], items.steps[-1]
        words, help = "Renewed at a few of the measured steps; turned like the picture before it.", None
        what = f"PCA map of {len(items.labels)} held-out items at step {step}."
        with tools:
            st.caption(WHILE)
    if reach:
        figure = in_frame(figure, ((-reach, reach), (-reach, reach)))
    scatter(figure, key=f"{'map' if ended else 'evolving'}-{run}", height=height, alt=what, lasso=False)
    with table:
        map_table(lambda: map_columns(items, layout), f"map-{run}")
        figure_dialog(figure, f"map-{run}")
    if ended:
        st.fragment(_words_or_item)(run, items, layout, words, help)
    else:
        with st.container(key=f"map-words-{run}"):
            st.caption(words, help=help)


def said_of_map(key: str, words: str, item: Callable[[], None] | None, help: str | None = None) -> None:
    """What is said of a map, or in its place an item that was clicked; the words keep their room, so nothing moves.

    Args:
        item: draws the item, in a row; None where there is none.
    """
    with st.container(key=f"said-{key}", gap=None):
        st.caption(words, help=help)
        if item:
            with st.container(key=f"clicked-{key}", horizontal=True, vertical_alignment="center", gap="small"):
                item()


def _words_or_item(run: str, items: MapItems, layout: np.ndarray, words: str, help: str | None) -> None:
    """What is said of the map of a run that has ended; a click on a dot draws only this again."""
    link = f"map-{run}"
    row = clicked(link)

    def item(row: int) -> None:
        st.markdown(f"**{literal(item_words(items, row))}**", help=words)
        negatives_of(run, row)

    with st.container(key=f"map-words-{run}", gap=None), plain_errors():
        said_of_map(run, words, None if row is None else partial(item, row), help)
        choice(link, [], lambda: None, lambda: None)
        light(link, [] if row is None else lit_traces(layout[[row]], ["here"]))


@st.cache_resource(max_entries=32, show_spinner=False)
def _run_map(run: str, stamp: tuple[int, ...], method: Method) -> tuple[RunMap, Figure]:
    """A run's map as its files are at `stamp`, and its figure."""
    items = open_run(run).stored_map(method)
    figure = _one_entry_a_class(class_figure(items, items.maps[method].layout, "Held-out items"))
    figure["layout"]["uirevision"] = method  # zoom of another kind of map means nothing on this one
    return items, figure


@st.cache_resource(max_entries=8, show_spinner=False)
def _newest_snapshot(run: str, stamp: tuple[int, ...]) -> tuple[MapSnapshots, Figure]:
    """A run's snapshots as their files are at `stamp`, and the figure of the newest one."""
    snapshots = open_run(run).snapshots()
    if snapshots is None:
        raise RunError(f"{run}: its snapshots are gone")
    title = f"Held-out items at step {snapshots.steps[-1]}"
    return snapshots, _one_entry_a_class(class_figure(snapshots, snapshots.coordinates()[-1], title, gl=False))


def _one_entry_a_class(figure: Figure) -> Figure:
    """A map of sounds and pictures whose legend has each class once, which leaves more room for the points."""
    groups = [trace["legendgroup"] for trace in figure["data"]]
    if len(set(groups)) < len(groups):
        for index, trace in enumerate(figure["data"]):
            trace |= {"name": trace["legendgroup"], "showlegend": groups.index(trace["legendgroup"]) == index}
        figure["layout"]["legend"]["groupclick"] = "togglegroup"
        figure["layout"]["title"]["subtitle"] = {"text": "● sounds  ○ pictures", "font": {"size": 13}}
        figure["layout"]["margin"]["t"] += 16
    figure["layout"]["title"]["font"] = {"size": 14}
    return figure


def collapse_words(run: str, trustworthiness: float) -> str:
    """What to say of a map of a run whose latents have collapsed; empty where they have not."""
    collapsed = has_collapsed(metrics_of(run, open_run(run).info.updated))
    return collapsed_words(trustworthiness) if collapsed else ""


def quality_words(run: str, fitted: Map) -> str:
    """How far a map of a run can be trusted."""
    from cpc_engine.maps.projection import quality_neighbors

    return collapse_words(run, fitted.trustworthiness) or trust_words(
        fitted.trustworthiness, fitted.overlap, quality_neighbors(len(fitted.layout))
    )
