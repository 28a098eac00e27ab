"""How a run's space came about: its snapshots one by one, in a frame that stays put."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import streamlit as st

from .compare_curves import plain_name
from .engine import plain_errors, root
from .live_chart import live_chart
from .maps import map_table
from .palette import KINDS
from .scatter_figure import evolution_figure

if TYPE_CHECKING:
    from cpc_engine.runs.evolution import Evolution

TICK = 1.2  # seconds a snapshot stays while it plays


def show_evolution(run: str) -> None:
    """Nothing where the run kept no snapshots."""
    path = root() / run / "evolution.safetensors"
    if not path.is_file():
        return
    evolution, places, frame = _loaded(run, path.stat().st_mtime_ns)
    st.header("How it came about", anchor="evolution")
    playing = st.toggle("Play", key="evolution-play", disabled=len(evolution.steps) < 2)
    st.fragment(_snapshots, run_every=TICK if playing else None)(run, evolution, places, frame, playing)


@st.cache_resource(max_entries=8, show_spinner=False)
def _loaded(run: str, at: int) -> tuple[Evolution, Any, Any]:
    """(a run's snapshots as its file stood `at`, (S, N, 2) positions, the frame around all of them)."""
    from cpc_engine.runs.evolution import load_evolution
    from cpc_engine.runs.folder import RunFolder

    evolution = load_evolution(RunFolder.open(run, root()))
    assert evolution is not None
    places = evolution.coordinates()
    return evolution, places, frame_of(places)


def frame_of(places: Any) -> Any:
    """((x low, x high), (y low, y high)) around positions (S, N, 2), with a little air."""
    low, high = places.min((0, 1)), places.max((0, 1))
    air = 0.05 * np.maximum(high - low, 1e-6)
    return np.stack([low - air, high + air], 1)


def _snapshots(run: str, evolution: Evolution, places: Any, frame: Any, playing: bool) -> None:
    with plain_errors():
        steps = evolution.steps
        if playing:
            now = st.session_state.get("evolution-step", steps[0])
            later = [step for step in steps if step > now]
            st.session_state["evolution-step"] = later[0] if later else steps[0]
        step = steps[0]
        if len(steps) > 1:
            step = st.select_slider("Step", steps, steps[-1] if not playing else steps[0], key="evolution-step")
        kinds = evolution.modalities if len(set(evolution.modalities)) > 1 else None
        names = [plain_name(name) for name in evolution.classes]
        title = f"Held-out items after {step} steps"
        figure = evolution_figure(places[steps.index(step)], frame, evolution.labels, names, kinds, title)
        alt = f"PCA of the contexts of {len(evolution.labels)} held-out items after {step} training steps, by class."
        live_chart(figure, key=f"evolution-{run}", height=460, alt=alt)
        st.caption(
            "PCA of each snapshot, turned (never stretched) to lie like the one before it, in one fixed frame: what "
            "moves has moved."
        )
        map_table(lambda: _columns(evolution, places[steps.index(step)]), f"evolution-{run}")


def _columns(evolution: Evolution, places: Any) -> dict[str, list[Any]]:
    columns: dict[str, list[Any]] = {
        "item": list(evolution.sources),
        "kind": [KINDS[one] for one in evolution.modalities],
        "class": [evolution.classes[label] for label in evolution.labels.tolist()],
    }
    return columns | {axis: values.tolist() for axis, values in zip("xy", places.T, strict=True)}
