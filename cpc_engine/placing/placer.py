"""A finished run, opened to place new items on it."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from copy import copy
from pathlib import Path
from typing import TypeVar

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional

from ..data.dataset import Split
from ..errors import CpcError, DataError, RunError
from ..evaluation.embed import Features, embed
from ..evaluation.ood import input_statistics, verdict
from ..maps.projection import Map, Method, neighbors, quality_neighbors
from ..maps.stored import RunMap, load_map
from ..media import (
    SOUNDS,
    Picture,
    Sound,
    decode_sandboxed,
    fit_clips,
    fit_picture,
    fit_recordings,
    native_window,
    read_file,
)
from ..model import MultiModalCPC
from ..storage.artifacts import load_model, load_ood_reference, load_probes
from ..storage.folder import RunFolder
from ..terms import ITEM_NOUNS, Modality
from .input_warnings import long_sound_warning, nothing_in_it, picture_warnings, sound_warnings
from .perturbations import PERTURBED_COPIES, perturbed_clips, perturbed_pictures
from .placement import Neighbor, Placed, Placement, Positions, Stability, Window
from .preview import HeardSound, SeenPicture, preview_clip, preview_square

NEIGHBORS = 5
Part = TypeVar("Part")
Item = Path | str | tuple[str, bytes] | Sound | Picture  # a file's path, (name, its bytes), or decoded


class Placer:
    """A run, loaded once, ready to place items; every method may be called from several threads.

    Args:
        methods: the maps on which items are placed.
        load: gives the run's network where somebody else holds it already; by default it is read from the folder.

    Raises:
        RunError: the run has no weights or no map yet, or its files are damaged.
    """

    def __init__(
        self,
        folder: RunFolder,
        methods: Sequence[Method] = ("pca", "tsne"),
        load: Callable[[], MultiModalCPC] | None = None,
    ) -> None:
        self.folder, self.methods = folder, tuple(methods)
        self.config = folder.config()
        facts = folder.facts()
        if not folder.has("weights"):
            raise RunError(f"{folder.id} has no weights yet: it has not ended")
        self.model = load() if load else load_model(folder)
        self.modalities: tuple[Modality, ...] = self.model.modalities
        self.classes: list[str] = facts["classes"]
        self.sample_rate, self.image_side = facts["sample_rate"], facts["image_side"]
        self._longest = self.config.audio.kept_length(int(facts.get("recording_length", 0)))
        self.map: RunMap = load_map(folder, self.methods[0])
        self.maps: dict[str, Map] = {method: self._fitted(method) for method in self.methods}
        self.damaged: tuple[str, ...] = ()  # one line for each part of the run that is left out
        self.probes = self._part(load_probes)
        self.typicality = self._part(load_ood_reference)
        kinds = self.map.modalities
        named = zip(self.map.names, kinds, strict=True)
        self._sources = [_own_file(name, kind) if len(self.modalities) > 1 else name for name, kind in named]
        first: dict[tuple[str, Modality], int] = {}  # row of each file, which may stand in several pairs
        for row, source in enumerate(zip(self._sources, kinds, strict=True)):
            first.setdefault(source, row)
        self._rows = {m: np.array([row for row in first.values() if kinds[row] == m]) for m in self.modalities}

    def __repr__(self) -> str:
        return f"<Placer of {self.folder.id}: {', '.join(self.methods)}>"

    def also(self, method: Method) -> Placer:
        """This placer with one more map; the network and all else is shared.

        Raises:
            RunError: the run's files are damaged.
        """
        if method in self.methods:
            return self
        other = copy(self)
        other.methods = (*self.methods, method)
        other.maps = self.maps | {method: self._fitted(method)}
        return other

    def _fitted(self, method: Method) -> Map:
        return (self.map if method in self.map.maps else load_map(self.folder, method)).maps[method]

    def _part(self, load: Callable[[RunFolder, MultiModalCPC], dict[Modality, Part]]) -> dict[Modality, Part]:
        """A part of the run without which items can be placed; empty if its file is damaged."""
        try:
            return load(self.folder, self.model)
        except RunError as error:
            self.damaged = (*self.damaged, str(error))
            return {}

    @property
    def clip_seconds(self) -> float:
        """Length of one window of sound; 0 where the run has heard none."""
        return self.config.audio.clip_seconds if "audio" in self.modalities else 0.0

    @property
    def _windows_rank(self) -> bool:
        """Whether one window may be ranked among validation items: only where these are one clip long, too.

        Scores of longer recordings come from means over windows, which vary less than single windows do.
        """
        return self._longest <= self.config.audio.clip_length

    @property
    def evaluated(self) -> bool:
        return bool(self.probes)

    def place_all(self, items: Sequence[Item]) -> list[Placed]:
        """One result per item, in order; what cannot be placed says so and raises nothing."""
        return [self._attempt(item, index) for index, item in enumerate(items, 1)]

    def place_bytes(self, data: bytes, name: str) -> Placement:
        """One undecoded item.

        Raises:
            DataError: it cannot be decoded (MediaError), or the run never learned from this kind of item.
        """
        return self.place(decode_sandboxed(data, name))

    def place(self, item: Sound | Picture) -> Placement:
        """One decoded item.

        Raises:
            DataError: the run never learned from this kind of item.
        """
        modality: Modality = "audio" if isinstance(item, Sound) else "image"
        if modality not in self.modalities:
            known, new = ITEM_NOUNS[self.modalities[0]][1], ITEM_NOUNS[modality][1]
            raise DataError(f"this run learned from {known}, it cannot place {new}")
        starts, split, notes = self._clips(item) if isinstance(item, Sound) else self._pictures(item)
        nothing = nothing_in_it(item)
        features = embed(self.model, split)[modality]
        # The item, then its windows; of the perturbed copies only contexts and classes are asked.
        contexts = features.mean_context.numpy()
        shown = len(split) - PERTURBED_COPIES
        positions = self._positions(contexts[:shown])
        ranked = shown if self._windows_rank else 1
        typicality = self._typicality(modality, split.take(torch.arange(ranked)), features.pooled_latent[:ranked])
        typicality += [None] * (shown - ranked)
        probabilities = self._probabilities(modality, features)
        likely: dict[str, float] | None = None
        predicted: list[str | None] = [None] * len(split)
        if probabilities is not None:
            predicted = [self.classes[row] for row in probabilities.argmax(1)]
            likely = dict(zip(self.classes, probabilities[0].tolist(), strict=True))
        windows = [
            Window(start, positions[row], predicted[row], typicality[row]) for row, start in enumerate(starts, 1)
        ]
        other = [m for m in self.modalities if m != modality]
        items = len(self.typicality[modality].validation_scores) if modality in self.typicality else None
        return Placement(
            modality=modality,
            positions=positions[0],
            neighbors=self._near(contexts[0], modality),
            cross_modal=self._near(contexts[0], other[0]) if other else [],
            probabilities=likely,
            predicted=predicted[0],
            overlap=self._overlap(contexts[0], positions[0]),
            typicality=typicality[0],
            validation_items=items,
            verdict=None if typicality[0] is None or items is None else verdict(typicality[0], items),
            stability=_stability(
                features.mean_context[0], features.mean_context[shown:], predicted[0], predicted[shown:]
            ),
            windows=windows,
            nothing=nothing,
            notes=(*item.notes, *([nothing] if nothing else []), *notes, *self.damaged),
            embedding=contexts[0],
        )

    def heard(self, sound: Sound) -> HeardSound:
        """What the network hears of a sound: of one longer than the run's recordings the part with the most energy.

        Raises:
            KeyError: the run never learned from sounds.
        """
        return preview_clip(self.model, self._recording(sound))

    def seen(self, picture: Picture) -> SeenPicture:
        """What the network sees of a picture: its center square at the encoder's side.

        Raises:
            KeyError: the run never learned from pictures.
        """
        return preview_square(self.model, self._square(picture))

    def _attempt(self, item: Item, number: int) -> Placed:
        name = _name(item, number)
        try:
            if isinstance(item, Sound | Picture):
                return Placed(name, self.place(item))
            data = item[1] if isinstance(item, tuple) else read_file(item)
            return Placed(name, self.place_bytes(data, Path(name).name))
        except CpcError as error:
            return Placed(name, None, str(error))

    def _clips(self, sound: Sound) -> tuple[list[float], Split, list[str]]:
        """(start of each window in s, the item and its windows and its perturbed copies, notes)."""
        length = self.model.audio_features.length
        recording = self._recording(sound)
        window = native_window(sound.rate, self.sample_rate, length)
        notes = sound_warnings(sound, self.clip_seconds)
        starts: list[int] = []
        parts = [recording[None], perturbed_clips(recording)]
        if len(sound.samples) > window:
            starts = _starts(len(sound.samples), window)
            cuts = [(sound.samples[start : start + window], sound.rate) for start in starts]
            windows = fit_clips(cuts, self.sample_rate, length)
            parts.insert(1, functional.pad(windows, (0, len(recording) - length)))
            heard = len(recording) / self.sample_rate
            if sound.samples.any():  # silence has no loudest part
                notes.append(long_sound_warning(sound, heard, self.clip_seconds, len(starts)))
        values = torch.cat(parts)
        lengths = torch.full((len(values),), len(recording))
        lengths[1 : len(starts) + 1] = length
        split = _split("audio", values, None if len(recording) == length else lengths)
        return [start / sound.rate for start in starts], split, notes

    def _recording(self, sound: Sound) -> Tensor:
        """(W,) int16: cut as the data set's own files were."""
        length = self.model.audio_features.length
        return fit_recordings([(sound.samples, sound.rate)], self.sample_rate, length, self._longest)[0][0]

    def _square(self, picture: Picture) -> Tensor:
        """(3, S, S) uint8 at the data set's own side."""
        return fit_picture(picture.pixels, self.image_side)

    def _pictures(self, picture: Picture) -> tuple[list[float], Split, list[str]]:
        """(no windows, the item and its perturbed copies, notes)."""
        square = self._square(picture)
        split = _split("image", torch.cat([square[None], perturbed_pictures(square)]))
        return [], split, picture_warnings(picture, self.image_side)

    def _positions(self, contexts: np.ndarray) -> list[Positions]:
        """Where each of contexts (n, h) lies on every map."""
        placed = {method: fitted.place(contexts).tolist() for method, fitted in self.maps.items()}
        return [
            {method: (points[row][0], points[row][1]) for method, points in placed.items()}
            for row in range(len(contexts))
        ]

    def _near(self, context: np.ndarray, modality: Modality) -> list[Neighbor]:
        rows = self._rows[modality]
        indices, cosines = neighbors(self.map.features[rows], context[None], NEIGHBORS)
        return [
            Neighbor(self._sources[row], self.classes[self.map.labels[row]], modality, cosine, row)
            for row, cosine in zip(rows[indices[0]].tolist(), cosines[0].tolist(), strict=True)
        ]

    def _overlap(self, context: np.ndarray, position: Positions) -> dict[str, float]:
        """Share of a map's 15 nearest dots (fewer on a small map) that are among as many nearest in the space."""
        k = quality_neighbors(len(self.map.labels))
        nearest = set(neighbors(self.map.features, context[None], k)[0][0].tolist())
        overlap = {}
        for method, point in position.items():
            away = np.linalg.norm(self.maps[method].layout - np.array(point, np.float32), axis=1)
            overlap[method] = len(nearest & set(np.argsort(away, kind="stable")[:k].tolist())) / k
        return overlap

    def _typicality(self, modality: Modality, split: Split, latents: Tensor) -> list[float | None]:
        if modality not in self.typicality:
            return [None] * len(split)
        statistics = input_statistics(modality, split, self.model)
        return list(self.typicality[modality].percentile(statistics, latents).tolist())

    def _probabilities(self, modality: Modality, features: Features) -> np.ndarray | None:
        """(n, classes), or None before the run was evaluated."""
        if modality not in self.probes:
            return None
        name, probe = self.probes[modality]
        return probe.probabilities(getattr(features, name).numpy())


