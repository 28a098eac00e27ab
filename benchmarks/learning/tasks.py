"""The data sets, and the configuration of each preset on them."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from cpc_engine.config import RunConfig
from cpc_engine.datasets import DATASETS
from cpc_engine.errors import ConfigError
from cpc_engine.presets import preset
from cpc_engine.terms import Modality

# Settings that decide which items there are and how they are loaded and judged; every method has those of `Task.own`.
SHARED = ("data.", "evaluation.")
LOADING = ("audio.sample_rate", "audio.clip_seconds", "audio.recording_seconds", "image.size")


@dataclass(frozen=True)
class Task:
    """One data set.

    Attributes:
        name: in rows and tables. preset: the data's own preset, without changes. reference: the reference recipe.
        path: the folder or file; None where the preset makes its data.
        changes: settings of the data that differ from those of the preset.
        bars: accuracies to reach; the report says after how many seconds.
    """

    name: str
    preset: str
    reference: str
    path: Path | None = None
    changes: dict[str, Any] = field(default_factory=dict)
    bars: tuple[float, ...] = ()

    def own(self) -> RunConfig:
        """Return the preset of the data, with the place of the data."""
        place = {} if self.path is None else {"data.path": str(self.path)}
        return preset(self.preset).config().replace({**self.changes, **place})

    @property
    def modality(self) -> Modality:
        """What an item is.

        Raises:
            ConfigError: its items are pairs.
        """
        modalities = DATASETS[self.own().data.dataset].modalities
        if len(modalities) > 1:
            raise ConfigError(f"{self.name}: its items are pairs; methods are compared on one modality")
        return modalities[0]

    def configuration(self, name: str) -> RunConfig:
        """Return a preset with the data of this task, loaded and judged as by the task's own preset."""
        own = self.own()
        if name == self.preset:
            return own
        shared = {path: value for path, value in own.flat().items() if path.startswith(SHARED) or path in LOADING}
        return preset(name).config().replace(shared)


TASKS = {
    task.name: task
    for task in (
        Task(
            "cifar10_two_class",
            "cifar10",
            "reference_cifar10",
            Path("cifar10_two_class.npz"),
            bars=(0.93, 0.95, 0.96),
        ),
        Task("cifar10_four_class", "cifar10", "reference_cifar10", Path("cifar10_four_class.npz"), bars=(0.88, 0.9)),
        Task("esc50_dev", "audio_folder", "reference_tones", Path("esc50_dev")),
        Task("nsynth_dev", "audio_folder", "reference_tones", Path("nsynth_dev")),
        Task("fsdd", "fsdd", "reference_tones", Path("fsdd"), {"data.split": "speaker"}),
    )
}


def task_of(text: str, folder: Path) -> Task:
    """Return the task that an argument names: one of `TASKS`, whose data are in `folder`, or PRESET=PATH.

    Raises:
        ConfigError: there is no such task or preset, or its items are pairs.

    Example:
        >>> task_of("image_folder=my/pictures", Path("data")).name
        'pictures'
    """
    name, given, place = text.partition("=")
    if given:
        task = Task(Path(place).stem, name, "reference_cifar10", Path(place))
        return replace(task, reference="reference_tones") if task.modality == "audio" else task
    if name not in TASKS:
        raise ConfigError(f"no data set {name!r}: it is one of {', '.join(TASKS)}, or PRESET=PATH")
    known = TASKS[name]
    return replace(known, path=known.path and folder / known.path)
