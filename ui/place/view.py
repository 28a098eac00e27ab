"""The map of the Place page, what is lit up on it, and all items side by side."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import streamlit as st

from cpc_engine.csv_text import columns_csv

from ..components.items import Stamp, card
from ..components.run_map import HINTS, METHODS, quality_words, show_map
from ..components.scatter import light
from ..drawing.map_figure import class_figure, lit_traces, map_columns
from ..shell.errors import literal, sentence
from .card import COLORS
from .items import Place, Result

if TYPE_CHECKING:
    from cpc_engine.maps.projection import Method

    from ..drawing.charts import Figure


def show_base_map(place: Place) -> None:
    """Held-out items by class, with their cards."""
    stored, quality = place.placer.map, quality_words(place.run, place.fitted)
    show_map(
        _figure(place.run, place.stamp, place.method, place),
        lambda: map_columns(stored, place.fitted.layout),
        key=place.map_key,
        what=f"{METHODS[place.method]} map of {len(stored.labels)} held-out items, by class. {quality}",
        words=f"**{quality}** {HINTS[place.method]}",
        card=lambda index: card(place.exploration, index),
    )


def light_up(place: Place, results: Sequence[Result]) -> None:
    """Every placed item as a star with its number, hollow where its place means nothing; rings around the newest one's
    true neighbors, and its path."""
    placements = [(result.item, result.placement) for result in results if result.placement]
    if not placements:
        light(place.map_key, [])
        return
    _, newest = placements[-1]
    near = place.fitted.layout[[neighbor.row for neighbor in newest.neighbors]]
    path = [window.positions[place.method] for window in newest.windows] or None
    points = [placement.positions[place.method] for _, placement in placements]
    numbers = [str(item.number) for item, _ in placements]
    unlike = [placement.is_unlike for _, placement in placements]
    light(place.map_key, lit_traces(points, numbers, near, path, unlike))


def say_verdicts(results: Sequence[Result]) -> None:
    """What the numbers on the map are and whether their places mean anything, newest first, in sight of the map."""
    for result in reversed(results):
        placement = result.placement
        if placement and (placement.verdict or placement.nothing):
            star = "☆" if placement.is_unlike else "★"
            lines = [f"{star} **{result.item.number}** {literal(result.item.name)}"]
            if placement.verdict:
                lines.append(f":{COLORS[placement.verdict]}[{placement.verdict}]")
            if placement.nothing:  # a muted microphone is noticed here, not below the map
                lines.append(sentence(placement.nothing))
            st.markdown("  \n".join(lines))


def compare_table(results: Sequence[Result]) -> None:
    """All items in one table."""
    rows = [_row(result) for result in results]
    columns: dict[str, list[Any]] = {name: [row[name] for row in rows] for name in rows[0]}
    st.dataframe(columns, hide_index=True)
    st.download_button("Placed items (CSV)", columns_csv(columns), "placed.csv", "text/csv", on_click="ignore")


def _row(result: Result) -> dict[str, Any]:
    placement = result.placement
    classed = placement if placement and not placement.is_unlike else None  # else its verdict says why there is none
    likely = classed and classed.probabilities
    return {
        "Number": result.item.number,
        "Item": result.item.name,
        "Class": classed and classed.predicted,
        "Probability": max(likely.values()) if likely else None,
        "Typicality": placement and placement.typicality,
        "Verdict": placement.verdict if placement else result.error,
        "Nearest": placement and placement.neighbors[0].source,
    }


@st.cache_resource(max_entries=12, show_spinner=False)
def _figure(run: str, stamp: Stamp, method: Method, _place: Place) -> Figure:
    """The base map: the same object as long as the run's files stay as they are at `stamp`."""
    title = f"Held-out items by {METHODS[method]}"
    return class_figure(_place.placer.map, _place.fitted.layout, title, hover=False)
