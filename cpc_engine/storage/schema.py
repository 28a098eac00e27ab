"""What the files of a run folder must look like; every file is checked against it when it is read.

A folder may be damaged, or come from someone else. What does not fit is told in one line, and the other files of the
run stay usable. Keys that are not known are allowed, because later versions may add some.
"""

from __future__ import annotations

from collections.abc import Mapping
from functools import cache
from typing import TYPE_CHECKING, Annotated, Any, Literal, NotRequired

from pydantic import ConfigDict, Field, TypeAdapter, ValidationError, with_config
from typing_extensions import TypedDict  # pydantic needs this one below Python 3.12, and brings it

from ..errors import RunError
from ..sources import SOURCES
from ..terms import Modality

if TYPE_CHECKING:
    from torch import Tensor

_LARGEST = 3.5e38  # of a float32, as which all numbers were computed
Value = Annotated[float, Field(ge=-_LARGEST, le=_LARGEST, allow_inf_nan=False)]
Number = Value | None  # null where it was not finite
Share = Annotated[float, Field(ge=0, le=1, allow_inf_nan=False)]
Count = Annotated[int, Field(ge=0, le=2**53)]
Time = Annotated[float, Field(ge=0, le=1e11, allow_inf_nan=False)]  # in s
Text = Annotated[str, Field(max_length=10_000)]
OPEN = ConfigDict(extra="allow", strict=True)


@with_config(OPEN)
class _Source(TypedDict):
    count: Count
    mass: Number
    share: Number
    similarity: Number
    false_negatives: Number


@with_config(OPEN)
class _ModalityRecord(TypedDict):
    loss: Number
    accuracy: Number
    queue: Count
    latents_per_item: Count
    horizons: NotRequired[dict[str, Number]]
    sources: dict[str, _Source]


@with_config(OPEN)
class _HardNegative(TypedDict):
    anchor: Count
    source: str
    identity: int
    similarity: Number
    share: Number


@with_config(OPEN)
class Record(TypedDict):
    """One line of metrics.jsonl (see `training.records.StepRecord`)."""

    step: Annotated[int, Field(ge=1, le=2**53)]
    seconds: Time
    loss: Number
    learning_rate: NotRequired[Number]
    temperature: NotRequired[Number]
    gradient_norm: NotRequired[Number]
    pair_loss: NotRequired[Number]
    modalities: dict[Modality, _ModalityRecord]
    items: NotRequired[dict[Modality, _ModalityRecord]]
    geometry: NotRequired[dict[str, Number] | None]
    hard: NotRequired[dict[Modality, list[_HardNegative]] | None]


@with_config(OPEN)
class Event(TypedDict):
    """One line of events.jsonl. A change, made or due, also has the "setting" and its "value"."""

    step: Count
    kind: Literal["pause", "continue", "resume", "change", "due"]
    setting: NotRequired[Text]
    value: NotRequired[bool | int | Value | Text | None]


@with_config(OPEN)
class _ProbeRow(TypedDict):
    trained: Share
    untrained: Share
    raw: Share
    interval: Annotated[list[Share], Field(min_length=2, max_length=2)]
    strength: Value
    validation: Share
    untrained_validation: Share
    knn: NotRequired[Share]
    untrained_knn: NotRequired[Share]
    neighbors: NotRequired[Count]
    correct: NotRequired[Annotated[str, Field(pattern=r"\A[01]+\z")]]
    untrained_correct: NotRequired[Annotated[str, Field(pattern=r"\A[01]+\z")]]
    at_bound: NotRequired[bool]
    converged: NotRequired[bool]


@with_config(OPEN)
class Evaluation(TypedDict):
    """The content of evaluation.json; all other keys are metrics."""

    run: Text
    test_items: Count
    probe: dict[str, _ProbeRow]
    chosen_feature: NotRequired[dict[str, Text]]
    item_digests: NotRequired[dict[Modality, Text]]


@with_config(OPEN)
class Facts(TypedDict, total=False):
    """`RunInfo.data`: facts about a run's data, empty before it has loaded them."""

    name: Text
    classes: Annotated[list[Text], Field(min_length=1)]
    modalities: Annotated[list[Modality], Field(min_length=1, max_length=2)]
    sample_rate: Annotated[int, Field(ge=0, le=2**24)]
    recording_length: Count
    image_side: Annotated[int, Field(ge=0, le=2**14)]
    items: dict[str, Count]
    digests: dict[str, Text]
    skipped: Count
    skipped_files: list[Text]
    remarks: list[Text]


@with_config(OPEN)
class _Points(TypedDict):
    modalities: list[Modality]
    sources: list[Text]
    classes: Annotated[list[Text], Field(min_length=1)]


@with_config(OPEN)
class _Parameters(TypedDict):
    seed: Annotated[int, Field(ge=0, le=2**32 - 1)]
    perplexity: NotRequired[Annotated[float, Field(ge=0.1, le=1e4)]]


@with_config(OPEN)
class _FittedMap(TypedDict):
    method: Literal["pca", "tsne", "umap"]
    trustworthiness: Value
    overlap: Value
    parameters: _Parameters


