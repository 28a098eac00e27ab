"""What is compared: the name of each method, its configuration, and how its learner is made."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Iterable
from typing import Any

import torch
from torch.utils.flop_counter import FlopCounterMode

from cpc_engine.config import RunConfig, paths_with_role
from cpc_engine.data.dataset import Dataset, Split
from cpc_engine.errors import ConfigError
from cpc_engine.terms import Modality

from .clock import Learner
from .judge import FeaturesOf
from .ours import Ours
from .tasks import LOADING, SHARED, Task

TITLES = {
    "ours": "ours",
    "reference": "reference recipe",
    "simclr_equal": "lightly's SimCLR, ResNet-9 of our cost",
    "simclr_resnet18": "lightly's SimCLR, ResNet-18",
    "moco_equal": "lightly's MoCo v2, ResNet-9 of our cost",
    "moco_resnet18": "lightly's MoCo v2, ResNet-18",
    "cpc_audio": "CPC of waveforms as in CPC_audio",
    "untrained": "ours, untrained",
    "baselines": "the best of the baselines",
}
OURS = ("ours", "untrained", "reference")  # trained, or made, by our engine
ONCE = ("untrained", "baselines")  # without a budget
_TWO_VIEWS = ("simclr_equal", "simclr_resnet18", "moco_equal", "moco_resnet18")
_ONLY: dict[str, Modality] = {"cpc_audio": "audio", **dict.fromkeys(_TWO_VIEWS, "image")}
_SAMPLE = 8  # items whose operations are counted


def fitting(methods: Iterable[str], task: Task) -> list[str]:
    """Return those methods that the data of a task allow.

    Raises:
        ConfigError: there is no such method, or the task's items are pairs.
    """
    return [method for method in methods if _ONLY.get(kind_of(method), task.modality) == task.modality]


def kind_of(method: str) -> str:
    """Return the method without the preset that may follow it, as in "ours:tones".

    Raises:
        ConfigError: there is no such method.
    """
    kind, with_preset, _ = method.partition(":")
    if kind not in TITLES or (with_preset and kind != "ours"):
        raise ConfigError(f"no method {method!r}: it is one of {', '.join(TITLES)}, or ours:PRESET")
    return kind


def title_of(method: str) -> str:
    """Return the name of a method in tables."""
    _, with_preset, name = method.partition(":")
    return f"ours, preset `{name}`" if with_preset else TITLES[method]


def preset_of(method: str, task: Task) -> str:
    """Return the preset that a method trains; that of the data where it is no training of ours."""
    kind, _, name = method.partition(":")
    return task.reference if kind == "reference" else name or task.preset


def settings_of(method: str, task: Task) -> str:
    """Return 16 hexadecimal digits that change with any setting that decides what a method makes of the data."""
    config = task.configuration(preset_of(method, task))
    defaults = RunConfig().flat()
    own = config.replace({path: defaults[path] for path in _undecided()}).flat()
    kind, parts = kind_of(method), {}
    if kind not in OURS:
        sections = {
            "baselines": ("audio.",),
            "simclr_equal": ("image.", "context."),
            "moco_equal": ("image.", "context."),
        }
        kept = (*SHARED, *LOADING, *sections.get(kind, ()))
        own, parts = {path: value for path, value in own.items() if path.startswith(kept)}, parameters_of(method)
    text = json.dumps([own, parts], sort_keys=True, default=str)
    return hashlib.sha256(text.encode()).hexdigest()[:16]


def _undecided() -> list[str]:
    """Settings that decide nothing here: the seed and the number of steps are those of each run."""
    return [*paths_with_role("data_location", "label", "seed", "machine"), "optimizer.steps"]


def parameters_of(method: str) -> dict[str, Any]:
    """Return the parameters of a peer; none for what the settings of a run decide."""
    if method == "cpc_audio":
        from . import cpc_audio

        return cpc_audio.PARAMETERS
    if method in _TWO_VIEWS:
        from . import two_views

        return two_views.PARAMETERS
    return {}


def prepare(method: str, config: RunConfig, data: Dataset) -> Callable[[], Learner]:
    """Return what makes the learner of a method; only that counts as training.

    Args:
        config: of the preset (see `preset_of`), with the seed.
    """
    kind, seed = kind_of(method), config.run.seed
    if kind in OURS:
        return lambda: Ours(config, data)
    if kind == "cpc_audio":
        from .cpc_audio import CpcAudio

        return lambda: CpcAudio(data, seed)
    from .two_views import MoCo, SimCLR, width_of_equal_cost

    peer: type[MoCo | SimCLR] = SimCLR if kind.startswith("simclr") else MoCo
    name, width = "resnet-18", 1.0
    if kind.endswith("equal"):
        name = "resnet-9"
        width = width_of_equal_cost(name, operations(Ours(config, data).features, data.test))
    return lambda: peer(name, width, data, seed)


def operations(features: FeaturesOf, split: Split) -> float:
    """Return the floating-point operations that the features of one item take, as PyTorch counts them."""
    items = split.take(torch.arange(min(_SAMPLE, len(split))))
    with torch.no_grad(), FlopCounterMode(display=False) as counter:
        features(items)
    return counter.get_total_flops() / len(items)
