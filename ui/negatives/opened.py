"""Runs opened for their negatives, kept between reruns, and what one of their items looks and sounds like."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import numpy as np
import streamlit as st

from ..drawing.pictures import spectrogram_png
from ..shell.session import open_run

if TYPE_CHECKING:
    from cpc_engine.anatomy.choice import Survey
    from cpc_engine.anatomy.frozen import Batch, Frozen
    from cpc_engine.anatomy.one_step import OneStep
    from cpc_engine.anatomy.opened import Opened
    from cpc_engine.anatomy.over_time import Distribution, Staleness
    from cpc_engine.anatomy.past import Term
    from cpc_engine.anatomy.places import Places
    from cpc_engine.anatomy.shuffling import Kept, Shuffle
    from cpc_engine.anatomy.what_if import Outcome
    from cpc_engine.terms import Modality

Stamp = tuple[int, ...]


@dataclass(frozen=True)
class Opening:
    """What a run is opened from: its files as they are at `stamp`, and a step that it keeps weights of (None: now)."""

    run: str
    stamp: Stamp
    step: int | None = None


def stamp(run: str) -> Stamp:
    """Numbers that change with the files that a run is opened from."""
    return open_run(run).folder.stamp("config", "weights", "checkpoint", "events", "weight_snapshots")


@st.cache_resource(max_entries=14, show_spinner=False)  # a run keeps up to 10 earlier steps
def opened(opening: Opening) -> Opened:
    """A run at a step.

    Raises:
        CpcError: as `Opened`, and where it keeps no weights of the step.
    """
    from cpc_engine.anatomy.opened import Opened

    if opening.step is not None:
        return opened(replace(opening, step=None)).at(opening.step)
    return Opened(open_run(opening.run).folder)


def at_step(opening: Opening, step: int) -> Opened:
    """The run at a step that it keeps; `opening` is of the present one."""
    now = opened(opening)
    return now if step == now.step else opened(replace(opening, step=step))


@st.cache_resource(max_entries=8, show_spinner=False)
def batch(opening: Opening, row: int | None) -> Batch:
    """The run's next batch, with the item at `row` in it."""
    from cpc_engine.anatomy.frozen import Batch

    return Batch(opened(opening), row)


@st.cache_resource(max_entries=16, show_spinner=False)
def surveyed(opening: Opening, term: Term, modality: Modality) -> Survey:
    """All anchors of the run's next batch."""
    from cpc_engine.anatomy.choice import survey

    return survey(batch(opening, None).losses[term, modality])


@st.cache_resource(max_entries=16, show_spinner=False)
def present(opening: Opening, row: int | None, which: tuple[Term, Modality], anchor: int) -> Outcome:
    """What a batch gives under the run's own settings."""
    from cpc_engine.anatomy.what_if import what_if

    return what_if(batch(opening, row).losses[which], anchor)


@st.cache_resource(max_entries=16, show_spinner=False)
def stepped(opening: Opening, row: int | None, which: tuple[Term, Modality], anchor: int) -> OneStep:
    """What the step makes that trains on a batch, for one anchor of it."""
    from cpc_engine.anatomy.one_step import one_step

    return one_step(batch(opening, row).losses[which], present(opening, row, which, anchor))


@st.cache_resource(max_entries=4, show_spinner=False)
def distributions(opening: Opening, steps: tuple[int, ...], term: Term, modality: Modality) -> list[Distribution]:
    """Similarities in the next batch of each of these steps; `opening` is of the present one."""
    from cpc_engine.anatomy.frozen import Batch
    from cpc_engine.anatomy.over_time import distribution

    return [distribution(Batch(at_step(opening, step)).losses[term, modality]) for step in steps]


@st.cache_resource(max_entries=8, show_spinner=False)
def kept_by_shuffling(
    opening: Opening, steps: tuple[int, ...], term: Term, modality: Modality, shuffle: Shuffle
) -> list[Kept]:
    """What held-out items keep when they are shuffled, at each of these steps; `opening` is of the present one."""
    from cpc_engine.anatomy.shuffling import shuffling

    return [shuffling(at_step(opening, step), term, modality, shuffle) for step in steps]


@st.cache_resource(max_entries=4, show_spinner=False)
def placed(opening: Opening, steps: tuple[int, ...], modality: Modality) -> Places:
    """Held-out items at each of these steps; `opening` is of the present one."""
    from cpc_engine.anatomy.places import places

    return places([at_step(opening, step) for step in steps], modality)


@st.cache_data(max_entries=64, show_spinner=False)
def way(opening: Opening, steps: tuple[int, ...], modality: Modality, row: int) -> np.ndarray:
    """(S, 2) where one item lies among those of `placed`."""
    return placed(opening, steps, modality).way(row)


@st.cache_resource(max_entries=16, show_spinner=False)
def stale(opening: Opening, modality: Modality) -> Staleness | None:
    """The run's queue against the same latents encoded again."""
    from cpc_engine.anatomy.over_time import staleness

    return staleness(opened(opening), modality)


@st.cache_data(max_entries=2000, show_spinner=False)
def looks(opening: Opening, modality: Modality, row: int) -> tuple[bytes, bytes | None]:
    """(PNG of the picture or the spectrogram, WAV of the sound or None) of the item at a row."""
    from cpc_engine.data import preview_png, preview_wav

    source = opened(opening)
    if modality == "image":
        return preview_png(source.items, row), None
    return spectrogram_png(source.log_mel(row)), preview_wav(source.items, row, source.config.audio.sample_rate)


def name_of(frozen: Frozen, row: int) -> str:
    """What people call an item: the last part of its name, after the split's name where that is a number."""
    parts = frozen.opened.items.names[row].split("/")
    return "/".join(parts[-2:]) if parts[-1].isdecimal() else parts[-1]


def class_of(frozen: Frozen, row: int) -> str:
    """The name of an item's class."""
    found = frozen.opened
    name: str = found.data.classes[int(found.items.labels[row])]
    return name