@with_config(OPEN)
class MapNames(_Points):
    """The content of map.json."""

    maps: dict[Literal["pca", "tsne", "umap"], _FittedMap]


@with_config(OPEN)
class _Branch(TypedDict):
    """The content of fork.json (see `comparison.forks.Branch`)."""

    of: Text
    step: Count
    control: NotRequired[Text]
    seed: NotRequired[Count | None]


_DOCUMENTS: dict[str, Any] = {"evaluation": Evaluation, "map": MapNames, "evolution": _Points, "fork": _Branch}


def check_document(name: str, value: Any, run: str) -> None:
    """Check the content of NAME.json.

    Raises:
        RunError: it does not fit; the message says where.

    Example:
        >>> check_document("evaluation", {"run": "tones-1", "test_items": 1, "probe": [], "spread": 0.9}, "tones-1")
        Traceback (most recent call last):
        cpc_engine.errors.RunError: tones-1: evaluation.json is damaged (probe: input should be a valid dictionary)
    """
    if name in _DOCUMENTS:
        _check(_DOCUMENTS[name], value, f"{run}: {name}.json")
    if name == "evaluation":
        metrics = {key: inner for key, inner in value.items() if key not in Evaluation.__annotations__}
        _check(dict[str, Number], metrics, f"{run}: {name}.json")


def check_facts(facts: Any, run: str) -> None:
    """Check `RunInfo.data`.

    Raises:
        RunError: it does not fit; the message says where.
    """
    _check(Facts, facts, f"{run}: run.json")


def fits_record(row: Any) -> bool:
    """Return whether a value is a line of metrics.jsonl."""
    if not _fits(Record, row) or not row["modalities"]:
        return False
    return all(set(part["sources"]) <= set(SOURCES) for part in row["modalities"].values())


def fits_event(row: Any) -> bool:
    """Return whether a value is a line of events.jsonl.

    Example:
        >>> fits_event({"step": 3, "kind": "pause"}), fits_event({"step": 3, "kind": "change", "setting": 7})
        (True, False)
    """
    return _fits(Event, row) and (row["kind"] not in ("change", "due") or {"setting", "value"} <= row.keys())


def check_tensors(tensors: Mapping[str, Tensor], shapes: Mapping[str, str], file: str) -> dict[str, int]:
    """Check the tensors of a file.

    Args:
        tensors: by name.
        shapes: "kind dimension dimension …" by name; the kind is "float" (finite), "positive" (finite and above 0), or
            "int" (from 0 on), a dimension a number or a name that stands for the same number wherever it occurs.
        file: for the message.

    Returns:
        The dimensions by name.

    Raises:
        RunError: one is missing, or it does not fit.

    Example:
        >>> import torch
        >>> check_tensors({"x": torch.zeros(5, 3), "y": torch.arange(5)}, {"x": "float N 3", "y": "int N"}, "map")
        {'N': 5}
    """
    import torch

    sizes: dict[str, int] = {}
    for name, wanted in shapes.items():
        kind, *dimensions = wanted.split()
        if name not in tensors:
            raise RunError(f"{file} is damaged ({name} is missing)")
        tensor = tensors[name]
        shape = [sizes.setdefault(d, n) if d.isalpha() else int(d) for d, n in zip(dimensions, tensor.shape)]  # noqa: B905
        if tensor.is_floating_point() != (kind != "int") or tensor.is_complex() or tensor.dtype == torch.bool:
            raise RunError(f"{file} is damaged ({name} holds {str(tensor.dtype).partition('.')[2]}, not {kind})")
        if len(dimensions) != tensor.ndim or list(tensor.shape) != shape:
            raise RunError(f"{file} is damaged ({name} has the shape {tuple(tensor.shape)}, not {tuple(dimensions)})")
        good = tensor >= 0 if kind == "int" else torch.isfinite(tensor)
        if kind == "positive":
            good &= tensor > 0
        if not bool(good.all()):
            wanted = {"float": "finite", "positive": "finite and above 0", "int": "at least 0"}[kind]
            raise RunError(f"{file} is damaged ({name} has values that are not {wanted})")
    return sizes


def check_below(tensor: Tensor, limit: int, name: str, file: str) -> None:
    """Check that indices are below a limit.

    Raises:
        RunError: some are not.
    """
    if len(tensor) and int(tensor.max()) >= limit:
        raise RunError(f"{file} is damaged ({name} has indices from {limit} on)")


def _check(schema: Any, value: Any, file: str) -> None:
    try:
        _adapter(schema).validate_python(value, strict=True)
    except ValidationError as error:
        first = error.errors(include_url=False, include_input=False)[0]
        where = ".".join(str(part)[:40] for part in first["loc"])
        reason = first["msg"][:1].lower() + first["msg"][1:]
        raise RunError(f"{file} is damaged ({where + ': ' if where else ''}{reason})") from None


def _fits(schema: Any, value: Any) -> bool:
    try:
        _adapter(schema).validate_python(value, strict=True)
    except ValidationError:
        return False
    return True


@cache
def _adapter(schema: Any) -> TypeAdapter[Any]:
    return TypeAdapter(schema)
