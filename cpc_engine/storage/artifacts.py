"""Artifacts of a finished run that new items are placed with: network, probes, and out-of-distribution references."""

from __future__ import annotations

import torch

from ..data.dataset import Dataset
from ..errors import RunError
from ..evaluation.ood import OODReference, fit_ood_reference
from ..evaluation.probes.probe import Probe
from ..model import MultiModalCPC
from ..terms import Modality
from .folder import RunFolder


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
    return model.eval()


def save_probes(folder: RunFolder, probes: dict[Modality, tuple[str, Probe]]) -> None:
    """Write probe.safetensors.

    Args:
        probes: (feature that the probe reads, probe) per modality.

    Raises:
        StorageError: the file cannot be written.
    """
    tensors = {f"{m}.{name}.{key}": t for m, (name, p) in probes.items() for key, t in p.to_tensors().items()}
    folder.save_tensors("probe", tensors)


def load_probes(folder: RunFolder) -> dict[Modality, tuple[str, Probe]]:
    """Load (feature that the probe reads, probe) per modality; empty before the run was evaluated.

    Raises:
        RunError: probe.safetensors is damaged.
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


def load_ood_reference(folder: RunFolder) -> dict[Modality, OODReference]:
    """Load the out-of-distribution reference of each modality; empty if the run has none.

    Raises:
        RunError: typicality.safetensors is damaged.
    """
    if not folder.has_tensors("typicality"):
        return {}
    groups: dict[Modality, dict[str, torch.Tensor]] = {}
    for key, tensor in folder.tensors("typicality").items():
        modality, _, part = key.partition(".")
        groups.setdefault(modality, {})[part] = tensor  # type: ignore[arg-type]
    try:
        return {modality: OODReference.from_tensors(tensors) for modality, tensors in groups.items()}
    except KeyError as error:
        raise RunError(f"{folder.id}: typicality.safetensors is incomplete ({error.args[0]} is missing)") from None
