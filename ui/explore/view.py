"""The map of the Explore page: what of a run it shows, how it is drawn, and how far it can be trusted."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal

import streamlit as st

from cpc_engine.terms import ITEM_NOUNS

from ..components.items import SPLITS, Stamp, card, layout, purity
from ..components.run_map import HINTS, METHODS, choose_method, quality_words, show_map
from ..drawing.charts import Figure
from ..drawing.map_figure import amounts_figure, groups_figure, map_columns, modalities_of
from ..drawing.text import plain_name

if TYPE_CHECKING:
    from cpc_engine.maps.exploration import Exploration, Space
    from cpc_engine.maps.projection import Map, Method

SPACES: dict[Space, str] = {
    "contexts": "contexts: all it has read so far",
    "latents": "latents: single pieces",
    "predictions": "predictions: what it expects next",
}
COLORS = {
    "label": "class",
    "predicted": "class by the probe",
    "modality": "modality",
    "split": "held out or training",
    "agreement": "how well it predicts",
    "purity": "neighbors of its own class",
}
MEANINGS = {
    "predicted": "The class that the linear probe of this run reads from the frozen features.",
    "agreement": (
        "Mean cosine between what the network predicted and what came, over all positions and horizons of an item "
        "(1: exactly as predicted). This is not the training loss, which also depends on the negatives."
    ),
    "purity": (
        "Share of an item's 15 nearest (of all others where there are fewer), in the original space and not on the "
        "map, that have its class."
    ),
}


@dataclass(frozen=True)
class View:
    """What the reader chose to see; `stamp` is the state of the run's files."""

    run: str
    stamp: Stamp
    training: bool
    space: Space
    method: Method
    dimensions: Literal[2, 3]
    color: str

    @property
    def key(self) -> str:
        """Names the map on the page."""
        return f"explore-{self.run}-{'all' if self.training else 'test'}-{self.dimensions}d"

    @property
    def has_paths(self) -> bool:
        """Whether single contexts can be drawn on it."""
        return (self.space, self.method, self.dimensions) == ("contexts", "pca", 2)


def choose_view(run: str, stamp: Stamp, exploration: Exploration) -> View:
    """The controls above the map; all of them are part of the address."""
    has_data = exploration.data is not None
    method = choose_method("method")
    dimensions: Literal[2, 3] = 2
    if method != "tsne":
        choices: list[Literal[2, 3]] = [2, 3]
        dimensions = st.segmented_control(
            "Dimensions", choices, default=2, required=True, key="dimensions", bind="query-params"
        )
    spaces: list[Space] = list(SPACES) if has_data else ["contexts"]
    space = st.selectbox("Of what", spaces, format_func=SPACES.__getitem__, key="space", bind="query-params", width=290)
    colors = ["label", *(["predicted"] if has_data and exploration.predicted is not None else [])]
    colors += ["modality"] if modalities_of(exploration.items) else []
    colors += ["split"] if exploration.training else []
    colors += [*(["agreement"] if has_data else []), "purity"]
    color = st.selectbox("Color", colors, format_func=COLORS.__getitem__, key="color", bind="query-params", width=180)
    return View(run, stamp, exploration.training, space, method, dimensions, color)


def show_view(view: View, exploration: Exploration) -> Map:
    """The map with its cards beside the pointer, what it means, and its table."""
    with st.spinner("Drawing the map …" if view.method != "umap" else "Drawing the map (UMAP starts slowly) …"):
        fitted = layout(view.run, view.training, view.stamp, view.space, view.method, view.dimensions)
        figure = colored(view, exploration, fitted)
    items, quality = exploration.items, quality_words(view.run, fitted)
    words = f"**{quality}** {HINTS[view.method]}"
    if view.color in MEANINGS:
        words += f"\n\nColor: {MEANINGS[view.color]}"
    show_map(
        figure,
        lambda: map_columns(items, fitted.layout, split=[SPLITS[split] for split in items.splits]),
        key=view.key,
        what=f"{METHODS[view.method]} map of {len(items)} items by their {view.space}, "
        f"colored by {COLORS[view.color]}. {quality}",
        words=words,
        height="clamp(20rem, calc(100vh - 24rem), 50rem)",
        card=lambda index: card(exploration, index),
        table=f"map-{view.run}-{view.space}-{view.method}",
    )
    return fitted


def colored(view: View, exploration: Exploration, fitted: Map) -> Figure:
    """The map's figure in the chosen colors."""
    items = exploration.items
    modalities = modalities_of(items)
    title = f"{METHODS[view.method]} of {view.space}, {len(items)} items"
    if view.color == "agreement":
        return amounts_figure(fitted.layout, exploration.agreement, "cosine of prediction", modalities, title)
    if view.color == "purity":
        shares = purity(view.run, view.training, view.stamp, view.space)
        return amounts_figure(fitted.layout, shares, "share of own class", modalities, title)
    groups = [plain_name(name) for name in items.classes]
    codes: Any = items.labels
    if view.color == "predicted":
        codes = exploration.predicted
    elif view.color == "modality":
        kinds = list(ITEM_NOUNS)
        groups, modalities = [ITEM_NOUNS[kind][0] for kind in kinds], None
        codes = [kinds.index(modality) for modality in items.modalities]
    elif view.color == "split":
        groups, codes = list(SPLITS.values()), [list(SPLITS).index(split) for split in items.splits]
    return groups_figure(fitted.layout, codes, groups, modalities, title, named=view.color != "split")
