"""Runs opened for a look around, kept between clicks, and what one of their items looks and sounds like."""

from __future__ import annotations

import io
from typing import TYPE_CHECKING, Any

import numpy as np
import streamlit as st

from .compare_curves import plain_name
from .engine import root
from .palette import KINDS
from .scatter import Card
from .scatter_figure import CIVIDIS

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from cpc_engine.evaluation.maps import Map, Method
    from cpc_engine.runs.explore import Exploration, Space

FILES = ("weights.safetensors", "probe.safetensors", "config.json")
SPLITS = {"test": "held out", "train": "training"}


def stamp(run: str) -> tuple[int, ...]:
    """Changes with the files of a run that a map is made from."""
    paths = [root() / run / name for name in FILES]
    return tuple(path.stat().st_mtime_ns if path.is_file() else 0 for path in paths)


@st.cache_resource(max_entries=4, show_spinner=False)
def opened(run: str, training: bool, at: tuple[int, ...]) -> Exploration:
    """A run as its files stood `at` (see `stamp`).

    Raises:
        CpcError: as `Exploration`.
    """
    from cpc_engine.runs.explore import Exploration
    from cpc_engine.runs.folder import RunFolder

    return Exploration(RunFolder.open(run, root()), training)


@st.cache_resource(max_entries=24, show_spinner=False)
def layout(run: str, training: bool, at: tuple[int, ...], space: Space, method: Method, dimensions: Any) -> Map:
    """A map of an opened run, fitted once."""
    return opened(run, training, at).map(space, method, dimensions)


@st.cache_data(max_entries=24, show_spinner=False)
def purity(run: str, training: bool, at: tuple[int, ...], space: Space) -> NDArray[np.floating[Any]]:
    """Neighbour purity of an opened run's items."""
    from cpc_engine.runs.explore import neighbour_purity

    explored = opened(run, training, at)
    return neighbour_purity(explored.features(space), explored.items.labels)


def spectrogram_png(log_mel: NDArray[np.floating[Any]], width: int = 128, height: int = 128) -> bytes:
    """A log-mel spectrogram (bands, frames) as a picture: low pitches at the bottom, bright is loud."""
    from PIL import Image

    low, high = float(log_mel.min()), float(log_mel.max())
    shades = (log_mel[::-1] - low) / max(high - low, 1e-6)
    stops = np.array([[int(color[i : i + 2], 16) for i in (1, 3, 5)] for color in CIVIDIS], dtype=np.float64)
    at = np.linspace(0, 1, len(stops))
    pixels = np.stack([np.interp(shades, at, stops[:, channel]) for channel in range(3)], -1).round().astype(np.uint8)
    return png(Image.fromarray(pixels).resize((width, height), Image.Resampling.BOX))


def png(image: Any) -> bytes:
    """A Pillow image as PNG."""
    buffer = io.BytesIO()
    image.save(buffer, "PNG")
    return buffer.getvalue()


def looks(explored: Exploration, index: int) -> tuple[bytes, bytes | None]:
    """(PNG of the picture or the spectrogram, WAV of the sound or None) of one item.

    Raises:
        DataError: the data set is not there.
    """
    from cpc_engine.data import preview_png, preview_wav

    split, row, modality = explored.item(index)
    if modality == "image":
        return preview_png(split, row), None
    assert split.audio is not None
    features = explored.model.audio_features
    log_mel = features.log_mel(split.audio[row : row + 1].float() / 32768)[0].numpy()
    return spectrogram_png(log_mel), preview_wav(split, row, features.config.sample_rate)


def card(explored: Exploration, index: int) -> Card:
    """What the card beside a point shows; without the data set its label and name only."""
    items = explored.items
    title = items.classes[int(items.labels[index])]
    split = f" · {SPLITS[items.splits[index]]}" if explored.training else ""
    lines = [f"{items.sources[index]}{split}"]
    if explored.data is None:
        return Card(title, [*lines, "The data set is not here: nothing to show or play."])
    picture, sound = looks(explored, index)
    return Card(title, [*lines, "click to play, space stops" if sound else "click to enlarge"], picture, sound)


def label_of(explored: Exploration, index: int) -> str:
    """One item in a list."""
    items = explored.items
    kind = f" · {KINDS[items.modalities[index]]}" if len(set(items.modalities)) > 1 else ""
    return f"{plain_name(items.sources[index])} · {plain_name(items.classes[int(items.labels[index])])}{kind}"
