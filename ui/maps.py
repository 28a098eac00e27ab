"""A run's map on a page."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import streamlit as st

from cpc_engine.errors import RunError

from .charts import Figure, map_figure
from .curves import columns_csv
from .engine import plain_errors, root
from .live_chart import live_chart

METHODS = {"tsne": "t-SNE", "pca": "PCA", "umap": "UMAP"}
HINTS = {
    "tsne": "Neighbours stay neighbours; distances between groups mean nothing.",
    "pca": "The two widest directions, straight on; fine groups may overlap.",
    "umap": "Neighbours stay neighbours, groups are drawn together; distances between groups mean little.",
}


def show_map(run: str) -> None:
    """Held-out items where the run puts them, by class."""
    from cpc_engine.runs.folder import RunFolder

    if not (root() / run / "map.json").is_file():
        return
    method = st.segmented_control(
        "Map", list(METHODS), default="tsne", required=True, format_func=METHODS.__getitem__, key=f"method-{run}"
    )
    with st.spinner("Drawing the map …"):
        figure, trust, count = _figure(run, method, RunFolder.open(run, root()).info().updated)
    alt = f"{METHODS[method]} map of {count} held-out items, coloured by class. Trustworthiness {trust:.2f} of 1."
    live_chart(figure, key=f"map-{run}", height=520, alt=alt)
    st.caption(f"{HINTS[method]} Trustworthiness {trust:.2f} (1: neighbours on the map are true neighbours).")
    map_table(lambda: map_columns(figure), f"map-{run}")


def show_evolving_map(run: str) -> None:
    """Where a run that goes on puts held-out items now: PCA, turned so that it stays put from one look to the next."""
    try:
        stamp = (root() / run / "evolution.safetensors").stat().st_mtime_ns
    except FileNotFoundError:
        return  # no step was taken yet
    with plain_errors():
        figure, step, count = _evolving(run, stamp)
        live_chart(figure, key=f"evolving-{run}", height=400, alt=f"PCA map of {count} held-out items at step {step}.")
        st.caption("Renewed at a few of the steps at which the run is measured; turned like the picture before it.")
        map_table(lambda: map_columns(figure), f"evolving-{run}")


def map_table(columns: Callable[[], dict[str, list[Any]]], key: str) -> None:
    """A map's points and their CSV behind a button; `columns` is asked for them only then."""
    numbers = st.popover("Table", icon=":material/table:", type="tertiary", key=f"table-{key}", on_change="rerun")
    if numbers.open:
        with numbers:
            found = columns()
            st.dataframe(found, hide_index=True, height=260)
            st.download_button("Map (CSV)", columns_csv(found), f"{key}.csv", "text/csv", on_click="ignore")


def map_columns(figure: Figure) -> dict[str, list[Any]]:
    """The points of a map as columns."""
    columns: dict[str, list[Any]] = {"group": [], "item": [], "x": [], "y": []}
    for trace in figure["data"]:
        columns["group"] += [trace["name"]] * len(trace["x"])
        columns["item"] += trace.get("text", [str(row[0]) for row in trace["customdata"]])
        columns["x"] += trace["x"]
        columns["y"] += trace["y"]
    return columns


@st.cache_data(max_entries=32, show_spinner=False)
def _figure(run: str, method: str, updated: float) -> tuple[Figure, float, int]:
    """The figure of a run as it stood at `updated`, its trustworthiness and the number of points."""
    from cpc_engine.runs.folder import RunFolder
    from cpc_engine.runs.map import load_map

    found = load_map(RunFolder.open(run, root()), method)
    fitted = found.maps[method]
    figure = map_figure(
        fitted.layout,
        found.labels.tolist(),
        found.classes,
        found.modalities if len(set(found.modalities)) > 1 else None,
        found.sources,
        title=f"Where unseen items land ({METHODS[method]})",
    )
    figure["layout"] |= {"dragmode": "pan", "uirevision": method}
    return figure, fitted.trustworthiness, len(found.labels)


@st.cache_data(max_entries=8, show_spinner=False)
def _evolving(run: str, stamp: int) -> tuple[Figure, int, int]:
    """(figure, step, number of points) of the newest state in the evolution's files as they are at `stamp`."""
    from cpc_engine.runs.evolution import load_evolution
    from cpc_engine.runs.folder import RunFolder

    found = load_evolution(RunFolder.open(run, root()))
    if found is None:
        raise RunError(f"{run}: evolution.json is missing")
    both = len(set(found.modalities)) > 1
    figure = map_figure(
        found.coordinates()[-1],
        found.labels.tolist(),
        found.classes,
        found.modalities if both else None,
        found.sources,
        title=f"Where unseen items land at step {found.steps[-1]} (PCA)",
    )
    for trace in figure["data"]:
        trace["type"] = "scatter"  # a few hundred points: no graphics processor is woken for them
    figure["layout"] |= {"dragmode": "pan", "uirevision": "evolving"}
    return figure, found.steps[-1], len(found.labels)
