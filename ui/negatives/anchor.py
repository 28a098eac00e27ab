"""Which anchor to look at: found in the run's next batch, or an item of the map."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import streamlit as st

from cpc_engine.terms import ITEM_NOUNS, READING_ORDERS

from ..components.scatter import choice, clicked, light, scatter
from ..drawing.map_figure import class_figure, lit_traces
from ..drawing.text import plain_name
from ..shell.address import put
from ..shell.session import has_map, open_run
from .opened import Opening, batch, opened, surveyed

if TYPE_CHECKING:
    from cpc_engine.anatomy.frozen import Frozen
    from cpc_engine.anatomy.opened import Opened
    from cpc_engine.anatomy.past import Term
    from cpc_engine.maps.stored import RunMap
    from cpc_engine.terms import Modality

    Which = tuple[Term, Modality]

WAYS = {
    "losses": "hardest",
    "margin": "most mistaken",
    "false_share": "most pulled by own class",
    "map": "from the map",
}
HELP = (
    "Of the batch that this run draws next; at an earlier step the same anchor, as it was then. "
    "**Hardest**: the largest loss. **Most mistaken**: the hardest negative is "
    "more similar than the positive by most. **Most pulled by own class**: the largest share of the gradient from "
    "false negatives. **From the map**: click a held-out item; it takes a place in that batch."
)
TERMS = {"prediction": "prediction of what comes next", "item": "item-level term"}


@dataclass(frozen=True)
class Chosen:
    """The anchor that the reader looks at; the first two name what it was opened from."""

    opening: Opening
    row: int | None
    frozen: Frozen
    anchor: int

    @property
    def run(self) -> str:
        return self.opening.run

    @property
    def which(self) -> Which:
        return self.frozen.term, self.frozen.modality


def choose_loss(source: Opened) -> Which:
    """The loss that is looked at, where the run has several; the item-level term first, since it weighs more."""
    config = source.config
    terms: list[Term] = ["prediction"] if config.loss.prediction_weight > 0 or source.trainer.item_term is None else []
    if source.trainer.item_term is not None:
        terms.insert(0, "item")
    modalities = source.trainer.model.modalities
    options: list[Which] = [(term, modality) for term in terms for modality in modalities]
    if len(options) == 1:
        put("loss", None)
        return options[0]

    def words(which: Which) -> str:
        parts = ([TERMS[which[0]]] if len(terms) > 1 else []) + (
            [ITEM_NOUNS[which[1]][1]] if len(modalities) > 1 else []
        )
        return ", ".join(parts)

    names = {f"{term}-{modality}": (term, modality) for term, modality in options}
    key, asked = "negatives-loss", st.query_params.get("loss", "")
    if st.session_state.get(key) not in names:
        kind = _kind_asked(source.folder.id)
        fitting = [name for name, (_, modality) in names.items() if modality == kind]
        st.session_state[key] = asked if asked in names else next(iter(fitting or names))
    name = st.selectbox("Loss", list(names), format_func=lambda key: words(names[key]), key=key, width=150)
    put("loss", name)
    return names[name]


def _kind_asked(run: str) -> Modality | None:
    """Whether the item of the map in the address is a sound or a picture."""
    asked = st.query_params.get("item", "")
    if not asked.isdecimal() or not has_map(run):
        return None
    kinds = open_run(run).stored_map().modalities
    return kinds[int(asked)] if int(asked) < len(kinds) else None


def choose_anchor(opening: Opening, which: Which, place: st.delta_generator.DeltaGenerator) -> Chosen:
    """The controls beside the run's name, and what they choose: an anchor of the present step, at the one looked at."""
    run, now = opening.run, replace(opening, step=None)
    source = opened(now)
    ways = list(WAYS) if has_map(run) else [way for way in WAYS if way != "map"]
    asked = st.query_params.get("anchor", "map" if "item" in st.query_params else "")
    if st.session_state.get("negatives-way") not in ways:
        st.session_state["negatives-way"] = asked if asked in ways else ways[0]
    with place:
        picked = st.segmented_control(
            "Anchor", ways, required=True, format_func=WAYS.__getitem__, key="negatives-way", help=HELP
        )
    way = picked or ways[0]
    put("anchor", None if way in (ways[0], "map") else way)  # an item says that it is of the map
    if way == "map":
        put("class", None)
        row = _from_map(run, source, which, place)
        frozen = batch(now, row).losses[which]
        return followed(Chosen(now, row, frozen, _piece(frozen, row, place)), opening)
    put("item", None)
    put("piece", None)
    found = surveyed(now, *which)
    classes = sorted(set(found.labels.tolist()))
    key, names = f"negatives-class-{run}", source.data.classes
    if st.session_state.get(key) not in classes:
        asked = st.query_params.get("class", "")
        st.session_state[key] = next((label for label in classes if names[label] == asked), None)
    with place:
        label = st.selectbox(
            "Class",
            classes,
            index=None,
            placeholder="any class",
            format_func=lambda one: plain_name(names[one]),
            key=key,
            width=130,
        )
    put("class", None if label is None else names[label])
    frozen = batch(now, None).losses[which]
    return followed(Chosen(now, None, frozen, found.most(way, label)), opening)


