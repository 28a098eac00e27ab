"""What a recipe is: a control, one change to it, and a prediction that was written before anything was measured."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal

from ..config import RunConfig
from ..presets import PRESETS


@dataclass(frozen=True)
class Control:
    """A small configuration that trains as it should.

    Attributes:
        name: its key in files. title: its name in lists and on runs.
        preset: it starts from. changes: to the preset, {"section.setting": value}.
    """

    name: str
    title: str
    preset: str
    changes: Mapping[str, Any]

    def config(self, seed: int = 0) -> RunConfig:
        """Return its configuration."""
        return PRESETS[self.preset].config().replace({**self.changes, "run.seed": seed, "run.name": self.title})


@dataclass(frozen=True)
class Prediction:
    """What a change was predicted to do.

    Attributes:
        metric: a key of `evaluation.metric_info.METRICS`, as it is recorded.
        direction: where the metric of the broken runs lies beside that of the controls.
        words: the same in one sentence.
    """

    metric: str
    direction: Literal["lower", "higher"]
    words: str


@dataclass(frozen=True)
class Recipe:
    """One way to break training.

    Attributes:
        name: its key in files and addresses. title: in lists.
        control: what it is held against. changes: to the control. change: the same in a few words.
        prediction: written before the first measurement, and not changed since.
        why: what happens in the loss and its gradient, with a way out.
    """

    name: str
    title: str
    control: Control
    changes: Mapping[str, Any]
    change: str
    prediction: Prediction
    why: str

    def configs(self, seed: int = 0) -> tuple[RunConfig, RunConfig]:
        """Return the configurations of the control and of the broken run, equal in all but `changes`.

        Example:
            >>> from cpc_engine.break_it.recipes import RECIPES
            >>> control, broken = RECIPES["temperature"].configs(seed=3)
            >>> broken.replace({"run.name": ""}).differences(control.replace({"run.name": ""}))
            {'loss.temperature': (0.01, 0.2)}
        """
        control = self.control.config(seed)
        return control, control.replace({**self.changes, "run.name": self.title})
