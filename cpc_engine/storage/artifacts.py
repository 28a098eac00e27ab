"""What stored runs are read with: their network, their data, and what new items are placed with."""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping
from typing import Any, TypeVar
from weakref import WeakKeyDictionary

import torch

from ..config import RunConfig
from ..data import load_dataset
from ..data.dataset import Dataset, Split
from ..data.listing.class_folders import typed_path
from ..data.relations.same_items import check_same_items
from ..datasets import DATASETS
from ..errors import ConfigError, DataError, RunError
from ..evaluation.embed import Features, embed
from ..evaluation.ood import OODReference, fit_ood_reference, input_statistics
from ..evaluation.probes.probe import Probe
from ..model import MultiModalCPC
from ..terms import Modality
from .files import read_json, write_json
from .folder import RunFolder
from .schema import check_tensors

T = TypeVar("T")
_PROBE = {"temperature": "positive", "strength": "positive", "validation_accuracy": "float"}
_OOD = {"known": "float m"} | {
    f"{view}.{name}": shape.format(*dimensions)
    for view, dimensions in (("inputs", "Fkn"), ("latents", "Glo"))
    for name, shape in {
        "mean": "float {0}",
        "scale": "positive {0}",
        "axes": "float {1} {0}",
        "items": "float {2} {1}",
        "rest": "positive",
        "median": "float",
        "spread": "positive",
    }.items()
}

MOVED = ".moved.json"  # beside the runs, whose lists skip it
_PLACES = ("data.path", "data.image_path")

# Of each network that is open: the two files that are checked against them are read one after the other.
_BLANKS: WeakKeyDictionary[MultiModalCPC, dict[Modality, tuple[Features, torch.Tensor]]] = WeakKeyDictionary()


def load_model(folder: RunFolder) -> MultiModalCPC:
    """Load a run's network with its weights, on the CPU, in evaluation mode.

    Raises:
        RunError: the weights are missing, damaged, or of another network.
    """
    model = MultiModalCPC(folder.config(), tuple(folder.facts()["modalities"]))
    try:
        model.load_weights(folder.tensors("weights"))
    except RuntimeError:
        raise RunError(f"{folder.id}: weights.safetensors does not fit config.json") from None
    if not all(bool(torch.isfinite(parameter).all()) for parameter in model.parameters()):
        raise RunError(f"{folder.id}: weights.safetensors is damaged (some weights are not finite)")
    return model.eval()


def load_data(folder: RunFolder, config: RunConfig, device: torch.device | str = "cpu") -> Dataset:
    """Load the data set that a run learned from, from where it is now.

    Args:
        config: the run's settings; `data.path` may be where the data set is now.

    Raises:
        DataError: it is missing, or it is not the one that the run learned from.
        ConfigError: it lacks a class that the settings choose.
        RunError: the file of what `move_data` was told is damaged.
    """

    def load(where: RunConfig) -> Dataset:
        data = load_dataset(where, device)
        check_same_items(folder.id, folder.facts(), data)
        return data

    return where_data_are(folder, config, load)


def where_data_are(folder: RunFolder, config: RunConfig, read: Callable[[RunConfig], T]) -> T:
    """Read a run's data where its settings say, or else where `move_data` was told that they are now.

    Args:
        read: reads them with the settings that it is given.

    Raises:
        DataError, ConfigError: of `read`, at the last of these places; the second where others lie there, which lack a
            class that the settings choose. RunError: the file of what was told is damaged.
    """
    try:
        return read(config)
    except (DataError, ConfigError):
        now = _moved(folder, config)
        if now == config:
            raise
    return read(now)


def has_data(folder: RunFolder) -> bool:
    """Whether something lies where a run would look for its data; what it is is not looked at.

    Raises:
        RunError: the file of what `move_data` was told is damaged.
    """
    own = folder.config()
    return any(map(_is_there, (own, _moved(folder, own))))


def move_data(folder: RunFolder, places: Mapping[str, str], download: bool = False) -> None:
    """Remember where the data of a run are now, for all runs beside it that learned from the same place.

    Args:
        places: {"data.path" or "data.image_path": a file or folder of this machine}.
        download: fetch data that are known by name.

    Raises:
        DataError: what is there cannot be used, or is not what the run learned from.
        RunError: the file of what was told before is damaged. StorageError: the folder of runs cannot be written.
    """
    config = folder.config()
    found = {setting: os.path.abspath(typed_path(place)) for setting, place in places.items()}
    where = config.replace({"data.download": True}) if download else _moved(folder, config)
    data = load_dataset(where.replace(found))
    if folder.info().data:  # else it never began, and takes any data of its settings
        check_same_items(folder.id, folder.facts(), data)
    if found:
        was = config.flat()
        new = {_key(config, setting, was[setting]): place for setting, place in found.items()}
        write_json(folder.path.parent / MOVED, _told(folder) | new)


def _moved(folder: RunFolder, config: RunConfig) -> RunConfig:
    """The settings with the places where their data are now, as far as that was told."""
    told, was = _told(folder), config.flat()
    places = {setting: told.get(_key(config, setting, was[setting])) for setting in _PLACES}
    return config.replace({setting: place for setting, place in places.items() if place})


def _is_there(config: RunConfig) -> bool:
    spec, values = DATASETS[config.data.dataset], config.flat()
    needed = [values[setting] for setting in _PLACES if setting in dict(spec.needs)]
    try:
        there = spec.is_within_reach(config)
    except OSError:  # a drive that is gone, a folder that one may not look into
        return False
    return there and all(place and os.path.exists(typed_path(place)) for place in needed)


