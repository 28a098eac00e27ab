"""What a finished run keeps for later items: its network, its probes, and what typical items are like."""

from __future__ import annotations

import torch

from ..data.items import Dataset, Modality
from ..errors import RunError
from ..evaluation.probe import Probe
from ..evaluation.typicality import Typicality, fit_typicality
from ..model import MultiModalCPC
from .folder import RunFolder


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


def save_typicality(folder: RunFolder, model: MultiModalCPC, data: Dataset) -> None:
    """Measure what typical items are like, and keep it with the run (about 60 KB per modality).

    Raises:
        DataError: no validation items, or features that are not finite.
    """
    found = fit_typicality(model, data.train, data.validation)
    tensors = {f"{modality}.{key}": t for modality, one in found.items() for key, t in one.to_tensors().items()}
    folder.save_tensors("typicality", tensors)


def load_typicality(folder: RunFolder) -> dict[Modality, Typicality]:
    """What typical items of each modality are like; empty where the run never measured it.

    Raises:
        RunError: the file is damaged.
    """
    if not folder.has_tensors("typicality"):
        return {}
    groups: dict[Modality, dict[str, torch.Tensor]] = {}
    for key, tensor in folder.tensors("typicality").items():
        modality, _, part = key.partition(".")
        groups.setdefault(modality, {})[part] = tensor  # type: ignore[arg-type]
    try:
        return {modality: Typicality.from_tensors(tensors) for modality, tensors in groups.items()}
    except KeyError as error:
        raise RunError(f"{folder.id}: typicality.safetensors is incomplete ({error.args[0]} is missing)") from None
