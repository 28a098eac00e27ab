"""Strangers' sounds and pictures on a finished run: decoded, embedded like a held-out item, placed on its maps."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch

from ..data.items import Modality, Split
from ..errors import CpcError, DataError, RunError
from ..evaluation.embed import Features, embed
from ..evaluation.maps import neighbours
from ..evaluation.probe import Probe
from ..media import Picture, Sound, decode, fit_clip, fit_picture, read_file
from ..model import MultiModalCPC
from .folder import RunFolder
from .map import RunMap, load_map

NEIGHBOURS = 5


@dataclass(frozen=True)
class Neighbour:
    """A held-out item near a placed one in the original space (not on the map)."""

    source: str
    label: str
    modality: Modality
    cosine: float


@dataclass(frozen=True)
class Placement:
    """Where one item lands.

    Attributes:
        positions: (x, y) by map. neighbours: nearest first, by cosine of mean contexts.
        probabilities: of each class, by the run's calibrated probe; None before the run was evaluated.
        notes: what was done to the input on the way in ("first frame of 10", "mixed 2 channels to mono").
    """

    modality: Modality
    features: Features
    positions: dict[str, tuple[float, float]]
    neighbours: list[Neighbour]
    probabilities: dict[str, float] | None
    notes: tuple[str, ...]


class Placer:
    """A run, loaded once, ready to place items.

    Raises:
        RunError: the run has no weights or no map yet, or its files are damaged.
    """

    def __init__(self, folder: RunFolder, methods: Sequence[str] = ("pca", "tsne")) -> None:
        self.folder = folder
        self.config = folder.config()
        facts = folder.facts()
        if not folder.has_tensors("weights"):
            raise RunError(f"{folder.id} has no weights yet: it has not ended")
        self.model = load_model(folder)
        self.classes: list[str] = facts["classes"]
        self.sample_rate, self.image_side = facts["sample_rate"], facts["image_side"]
        self.map: RunMap = load_map(folder, methods[-1])
        self.methods = methods
        self.probes = load_probes(folder)

    def place(self, item: Sound | Picture) -> Placement:
        """One decoded item.

        Raises:
            DataError: the run never learned from this kind of item.
        """
        modality: Modality = "audio" if isinstance(item, Sound) else "image"
        if modality not in self.model.modalities:
            kinds = {"audio": "sounds", "image": "pictures"}
            raise DataError(
                f"this run learned from {kinds[self.model.modalities[0]]}, it cannot place {kinds[modality]}"
            )
        features = embed(self.model, self._split(item))[modality]
        context = features.mean_context.numpy()
        indices, cosines = neighbours(self.map.features, context, NEIGHBOURS)
        near = [
            Neighbour(
                source=self.map.sources[i],
                label=self.classes[self.map.labels[i]],
                modality=self.map.modalities[i],
                cosine=float(cosine),
            )
            for i, cosine in zip(indices[0].tolist(), cosines[0].tolist(), strict=True)
        ]
        positions = {}
        for method in self.methods:
            x, y = self.map.maps[method].place(context)[0].tolist()
            positions[method] = (x, y)
        return Placement(modality, features, positions, near, self._probabilities(modality, features), item.notes)

    def _split(self, item: Sound | Picture) -> Split:
        """The item as a split of one, treated exactly as the data set's own files were."""
        label, source = torch.zeros(1, dtype=torch.int64), ("item",)
        if isinstance(item, Sound):
            length = self.model.audio_features.length
            clip = torch.from_numpy(fit_clip(item.samples, item.rate, self.sample_rate, length))
            return Split(clip[None], None, label, source, source)
        return Split(None, fit_picture(item.pixels, self.image_side)[None], label, source, source)

    def _probabilities(self, modality: Modality, features: Features) -> dict[str, float] | None:
        if modality not in self.probes:
            return None
        name, probe = self.probes[modality]
        values = probe.probabilities(getattr(features, name).numpy())[0]
        return {label: float(p) for label, p in zip(self.classes, values, strict=True)}


def place_file(placer: Placer, path: Path) -> dict[str, Any]:
    """One file as `embed --json` reports it: {"file", "status": "ok", …} or {"file", "status": "error", "error"}."""
    try:
        found = placer.place(decode(read_file(path), path.name))
    except CpcError as error:
        return {"file": str(path), "status": "error", "error": str(error)}
    x, y = found.positions[placer.methods[0]]
    return {
        "file": str(path),
        "status": "ok",
        "modality": found.modality,
        "x": x,
        "y": y,
        "positions": {method: list(position) for method, position in found.positions.items()},
        "neighbours": [vars(near) for near in found.neighbours],
        "probabilities": found.probabilities,
        "notes": list(found.notes),
        "embedding": [float(f"{v:.6g}") for v in found.features.mean_context[0].tolist()],
    }


def load_model(folder: RunFolder) -> MultiModalCPC:
    """A run's network with its weights, on the CPU, in evaluation mode.

    Raises:
        RunError: the weights are missing, damaged, or of another network.
    """
    model = MultiModalCPC(folder.config(), tuple(folder.facts()["modalities"]))
    try:
        model.load_weights(folder.tensors("weights"))
    except RuntimeError:
        raise RunError(f"{folder.id}: weights.safetensors does not fit config.json") from None
    return model.eval()


def save_probes(folder: RunFolder, probes: dict[Modality, tuple[str, Probe]]) -> None:
    tensors = {f"{m}.{name}.{key}": t for m, (name, p) in probes.items() for key, t in p.to_tensors().items()}
    folder.save_tensors("probe", tensors)


def load_probes(folder: RunFolder) -> dict[Modality, tuple[str, Probe]]:
    """The run's probe and the feature it reads, per modality; empty before the run was evaluated.

    Raises:
        RunError: the probe's file is damaged.
    """
    if not folder.has_tensors("probe"):
        return {}
    groups: dict[tuple[Modality, str], dict[str, torch.Tensor]] = {}
    try:
        for key, tensor in folder.tensors("probe").items():
            modality, name, part = key.split(".")
            groups.setdefault((modality, name), {})[part] = tensor  # type: ignore[arg-type]
        return {modality: (name, Probe.from_tensors(tensors)) for (modality, name), tensors in groups.items()}
    except (TypeError, ValueError) as error:
        raise RunError(f"{folder.id}: probe.safetensors is incomplete ({error})") from None