def _key(config: RunConfig, setting: str, place: str | None) -> str:
    return f"{config.data.dataset} {setting} {place or ''}"


def _told(folder: RunFolder) -> dict[str, str]:
    path = folder.path.parent / MOVED
    if not path.exists():
        return {}
    told: Any = read_json(path)
    if not isinstance(told, dict) or not all(isinstance(place, str) and "\0" not in place for place in told.values()):
        raise RunError(f"{path} is damaged: delete it, and say again where data are that have moved")
    return told


def save_probes(folder: RunFolder, probes: dict[Modality, tuple[str, Probe]]) -> None:
    """Write probe.safetensors.

    Args:
        probes: (feature that the probe reads, probe) per modality.

    Raises:
        StorageError: the file cannot be written.
    """
    tensors = {f"{m}.{name}.{key}": t for m, (name, p) in probes.items() for key, t in p.to_tensors().items()}
    folder.save_tensors("probe", tensors)


def load_probes(folder: RunFolder, model: MultiModalCPC) -> dict[Modality, tuple[str, Probe]]:
    """Load (feature that the probe reads, probe) per modality; empty before the run was evaluated.

    Args:
        model: the run's network.

    Raises:
        RunError: probe.safetensors is damaged.
    """
    if not folder.has_tensors("probe"):
        return {}
    classes, file = len(folder.facts()["classes"]), f"{folder.id}: probe.safetensors"
    groups: dict[tuple[Modality, str], dict[str, torch.Tensor]] = {}
    for key, tensor in folder.tensors("probe").items():
        modality, name, part = [*key.split("."), "", ""][:3]
        groups.setdefault((modality, name), {})[part] = tensor  # type: ignore[arg-type]
    for (modality, name), tensors in groups.items():
        if name not in Features.__annotations__:
            raise RunError(f"{file} is damaged (no feature {name[:40]!r})")
        features, _ = _of_blank_item(folder, model, modality, file)
        width = getattr(features, name).shape[1]
        shapes = {"mean": f"float {width}", "scale": f"positive {width}", "weight": f"float {classes} {width}"}
        check_tensors(tensors, shapes | _PROBE, file)
        bias = tensors.get("bias")
        if bias is None or bias.shape != (classes,) or not bool((bias < torch.inf).all()):  # −inf: never predicted
            raise RunError(f"{file} is damaged (bias does not fit)")
    try:
        return {modality: (name, Probe.from_tensors(tensors)) for (modality, name), tensors in groups.items()}
    except TypeError as error:
        raise RunError(f"{file} is damaged ({error})") from None


def save_ood_reference(folder: RunFolder, model: MultiModalCPC, data: Dataset) -> None:
    """Fit the out-of-distribution references and write typicality.safetensors (about 60 KB per modality).

    Raises:
        DataError: no validation items, or features that are not finite. StorageError: the file cannot be written.
    """
    references = fit_ood_reference(model, data.train, data.validation, folder.config().data.seed)
    tensors = {
        f"{modality}.{key}": tensor
        for modality, reference in references.items()
        for key, tensor in reference.to_tensors().items()
    }
    folder.save_tensors("typicality", tensors)


def load_ood_reference(folder: RunFolder, model: MultiModalCPC) -> dict[Modality, OODReference]:
    """Load the out-of-distribution reference of each modality; empty if the run has none.

    Args:
        model: the run's network.

    Raises:
        RunError: typicality.safetensors is damaged.
    """
    if not folder.has_tensors("typicality"):
        return {}
    file = f"{folder.id}: typicality.safetensors"
    groups: dict[Modality, dict[str, torch.Tensor]] = {}
    for key, tensor in folder.tensors("typicality").items():
        modality, _, part = key.partition(".")
        groups.setdefault(modality, {})[part] = tensor  # type: ignore[arg-type]
    for modality, tensors in groups.items():
        features, statistics = _of_blank_item(folder, model, modality, file)
        widths = {"inputs.mean": statistics.shape[1], "latents.mean": features.pooled_latent.shape[1]}
        check_tensors(tensors, {name: f"float {width}" for name, width in widths.items()}, file)
        check_tensors(tensors, _OOD, file)
    return {modality: OODReference.from_tensors(tensors) for modality, tensors in groups.items()}


def _of_blank_item(
    folder: RunFolder, model: MultiModalCPC, modality: Modality, file: str
) -> tuple[Features, torch.Tensor]:
    """Features and input statistics of silence or of a black picture, whose widths those in a file must have.

    Raises:
        RunError: the run never learned from this modality.
    """
    known = _BLANKS.setdefault(model, {})
    if modality in known:
        return known[modality]
    facts = folder.facts()
    if modality not in facts["modalities"]:
        raise RunError(f"{file} is damaged (no modality {modality[:40]!r})")
    audio = image = None
    if modality == "audio":
        audio = torch.zeros(1, model.audio_features.length, dtype=torch.int16)
    else:
        image = torch.zeros(1, 3, facts["image_side"], facts["image_side"], dtype=torch.uint8)
    blank = Split(audio, image, torch.zeros(1, dtype=torch.int64), ("blank",), ("blank",))
    known[modality] = embed(model, blank)[modality], input_statistics(modality, blank, model)
    return known[modality]