def _split(modality: Modality, values: Tensor, lengths: Tensor | None = None) -> Split:
    """Items as a split, to be treated exactly as the data set's own."""
    sources = ("item",) * len(values)
    audio, image = (values, None) if modality == "audio" else (None, values)
    return Split(audio, image, torch.zeros(len(values), dtype=torch.int64), sources, sources, lengths)


def _own_file(name: str, modality: Modality) -> str:
    """The sound's or the picture's part of the name of a pair of files; other names stay whole."""
    parts = name.split(" + ")
    for cut in range(1, len(parts)):
        sound, picture = " + ".join(parts[:cut]), " + ".join(parts[cut:])
        if sound.lower().endswith(SOUNDS):
            return sound if modality == "audio" else picture
    return name


def _starts(length: int, window: int) -> list[int]:
    """First samples of windows half a window apart; the last one ends with the clip."""
    last = length - window
    return [*range(0, last, max(1, window // 2)), last]


def _stability(context: Tensor, copies: Tensor, predicted: str | None, others: Sequence[str | None]) -> Stability:
    cosine = float(functional.cosine_similarity(copies, context[None]).mean())
    agreement = None if predicted is None else sum(other == predicted for other in others) / len(others)
    return Stability(cosine, agreement, len(copies))


def _name(item: Item, number: int) -> str:
    if isinstance(item, Sound | Picture):
        return f"{ITEM_NOUNS['audio' if isinstance(item, Sound) else 'image'][0]} {number}"
    return item[0] if isinstance(item, tuple) else str(item)
