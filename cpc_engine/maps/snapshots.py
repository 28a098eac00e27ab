"""How a run's space changed while it learned: mean contexts of the same validation items at a few of its steps.

evolution.safetensors   steps (S,), features (S, N, w) float16, labels (N,), rows (N,); "finished" if projected
evolution.json          classes, modalities and names ("sources") of the N points

While a run goes on w is the width of a context; of a finished run the widest common directions are kept, at most
`BUDGET` bytes of them.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional as F

from ..config import RunConfig
from ..data.dataset import Dataset, Split
from ..data.splits import sample_rows
from ..errors import RunError
from ..evaluation.metrics import Encoded
from ..storage.folder import RunFolder
from ..storage.schema import check_below, check_tensors
from ..terms import Modality
from .projection import Floats, planes_over_time

ITEMS = 300  # of each modality, at most
MOST = 12  # snapshots of a run that was never stopped on the way
WIDTH, BUDGET = 32, 240_000  # most directions and bytes that are kept of a finished run


@dataclass(frozen=True, repr=False)
class MapSnapshots:
    """The same N points at S steps.

    Attributes:
        steps: S, rising; 0 is the untrained network.
        features: (S, N, w) float32 unit-length mean contexts x̂. Of a finished run they are projected onto directions
            that all steps share, so that distances may still be compared within and across steps.
        labels: (N,) class indices. rows: (N,) row of each point's item in the validation split.
        modalities, names: N each; all sounds come first where there are two modalities.
    """

    steps: list[int]
    features: Floats
    labels: np.ndarray
    rows: np.ndarray
    modalities: list[Modality]
    names: list[str]
    classes: list[str]

    def __repr__(self) -> str:
        return f"<MapSnapshots of {len(self.names)} items at steps {', '.join(map(str, self.steps))}>"

    def coordinates(self) -> Floats:
        """(S, N, 2) float32: PCA of every step on its own, turned onto the step before so that it stays put."""
        points = list(self.features.astype(np.float64))
        planes = planes_over_time(points)
        return np.stack([(x - mean) @ axes for x, (mean, axes) in zip(points, planes, strict=True)]).astype(np.float32)


class SnapshotRecorder:
    """Takes the snapshots of one run while it trains.

    Args:
        data: its validation split gives the items.
    """

    def __init__(self, folder: RunFolder, data: Dataset, config: RunConfig) -> None:
        self.folder = folder
        items, seed = config.evaluation.items, config.data.seed
        self.measured_rows = sample_rows(data.validation, items, seed)
        self._rows = sample_rows(data.validation, min(items, ITEMS), seed)  # a part of the measured ones
        self._within = torch.searchsorted(self.measured_rows, self._rows)
        self._shown = data.validation.take(self._rows)
        self._modalities, self._classes = data.modalities, data.classes
        self._last = config.optimizer.steps
        self._every = config.evaluation.every
        self._planned = planned_steps(self._last, self._every)
        self._taken: dict[int, Tensor] = {}
        self._width = config.context.hidden_dim
        self._finished = False

    def go_on(self, step: int) -> None:
        """Take up what the run kept until `step`, the step of its checkpoint; a fork may begin there."""
        if self.folder.has_tensors("evolution"):
            self._take_up(step)
        self._planned = planned_steps(self._last, self._every, min(self._taken, default=step))

    def _take_up(self, step: int) -> None:
        try:
            stored = self.folder.tensors("evolution")
            if not torch.equal(stored["rows"], self._rows.repeat(len(self._modalities))):
                raise ValueError("they show other items")
            # Projected by a run that was killed after its last step, before it had finished.
            self._finished = "finished" in stored
            if self._finished and not step == self._last == stored["steps"].max():
                raise ValueError("they were projected at the end of a run, and this one goes on")
            if not self._finished and stored["features"].shape[2] != self._width:
                raise ValueError("they have another width")
            pairs = zip(stored["steps"].tolist(), stored["features"], strict=True)
            self._taken = {taken: features for taken, features in pairs if taken <= step}
        except (RunError, KeyError, ValueError, IndexError, RuntimeError) as error:  # a picture less costs no run
            self._finished = False
            self.folder.log(f"earlier snapshots are lost ({error})")

    @property
    def newest(self) -> int | None:
        """The last step that was kept."""
        return max(self._taken, default=None)

    @property
    def items(self) -> Split:
        """The items that are kept, for a step at which nothing is measured."""
        return self._shown

    def wants(self, step: int) -> bool:
        """Whether this step is one of those to keep."""
        return step in self._planned and step not in self._taken

    def add(self, step: int, encodings: Mapping[Modality, Encoded]) -> None:
        """Keep mean contexts of what was encoded: the measured items, or `items`.

        Of earlier steps only the planned ones stay, so that stops on the way do not add up.
        """
        unit = []
        for modality in self._modalities:
            pooled = F.normalize(encodings[modality].contexts, dim=1).cpu()
            unit.append(pooled if len(pooled) == len(self._rows) else pooled[self._within])
        self._taken = {taken: kept for taken, kept in self._taken.items() if taken in self._planned and taken < step}
        self._taken[step] = torch.cat(unit).half()
        self._save(torch.stack(list(self._taken.values())))

    def finish(self) -> None:
        """The run has ended and will not go on: keep only its widest directions."""
        if self._finished:
            return
        self._finished = True
        features = torch.stack(list(self._taken.values())).float()
        width = min(features.shape[2], WIDTH, max(2, BUDGET // (2 * features[..., 0].numel())))
        points = features.flatten(0, 1).double()
        directions = torch.linalg.eigh(points.T @ points).eigenvectors[:, -width:].flip(1)
        self._save((features @ directions.float()).half())

    def _save(self, features: Tensor) -> None:
        count = len(self._modalities)
        tensors = {
            "steps": torch.tensor(list(self._taken)),
            "features": features,
            "labels": self._shown.labels.repeat(count),
            "rows": self._rows.repeat(count),
        }
        if self._finished:
            tensors["finished"] = torch.ones(1, dtype=torch.int64)
        names = {
            "classes": list(self._classes),
            "modalities": [m for m in self._modalities for _ in range(len(self._shown))],
            "sources": list(self._shown.names) * count,
        }
        if not (self.folder.path / "evolution.json").is_file():
            self.folder.save_json("evolution", names)
        self.folder.save_tensors("evolution", tensors)


def planned_steps(total: int, every: int, first: int = 0) -> set[int]:
    """The first step, the last and at most ten measured ones between, closer together early, where most happens."""
    between = range(every * (first // every + 1), total, every) if every else ()
    measured = [first, *between, total]
    if len(measured) <= MOST:
        return set(measured)
    chosen: list[int] = []
    for index in range(MOST):
        even = round((len(measured) - 1) * (index / (MOST - 1)) ** 2)
        chosen.append(max(even, chosen[-1] + 1) if chosen else even)
    return {measured[index] for index in chosen}


def load_snapshots(folder: RunFolder) -> MapSnapshots | None:
    """A run's snapshots so far; None where it kept none.

    Raises:
        RunError: its files are damaged.
    """
    names = folder.json("evolution")
    if names is None or not folder.has_tensors("evolution"):
        return None
    tensors, file = folder.tensors("evolution"), f"{folder.id}: evolution.safetensors"
    shapes = {"steps": "int S", "features": "float S N w", "labels": "int N", "rows": "int N"}
    sizes = check_tensors(tensors, shapes, file)
    if not len(names["modalities"]) == len(names["sources"]) == sizes["N"] or not sizes["S"]:
        raise RunError(f"{folder.id}: evolution.json is damaged (it does not name each of {sizes['N']} items)")
    check_below(tensors["labels"], len(names["classes"]), "labels", file)
    return MapSnapshots(
        steps=tensors["steps"].tolist(),
        features=tensors["features"].float().numpy(),
        labels=tensors["labels"].numpy(),
        rows=tensors["rows"].numpy(),
        modalities=names["modalities"],
        names=names["sources"],
        classes=names["classes"],
    )
