"""Sounds and pictures in one space over a run's snapshots: which pictures lie nearest to a sound, and the reverse."""

from __future__ import annotations

import numpy as np
import torch

from ..data.dataset import Split
from ..errors import DataError
from ..model import MultiModalCPC
from ..model.frontends import waveform
from ..storage.artifacts import load_data
from ..storage.folder import RunFolder
from ..terms import Modality
from .snapshots import MapSnapshots

Nearest = list[tuple[int, float]]  # (point, cosine), nearest first


def nearest_across(snapshots: MapSnapshots, step: int, point: int, count: int) -> Nearest:
    """The points of the other modality that are nearest to one point.

    Args:
        step: one of the snapshots'. point: 0 to N − 1.

    Returns:
        At most `count` of them; none where the run has one modality. Cosines of a finished run lack what its snapshots
        do not keep.

    Example:
        >>> from cpc_engine.maps.snapshots import load_snapshots
        >>> from cpc_engine import open
        >>> snapshots = load_snapshots(open("example-keypad").folder)
        >>> [(other, _)] = nearest_across(snapshots, snapshots.steps[-1], 0, 1)
        >>> snapshots.modalities[0], snapshots.modalities[other]
        ('audio', 'image')
    """
    features = snapshots.features[snapshots.steps.index(step)]
    others = np.flatnonzero(np.array(snapshots.modalities) != snapshots.modalities[point])
    cosines = features[others] @ features[point]
    order = np.argsort(-cosines, kind="stable")[:count]
    return [(int(others[i]), float(cosines[i])) for i in order]


def chance(snapshots: MapSnapshots) -> dict[Modality, float]:
    """How often an item of the other modality that is drawn at random has the class, by the modality of what it is
    drawn for; empty where the run has one modality."""
    kinds, labels = np.array(snapshots.modalities), snapshots.labels
    found: dict[Modality, float] = {}
    for modality in dict.fromkeys(snapshots.modalities):
        own, others = labels[kinds == modality], labels[kinds != modality]
        if len(others):
            found[modality] = float((own[:, None] == others[None]).mean())
    return found


def shown_items(folder: RunFolder, snapshots: MapSnapshots) -> Split:
    """The items of a run's snapshots (n), in the order of the points of either modality.

    Raises:
        DataError: the data set is not there, or another one.
    """
    data = load_data(folder, folder.config())
    rows = snapshots.rows[: snapshots.modalities.count(snapshots.modalities[0])].tolist()
    names = snapshots.names[: len(rows)]
    if [data.validation.names[row] if row < len(data.validation) else None for row in rows] != names:
        raise DataError(f"{data.name}: its validation items are not those of this run's snapshots")
    return data.validation.take(torch.tensor(rows))


def log_mel(model: MultiModalCPC, items: Split, row: int) -> np.ndarray:
    """(bands, frames) log-mel spectrogram of one sound, not normalized."""
    return model.audio_features.log_mel(waveform(items.recording(row)[None]))[0].cpu().numpy()
