"""The map of the Explore page: what of a run it shows, how it is drawn, and how far it can be trusted."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import streamlit as st

from .charts import Figure
from .compare_curves import plain_name
from .explore_data import SPLITS, card, layout, purity
from .maps import HINTS, METHODS, map_table
from .palette import KINDS
from .scatter import cards, scatter
from .scatter_figure import amounts_figure, groups_figure

if TYPE_CHECKING:
    from cpc_engine.evaluation.maps import Map
    from cpc_engine.runs.explore import Exploration

SPACES = {
    "contexts": "contexts: what it makes of everything so far",
    "latents": "latents: what it makes of single pieces",
    "predictions": "predictions: what it expects to come next",
}
COLOURS = {
    "label": "class",
    "predicted": "class by the probe",
    "modality": "sound or picture",
    "split": "held out or training",
    "agreement": "how well it predicts",
    "purity": "neighbours of its own class",
}
MEANINGS = {
    "predicted": "The class that the linear probe of this run reads from the frozen features.",
    "agreement": (
        "Mean cosine between what the network predicted and what came, over all positions and horizons of an item "
        "(1: exactly as predicted). This is not the training loss, which also depends on the negatives."
    ),
    "purity": "Share of an item's 15 nearest, in the original space and not on the map, that have its class.",
}


@dataclass(frozen=True)
class View:
    """What the reader asked to see; `key` names the map on the page, `at` the state of the run's files."""

    run: str
    at: tuple[int, ...]
    training: bool
    space: Any
    method: Any
    dimensions: Any
    colour: str

    @property
    def key(self) -> str:
        return f"explore-{self.run}-{'all' if self.training else 'test'}-{self.dimensions}d"

    @property
    def has_paths(self) -> bool:
        """Whether single contexts can be drawn on it."""
        return (self.space, self.method, self.dimensions) == ("contexts", "pca", 2)


def choose_view(run: str, at: tuple[int, ...], explored: Exploration, training: bool) -> View:
    """The controls above the map; all of them are part of the address."""
    here = explored.data is not None
    with st.container(horizontal=True, vertical_alignment="bottom"):
        method = st.segmented_control(
            "Map",
            list(METHODS),
            default="tsne",
            required=True,
            format_func=METHODS.__getitem__,
            key="method",
            bind="query-params",
        )
        dimensions = 2
        if method != "tsne":
            dimensions = st.segmented_control(
                "Dimensions", [2, 3], default=2, required=True, key="dimensions", bind="query-params"
            )
        spaces = list(SPACES) if here else ["contexts"]
        space = st.selectbox(
            "Of what", spaces, format_func=SPACES.__getitem__, key="space", bind="query-params", width=360
        )
        colours = ["label", *(["predicted"] if here and explored.predicted is not None else [])]
        colours += ["modality"] if len(set(explored.items.modalities)) > 1 else []
        colours += ["split"] if training else []
        colours += [*(["agreement"] if here else []), "purity"]
        colour = st.selectbox(
            "Colour", colours, format_func=COLOURS.__getitem__, key="colour", bind="query-params", width=260
        )
    return View(run, at, training, space, method, dimensions, colour)


def show_map(view: View, explored: Exploration) -> Map:
    """The map, its card beside the pointer, what it means, and its table."""
    with st.spinner("Drawing the map …" if view.method != "umap" else "Drawing the map (UMAP starts slowly) …"):
        fitted = layout(view.run, view.training, view.at, view.space, view.method, view.dimensions)
        figure = coloured(view, explored, fitted)
    items = explored.items
    alt = (
        f"{METHODS[view.method]} map of {len(items)} items by their {view.space}, coloured by {COLOURS[view.colour]}. "
        f"{trust_words(fitted.trustworthiness, fitted.overlap)}"
    )
    scatter(figure, key=view.key, height=560, alt=alt)
    st.fragment(cards)(view.key, lambda index: card(explored, index))
    st.caption(f"**{trust_words(fitted.trustworthiness, fitted.overlap)}** {HINTS[view.method]}")
    if view.colour in MEANINGS:
        st.caption(f"Colour: {MEANINGS[view.colour]}")
    map_table(lambda: _columns(explored, fitted), f"map-{view.run}-{view.space}-{view.method}")
    return fitted


def coloured(view: View, explored: Exploration, fitted: Map) -> Figure:
    """The map's figure in the colours asked for."""
    items = explored.items
    several = len(set(items.modalities)) > 1
    kinds: list[str] | None = list(items.modalities) if several else None
    title = f"{METHODS[view.method]} of {view.space}, {len(items)} items"
    if view.colour == "agreement":
        return amounts_figure(fitted.layout, explored.agreement, "cosine of prediction", kinds, title)
    if view.colour == "purity":
        shares = purity(view.run, view.training, view.at, view.space)
        return amounts_figure(fitted.layout, shares, "share of own class", kinds, title)
    names = [plain_name(name) for name in items.classes]
    codes: Any = items.labels
    if view.colour == "predicted":
        codes = explored.predicted
    elif view.colour == "modality":
        names, codes, kinds = list(KINDS.values()), [list(KINDS).index(one) for one in items.modalities], None
    elif view.colour == "split":
        names, codes = list(SPLITS.values()), [list(SPLITS).index(one) for one in items.splits]
    return groups_figure(fitted.layout, codes, names, kinds, title)


def trust_words(trustworthiness: float, overlap: float) -> str:
    """A map's quality in plain words."""
    verdict = (
        "Neighbours on this map can be relied on"
        if trustworthiness >= 0.95
        else "Most neighbours on this map are real"
        if trustworthiness >= 0.85
        else "This map misplaces much: rely on the list of neighbours, not on the picture"
    )
    return (
        f"{verdict}: trustworthiness {trustworthiness:.2f} of 1, and {overlap:.0%} of the 15 nearest dots are among "
        "the 15 nearest in the original space."
    )


def _columns(explored: Exploration, fitted: Map) -> dict[str, list[Any]]:
    items = explored.items
    columns: dict[str, list[Any]] = {
        "item": items.sources,
        "kind": [KINDS[one] for one in items.modalities],
        "class": [items.classes[label] for label in items.labels.tolist()],
        "split": [SPLITS[one] for one in items.splits],
    }
    return columns | {axis: values.tolist() for axis, values in zip("xyz", fitted.layout.T, strict=False)}