def followed(chosen: Chosen, opening: Opening) -> Chosen:
    """The same anchor at another step: its item takes a place in the batch that the run drew next there."""
    if opening == chosen.opening:
        return chosen
    frozen, anchor = chosen.frozen, chosen.anchor
    row, part, position = int(frozen.items[anchor]), frozen.parts[anchor], int(frozen.positions[anchor])
    then = batch(opening, row).losses[chosen.which]
    parts, positions = then.parts, then.positions
    # Random windows of a recording begin elsewhere at every step: then the piece that is nearest in time.
    nearest = min(then.anchors_of(row), key=lambda i: (parts[i] != part, abs(int(positions[i]) - position)))
    return Chosen(opening, row, then, nearest)


def _from_map(run: str, source: Opened, which: Which, place: st.delta_generator.DeltaGenerator) -> int:
    """Row of a held-out item: clicked on the map, chosen by name, or in the address."""
    stored = open_run(run).stored_map()
    shown = [i for i, modality in enumerate(stored.modalities) if modality == which[1]]
    key = f"negatives-item-{run}"
    asked = st.query_params.get("item", "")
    if st.session_state.get(key) not in shown:
        st.session_state[key] = int(asked) if asked.isdecimal() and int(asked) in shown else shown[0]

    def follow_click() -> None:
        point = clicked(f"negatives-map-{run}")
        if point in shown:
            st.session_state[key] = point

    with place:
        item = st.selectbox(
            "Item",
            shown,
            format_func=lambda i: (
                f"{plain_name(stored.names[i])} · {plain_name(stored.classes[int(stored.labels[i])])}"
            ),
            key=key,
            width=230,
        )
    with st.expander("Map: click an item", expanded=asked == "", key="negatives-map"):
        _map(run, stored, item)
        choice(f"negatives-map-{run}", [], lambda: None, follow_click)
    put("item", str(item))
    return source.row_of("test", int(stored.rows[item]))


def _map(run: str, stored: RunMap, item: int) -> None:
    method = "tsne" if "tsne" in stored.maps else next(iter(stored.maps))
    layout = stored.maps[method].layout
    figure = class_figure(stored, layout, "Held-out items")
    what = f"Map of {len(stored.labels)} held-out items by class; click one to make it the anchor."
    scatter(figure, key=f"negatives-map-{run}", height=300, alt=what, lasso=False)
    light(f"negatives-map-{run}", lit_traces(layout[[item]], ["anchor"]))


def _reading(frozen: Frozen, anchor: int) -> str:
    """The order in which the anchor's context was read, where it is not the first one."""
    read = frozen.read(anchor)
    return f", read {READING_ORDERS[read.order]}" if read and read.order else ""


def _piece(frozen: Frozen, row: int, place: st.delta_generator.DeltaGenerator) -> int:
    """Which of an item's anchors: the one with the middle position unless the reader picks another."""
    anchors = frozen.anchors_of(row)
    parts, positions = frozen.parts, frozen.positions
    if len(anchors) == 1 or not parts[anchors[0]].isdigit():
        put("piece", None)
        return anchors[0]
    nearest = [i for i in anchors if parts[i] == parts[anchors[0]]]
    pieces = {f"{int(positions[i]) + 1}{_reading(frozen, i)}": i for i in nearest}
    key, asked = f"negatives-piece-{frozen.term}-{frozen.modality}", st.query_params.get("piece", "")
    if st.session_state.get(key) not in pieces:
        st.session_state[key] = asked if asked in pieces else list(pieces)[len(pieces) // 2]
    with place:
        picked = st.selectbox(
            "Piece",
            list(pieces),
            format_func="predicts piece {}".format,
            key=key,
            width=170,
            help="Which of the item's pieces (time frames, or cells of the picture) the anchor predicts.",
        )
    put("piece", picked)
    return pieces[picked]
