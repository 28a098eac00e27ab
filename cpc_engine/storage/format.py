"""Format number of a run folder's files, and migration of files of earlier formats.

Files of format 1 have no format number. They spell "effective_rank_uncentred" and "optimiser" the British way, name a
setting "knob" in events, and name the sampler mode "reference" "seed". Configurations of both formats may lack settings
of later versions, which then get the value that the run was trained with. Files are migrated in memory when they are
read; a file is written in the current format the next time it changes.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from ..config import current_path
from ..datasets import DATASETS
from ..errors import RunError

FORMAT = 2
_METRICS = {"effective_rank_uncentred": "effective_rank_uncentered"}


def check_format(values: Mapping[str, Any], run: str) -> None:
    """Refuse a file of a later format.

    Args:
        values: content of config.json or run.json. run: its id, for the message.

    Raises:
        RunError: the format number is not supported.

    Example:
        >>> check_format({"format": FORMAT}, "tones-1")
        >>> check_format({"format": 99}, "tones-1")
        Traceback (most recent call last):
        cpc_engine.errors.RunError: tones-1: its format is 99; this version reads formats up to 2
    """
    number = values.get("format", 1)
    if not isinstance(number, int) or not 1 <= number <= FORMAT:
        raise RunError(f"{run}: its format is {number!r}; this version reads formats up to {FORMAT}")


def current_config(values: Mapping[str, Any]) -> dict[str, Any]:
    """Migrate the content of config.json: add settings of later versions whose default is not what the run did.

    Runs with images predicted across the end of a row, and only the loudest clip of a recording was heard.

    Example:
        >>> current_config({"format": 2, "data": {"dataset": "bars"}, "image": {"grid": 4}})["image"]
        {'grid': 4, 'wrap': True}
    """
    values = {name: value for name, value in values.items() if name != "format"}
    data, image, audio = (values.get(section, {}) for section in ("data", "image", "audio"))
    name = data.get("dataset") if isinstance(data, Mapping) else None
    if name in DATASETS and "image" in DATASETS[name].modalities and isinstance(image, Mapping):
        values["image"] = {**image, "wrap": image.get("wrap", True)}
    if isinstance(audio, Mapping) and "clip_seconds" in audio:
        values["audio"] = {**audio, "recording_seconds": audio.get("recording_seconds", audio["clip_seconds"])}
    return values


def current_event(event: Mapping[str, Any]) -> dict[str, Any]:
    """Migrate one event of events.jsonl to the current format.

    Example:
        >>> current_event({"step": 5, "kind": "change", "knob": "loss.temperature", "value": 0.3})
        {'step': 5, 'kind': 'change', 'setting': 'loss.temperature', 'value': 0.3}
    """
    event = {("setting" if name == "knob" else name): value for name, value in event.items()}
    if "setting" in event:
        event["setting"] = current_path(str(event["setting"]))
    return event


def current_metrics(metrics: Mapping[str, Any]) -> dict[str, Any]:
    """Migrate the names of metrics, with or without a modality before them.

    Example:
        >>> current_metrics({"audio.effective_rank_uncentred": 3.0, "spread": 0.9})
        {'audio.effective_rank_uncentered': 3.0, 'spread': 0.9}
    """
    renamed: dict[str, Any] = {}
    for name, value in metrics.items():
        modality, dot, base = name.rpartition(".")
        renamed[f"{modality}{dot}{_METRICS.get(base, base)}"] = value
    return renamed


def current_record(record: dict[str, Any]) -> dict[str, Any]:
    """Migrate one record of metrics.jsonl to the current format."""
    geometry = record.get("geometry")
    return {**record, "geometry": current_metrics(geometry)} if isinstance(geometry, Mapping) else record


def current_json(name: str, value: Any) -> Any:
    """Return the content of a JSON file with the names of today."""
    return current_metrics(value) if name == "evaluation" and isinstance(value, Mapping) else value


def current_tensors(name: str, tensors: Mapping[str, Any]) -> dict[str, Any]:
    """Migrate the names of the tensors in NAME.safetensors."""
    if name != "checkpoint":
        return dict(tensors)
    return {key.replace("optimiser.", "optimizer.", 1): tensor for key, tensor in tensors.items()}
