"""The items that a reader has brought along, kept for the session, and where each lands on the run."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

import numpy as np
import streamlit as st

from ..components.items import Stamp, cached_run, opened, stamp

if TYPE_CHECKING:
    from streamlit.runtime.uploaded_file_manager import UploadedFile

    from cpc_engine.maps.exploration import Exploration
    from cpc_engine.maps.projection import Map, Method
    from cpc_engine.media import Picture, Sound
    from cpc_engine.placing import Placement, Placer

KEPT = 12  # the oldest make room
CROPS = {0.0: "left or top", 0.5: "center", 1.0: "right or bottom"}


@dataclass(frozen=True, eq=False)
class Place:
    """The run that items are placed on; `placer` and `exploration` share one network."""

    run: str
    stamp: Stamp
    method: Method
    placer: Placer
    exploration: Exploration

    @property
    def fitted(self) -> Map:
        """The map that is shown."""
        return self.placer.maps[self.method]

    @property
    def map_key(self) -> str:
        """Names the map on the page."""
        return f"place-{self.run}"


@dataclass(frozen=True)
class Item:
    """One thing to be placed: decoded, or with the reason why it could not be."""

    number: int
    name: str
    media: Sound | Picture | None
    error: str = ""


@dataclass(frozen=True, eq=False)
class Result:
    """Where an item lands, or one sentence that says why it cannot be placed."""

    item: Item
    placement: Placement | None
    error: str = ""


def open_place(run: str, method: Method) -> Place:
    """A run, ready to place items on PCA, t-SNE and the map that is shown.

    Raises:
        CpcError: it has no weights or map, or its files are damaged.
    """
    state = stamp(run)
    return Place(run, state, method, _placer(run, state, method), opened(run, False, state))


@st.cache_resource(max_entries=8, show_spinner=False)
def _placer(run: str, stamp: Stamp, method: Method) -> Placer:
    return cached_run(run, stamp).placer.also(method)


def items() -> list[Item]:
    """All of this session, oldest first."""
    kept: list[Item] = st.session_state.setdefault("placed", [])
    return kept


def add(name: str, media: Sound | Picture | None, error: str = "") -> None:
    """Keep one more item; the oldest of too many goes."""
    number = st.session_state.get("placed-last", 0) + 1
    st.session_state["placed-last"] = number
    st.session_state["placed"] = [*items(), Item(number, name, media, error)][-KEPT:]


def remove(number: int) -> None:
    """Forget one item."""
    st.session_state["placed"] = [item for item in items() if item.number != number]


def clear() -> None:
    """Forget all items."""
    st.session_state["placed"] = []


def take(files: Sequence[UploadedFile], name: str = "") -> None:
    """Decode what an input holds and keep it, each file once; `name` for all, instead of their own.

    Of more files than are kept the first ones are not looked at, which is said as long as the input holds them.
    """
    from cpc_engine.errors import MediaError
    from cpc_engine.media import decode_sandboxed

    seen: set[str] = st.session_state.setdefault("placed-seen", set())
    new = [file for file in files if file.file_id not in seen]
    seen.update(file.file_id for file in new)
    if len(files) > KEPT:
        words = (
            f"Of {len(files)} files the {KEPT} newest are kept: place fewer at once, or all of them with `cpc embed`."
        )
        st.info(words, icon=":material/info:")
    for file in new[-KEPT:]:
        title = name or file.name
        try:
            add(title, decode_sandboxed(file.getvalue(), title))
        except MediaError as error:
            add(title, None, str(error))


def try_place(item: Item, place: Place) -> Result:
    """Where an item lands; computed once per run, maps and crop."""
    from cpc_engine.errors import DataError

    if item.media is None:
        return Result(item, None, item.error)
    known: dict[Any, Placement] = st.session_state.setdefault("placements", {})
    key = (item.number, place.run, place.stamp, place.placer.methods, crop_of(item))
    if key not in known:
        numbers = {kept.number for kept in items()}
        for old in [old for old in known if old[0] not in numbers]:
            del known[old]
        try:
            known[key] = place.placer.place(cropped(item))
        except DataError as error:  # the run never learned from this kind of item
            return Result(item, None, str(error))
    return Result(item, known[key])


def crop_of(item: Item) -> float:
    """The part of a picture that its reader chose, from 0 (left or top) to 1 (right or bottom)."""
    return float(st.session_state.get(f"crop-{item.number}", 0.5))


def cropped(item: Item) -> Any:
    """The item's media; of a picture the largest square at the part that its reader chose."""
    from cpc_engine.media import Picture

    if not isinstance(item.media, Picture) or is_square(item.media):
        return item.media
    pixels, crop = item.media.pixels, crop_of(item)
    height, width = pixels.shape[:2]
    edge = min(height, width)
    top, left = round(crop * (height - edge)), round(crop * (width - edge))
    return replace(item.media, pixels=np.ascontiguousarray(pixels[top : top + edge, left : left + edge]))


def is_square(picture: Picture) -> bool:
    """Whether there is nothing to crop."""
    height, width = picture.pixels.shape[:2]
    return bool(height == width)
