"""How a run's space changed over training: its snapshots one by one, in a frame that stays put."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import streamlit as st

from ..components.run_map import show_map
from ..drawing.map_figure import class_figure, in_frame, map_columns
from ..shell.errors import plain_errors
from ..shell.session import open_run
from .across import show_across

if TYPE_CHECKING:
    from cpc_engine.maps.snapshots import MapSnapshots

TICK = 1.2  # seconds a snapshot stays while it plays


def show_snapshots(run: str) -> None:
    """Nothing where the run kept no snapshots."""
    folder = open_run(run).folder
    if not folder.has("snapshots"):
        return
    snapshots, places, frame = _loaded(run, folder.stamp("snapshots"))
    st.header("Snapshots over training", anchor="snapshots")
    playing = st.toggle("Play", key="snapshots-play", disabled=len(snapshots.steps) < 2)
    st.fragment(_player, run_every=TICK if playing else None)(run, snapshots, places, frame, playing)


@st.cache_resource(max_entries=8, show_spinner=False)
def _loaded(run: str, stamp: tuple[int, ...]) -> tuple[MapSnapshots, np.ndarray, np.ndarray]:
    """(a run's snapshots as its files are at `stamp`, (S, N, 2) positions, the frame around all of them)."""
    snapshots = open_run(run).snapshots()
    assert snapshots is not None
    places = snapshots.coordinates()
    return snapshots, places, frame_of(places)


def frame_of(places: np.ndarray) -> np.ndarray:
    """((x low, x high), (y low, y high)) around positions (S, N, 2), with a little air."""
    low, high = places.min((0, 1)), places.max((0, 1))
    air = 0.05 * np.maximum(high - low, 1e-6)
    return np.stack([low - air, high + air], 1)


def _player(run: str, snapshots: MapSnapshots, places: np.ndarray, frame: np.ndarray, playing: bool) -> None:
    with plain_errors():
        steps = snapshots.steps
        if playing:
            now = st.session_state.get("snapshots-step", steps[0])
            later = [step for step in steps if step > now]
            st.session_state["snapshots-step"] = later[0] if later else steps[0]
        step = steps[0]
        if len(steps) > 1:
            step = st.select_slider("Step", steps, steps[-1] if not playing else steps[0], key="snapshots-step")
        xy = places[steps.index(step)]
        show_map(
            in_frame(class_figure(snapshots, xy, f"Held-out items after {step} steps", gl=False), frame),
            lambda: map_columns(snapshots, xy),
            key=f"snapshots-{run}",
            what=f"PCA of the contexts of {len(snapshots.labels)} held-out items after {step} steps, by class.",
            words="PCA of each snapshot, turned (never stretched) to lie like the one before it, in one fixed frame: "
            "what moves has moved.",
            height=460,
            lasso=False,
        )
        if len(set(snapshots.modalities)) > 1:
            show_across(run, snapshots, xy, step)
