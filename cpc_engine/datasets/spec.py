"""What a data set is to plans, forms and checks, before anything is loaded."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from importlib import import_module
from typing import Any, Literal

from ..terms import Modality

# What a sound or picture is where nothing else is said: settings that follow from the data where they are 0.
USUAL: Mapping[str, Any] = {"audio.sample_rate": 16000, "audio.clip_seconds": 1.0, "image.size": 64}

# (configuration, device, progress) → data.dataset.Dataset
Loader = Callable[[Any, Any, Any], Any]


@dataclass(frozen=True)
class DatasetSpec:
    """One data set, described once.

    Attributes:
        name: value of `data.dataset`. title: what people read. summary: one sentence, a hover text.
        modalities: what an item has. origin: made from a seed, known by name and fetched, or the user's own folders.
        load: the loader, or "module:function" of one that is imported when it is needed.
        needs: settings that must be given, each as ("section.setting", what it has to be).
        within_reach: of data that are fetched (configuration) → whether they lie where a run looks, or it may and can
            fetch them, as "module:function"; None for others. megabytes: what is fetched.
        own_settings: settings that only this data set (or its kind) reads; forms hide them for the others.
        native: values of the settings that follow from the data where they are 0, {"section.setting": value}; of
            folders what is usual, until their files tell (see `data.follow`).
        stationary: whether all positions of one item are alike, so that they are false negatives of each other.
    """

    name: str
    title: str
    summary: str
    modalities: tuple[Modality, ...]
    origin: Literal["generated", "download", "folder"]
    load: Loader | str
    needs: tuple[tuple[str, str], ...] = ()
    within_reach: str | None = None
    megabytes: int = 0
    own_settings: tuple[str, ...] = ()
    native: Mapping[str, Any] = field(default_factory=lambda: USUAL)
    stationary: bool = False

    @property
    def loader(self) -> Loader:
        return _named(self.load) if isinstance(self.load, str) else self.load

    def is_within_reach(self, config: Any) -> bool:
        """Whether a run with this configuration would get its data; folders of the user's own are not looked at."""
        return self.within_reach is None or bool(_named(self.within_reach)(config))


def _named(name: str) -> Callable[..., Any]:
    """The function that "module:function" names."""
    module, _, function = name.partition(":")
    found: Callable[..., Any] = getattr(import_module(module), function)
    return found
