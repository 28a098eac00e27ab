"""The items of a run's map, to be looked at one by one: features, layouts, numbers of each item, sounds and pictures.

What the map's files hold (mean contexts and labels of held-out items) is enough for a map. Latents, predictions,
training items, sounds and pictures need the data set, which is opened where it is still there.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Literal

import numpy as np
import torch
from torch.nn import functional as F

from ..data import item_media
from ..data.dataset import Dataset, Split
from ..data.splits import sample_rows
from ..data.windows import mean_over_windows
from ..errors import CpcError, DataError
from ..evaluation.embed import Features, clips_of, embed
from ..media import Picture, Sound
from ..model import MultiModalCPC
from ..model.frontends import waveform
from ..storage.artifacts import load_data, load_model, load_probes
from ..storage.folder import RunFolder
from ..terms import Modality
from .projection import Map, Method, fit_map
from .stored import RunMap, load_map

Space = Literal["contexts", "latents", "predictions"]
SPACES: tuple[Space, ...] = ("contexts", "latents", "predictions")
PURITY_NEIGHBORS = 15
_BATCH = 256


@dataclass(frozen=True)
class Items:
    """N items; row i of everything is one of them.

    Attributes:
        labels: (N,) class indices. rows: (N,) row within its split. modalities, names: N each.
        splits: "test" or "train", N. classes: names of the classes.
    """

    labels: np.ndarray
    rows: np.ndarray
    modalities: list[Modality]
    splits: list[str]
    names: list[str]
    classes: list[str]

    def __len__(self) -> int:
        return len(self.labels)

    def of(self, modality: Modality, split: str) -> np.ndarray:
        """Indices of the items of one modality and split."""
        pairs = zip(self.modalities, self.splits, strict=True)
        return np.flatnonzero([pair == (modality, split) for pair in pairs])


class Exploration:
    """One run opened for a look around; everything is computed when first needed, then kept.

    Args:
        training: show as many training items beside the held-out ones (needs the data set).
        load: gives the run's network where somebody else holds it already; by default it is read from the folder.

    Raises:
        RunError: the run has no map or no weights yet, or its files are damaged.
        DataError: training items are asked for and the data set is not there.
    """

    def __init__(
        self, folder: RunFolder, training: bool = False, load: Callable[[], MultiModalCPC] | None = None
    ) -> None:
        self.folder, self.config, self._load = folder, folder.config(), load
        self.stored = load_map(folder)
        self.missing = ""  # why there is no data set
        self.data: Dataset | None = None
        try:
            self.data = _same_data(folder, self.stored, training)
        except CpcError as error:
            if training:
                raise
            self.missing = error.problem
        self.training = training
        self.items = self._items()

    @cached_property
    def model(self) -> MultiModalCPC:
        return self._load() if self._load else load_model(self.folder)

    def features(self, space: Space) -> np.ndarray:
        """(N, F) float32: contexts and latents averaged over time or cells; predictions likewise, of the nearest
        horizon.

        Raises:
            DataError: the data set is needed and not there.
        """
        if space == "contexts" and not self.training:
            return self.stored.features
        if space == "predictions":
            return self._predictions[0]
        return self._gather("mean_context" if space == "contexts" else "mean_latent")

    @cached_property
    def agreement(self) -> np.ndarray:
        """(N,) mean cosine between what the network predicted of an item and what came, over positions and horizons.

        Raises:
            DataError: the data set is not there.
        """
        return self._predictions[1]

    @cached_property
    def predicted(self) -> np.ndarray | None:
        """(N,) classes that the run's own probe gives, or None where the run was not evaluated.

        Raises:
            DataError: the data set is not there.
        """
        probes = load_probes(self.folder, self.model)
        if set(probes) < set(self.items.modalities):
            return None
        classes = np.zeros(len(self.items), np.int64)
        for (modality, split), features in self._embedded.items():
            name, probe = probes[modality]
            classes[self.items.of(modality, split)] = probe.predict(getattr(features, name).numpy())
        return classes

    def map(self, space: Space, method: Method, dimensions: Literal[2, 3] = 2) -> Map:
        """The items' map; the run's own where it is that one.

        Raises:
            DataError: the data set is needed and not there.
        """
        if space == "contexts" and not self.training and dimensions == 2:
            stored = self.stored if method in self.stored.maps else load_map(self.folder, method)
            return stored.maps[method]
        evaluation = self.config.evaluation
        features = self.features(space)
        return fit_map(
            method, features, self.config.run.seed, evaluation.perplexity, evaluation.neighbors, dimensions=dimensions
        )

    def trajectory(self, index: int) -> np.ndarray:
        """(T, 2) positions of one item's contexts, in the order of time or cells, on the PCA map of mean contexts.

        Raises:
            DataError: the data set is not there.
        """
        contexts = self._encoding(index)
        return self.map("contexts", "pca").place(contexts)

    def item(self, index: int) -> tuple[Split, int, Modality]:
        """(split, row in it, modality) of an item.

        Raises:
            DataError: the data set is not there.
        """
        split = {"train": self._data.train, "test": self._data.test}[self.items.splits[index]]
        return split, int(self.items.rows[index]), self.items.modalities[index]

    def media(self, index: int) -> Sound | Picture:
        """An item as if its file had been decoded, to place it.

        Raises:
            DataError: the data set is not there.
        """
        return item_media(*self.item(index), self._data.sample_rate)

    def log_mel(self, index: int) -> np.ndarray:
        """(bands, frames) log-mel spectrogram of a sound, not normalized.

        Raises:
            DataError: the data set is not there.
        """
        split, row, _ = self.item(index)
        return self.model.audio_features.log_mel(waveform(split.recording(row)[None]))[0].cpu().numpy()

    @property
    def _data(self) -> Dataset:
        if self.data is None:
            raise DataError(self.missing)
        return self.data

    def _items(self) -> Items:
        stored = self.stored
        labels, rows = stored.labels, stored.rows
        modalities, names = list(stored.modalities), list(stored.names)
        splits = ["test"] * len(labels)
        if self.training:
            train = self._data.train
            chosen = sample_rows(train, self.config.evaluation.map_items, self.config.data.seed)
            trained_on = [train.names[row] for row in chosen.tolist()]
            for modality in train.modalities:
                labels = np.concatenate([labels, train.labels[chosen].cpu().numpy()])
                rows = np.concatenate([rows, chosen.numpy()])
                modalities += [modality] * len(chosen)
                splits += ["train"] * len(chosen)
                names += trained_on
        return Items(labels, rows, modalities, splits, names, list(stored.classes))

    def _parts(self) -> list[tuple[Modality, str, np.ndarray, Split]]:
        """(modality, split's name, indices of its items, those items) of every part that is not empty."""
        parts: list[tuple[Modality, str, np.ndarray, Split]] = []
        for name, split in self._data.splits():
            for modality in split.modalities:
                indices = self.items.of(modality, name)
                if len(indices):
                    parts.append((modality, name, indices, split.take(torch.from_numpy(self.items.rows[indices]))))
        return parts

    @cached_property
    def _embedded(self) -> dict[tuple[Modality, str], Features]:
        return {(m, name): embed(self.model, _only(split, m))[m] for m, name, _, split in self._parts()}

    def _gather(self, name: str) -> np.ndarray:
        parts = {part: getattr(features, name).numpy() for part, features in self._embedded.items()}
        width = next(iter(parts.values())).shape[1]
        gathered = np.zeros((len(self.items), width), np.float32)
        for (modality, split), values in parts.items():
            gathered[self.items.of(modality, split)] = values
        return gathered

    @cached_property
    def _predictions(self) -> tuple[np.ndarray, np.ndarray]:
        """((N, d) mean prediction of the nearest horizon, (N,) agreement)."""
        vectors = np.zeros((len(self.items), self.config.context.latent_dim), np.float32)
        agreement = np.zeros(len(self.items), np.float32)
        for modality, _, indices, split in self._parts():
            values, owners = clips_of(self.model, modality, _only(split, modality))
            means, cosines = [], []
            for some in values.split(_BATCH):
                with torch.no_grad():
                    encoding = self.model({modality: self.model.features[modality](some)})[modality]
                means.append(encoding.predictions[min(encoding.predictions)].mean(1))
                found = [
                    F.cosine_similarity(predicted, encoding.futures(k), dim=2)
                    for k, predicted in encoding.predictions.items()
                ]
                cosines.append(torch.cat(found, 1).mean(1))
            vectors[indices] = mean_over_windows(torch.cat(means), owners).numpy()
            agreement[indices] = mean_over_windows(torch.cat(cosines), owners).numpy()
        return vectors, agreement

    @torch.no_grad()
    def _encoding(self, index: int) -> np.ndarray:
        split, row, modality = self.item(index)
        values = split.recording(row) if modality == "audio" else _pictures(split)[row]
        inputs = self.model.features[modality](values[None])
        contexts: np.ndarray = self.model({modality: inputs})[modality].contexts[0].numpy()
        return contexts


def neighbor_purity(features: np.ndarray, labels: np.ndarray, k: int = PURITY_NEIGHBORS) -> np.ndarray:
    """(N,) share of each item's k nearest others (by cosine; all, where there are fewer) that have its own label."""
    unit = F.normalize(torch.from_numpy(features), dim=1)
    known = torch.from_numpy(labels)
    k = min(k, len(unit) - 1)
    shares = []
    for start in range(0, len(unit), _BATCH):
        cosines = unit[start : start + _BATCH] @ unit.T
        own = torch.arange(len(cosines))
        cosines[own, start + own] = -torch.inf
        nearest = cosines.topk(k, dim=1).indices
        shares.append((known[nearest] == known[start : start + _BATCH, None]).float().mean(1))
    return torch.cat(shares).numpy()


def _same_data(folder: RunFolder, stored: RunMap, training: bool) -> Dataset:
    """The data set that the run's map was made of; without training items, which most of it are, if none are shown.

    Raises:
        CpcError: it is not there, or it is another one.
    """
    data = load_data(folder, folder.config())
    rows = stored.rows.tolist()
    names = [data.test.names[row] if row < len(data.test) else None for row in rows]
    if names != list(stored.names) or list(data.classes) != list(stored.classes):
        raise DataError(f"{data.name}: its held-out items are not those that this run was evaluated on")
    if training:
        return data
    none = torch.zeros(0, dtype=torch.int64)
    return replace(data, train=data.train.take(none), validation=data.validation.take(none))


def _pictures(split: Split) -> torch.Tensor:
    assert split.image is not None
    return split.image


def _only(split: Split, modality: Modality) -> Split:
    """The split without its other modality."""
    return replace(split, image=None) if modality == "audio" else replace(split, audio=None, lengths=None)
