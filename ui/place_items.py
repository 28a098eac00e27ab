"""The items that a reader has brought along: kept for the session, whichever run is looked at."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

import numpy as np
import streamlit as st

from .engine import root
from .explore_data import stamp

if TYPE_CHECKING:
    from cpc_engine.media import Picture, Sound
    from cpc_engine.placing import Placement, Placer

KEPT = 12  # the oldest make room
CROPS = {0.0: "left or top", 0.5: "centre", 1.0: "right or bottom"}


@dataclass(frozen=True)
class Item:
    """One thing to be placed: decoded, or with the reason why it could not be."""

    number: int
    name: str
    media: Sound | Picture | None
    error: str = ""


def items() -> list[Item]:
    """All of this session, oldest first."""
    kept: list[Item] = st.session_state.setdefault("placed", [])
    return kept


def add(name: str, media: Sound | Picture | None, error: str = "") -> None:
    number = st.session_state.get("placed-last", 0) + 1
    st.session_state["placed-last"] = number
    st.session_state["placed"] = [*items(), Item(number, name, media, error)][-KEPT:]


def remove(number: int) -> None:
    st.session_state["placed"] = [item for item in items() if item.number != number]


def clear() -> None:
    st.session_state["placed"] = []


def take(files: list[Any], name: str = "") -> None:
    """Decode what an input holds and keep it, each file once; `name` for all, instead of their own."""
    from cpc_engine.errors import MediaError
    from cpc_engine.media import decode_sandboxed

    seen: set[str] = st.session_state.setdefault("placed-seen", set())
    for file in files:
        if file.file_id in seen:
            continue
        seen.add(file.file_id)
        title = name or file.name
        try:
            add(title, decode_sandboxed(file.getvalue(), title))
        except MediaError as error:
            add(title, None, str(error))


@st.cache_resource(max_entries=4, show_spinner=False)
def placer(run: str, at: tuple[int, ...], methods: tuple[Any, ...]) -> Placer:
    """A run ready to place items, as its files stood `at` (see `ui.explore_data.stamp`).

    Raises:
        RunError: it has no weights or map, or they are damaged.
    """
    from cpc_engine.placing import Placer
    from cpc_engine.runs.folder import RunFolder

    return Placer(RunFolder.open(run, root()), methods)


def placed(item: Item, run: str, methods: tuple[Any, ...], crop: float) -> Placement:
    """Where an item lands; computed once per run, methods and crop.

    Raises:
        DataError: the run never learned from this kind of item.
    """
    known: dict[Any, Placement] = st.session_state.setdefault("placements", {})
    at = stamp(run)
    key = (item.number, run, at, methods, crop)
    if key not in known:
        for old in [one for one in known if one[0] not in {kept.number for kept in items()}]:
            del known[old]
        known[key] = placer(run, at, methods).place(cropped(item, crop))
    return known[key]


def cropped(item: Item, crop: float) -> Any:
    """The item's media, a picture cut to its largest square: `crop` from 0 (left or top) to 1 (right or bottom)."""
    pixels = getattr(item.media, "pixels", None)
    if pixels is None or is_square(item):
        return item.media
    height, width = pixels.shape[:2]
    edge = min(height, width)
    top, left = round(crop * (height - edge)), round(crop * (width - edge))
    return replace(item.media, pixels=np.ascontiguousarray(pixels[top : top + edge, left : left + edge]))  # type: ignore[arg-type,type-var]


def is_square(item: Item) -> bool:
    """Whether there is nothing to crop: sounds have no corners either."""
    pixels = getattr(item.media, "pixels", None)
    return pixels is None or pixels.shape[0] == pixels.shape[1]
