"""What the execution of a run asks of the other ranks; a run on one device has none."""

from __future__ import annotations

from types import TracebackType
from typing import Self

from ...config import RunConfig
from ...training.ranks import ALONE, Ranks
from ...training.trainer import Trainer
from ..device import pick_device


class Team:
    """The ranks of a run on one device: this process alone. A context manager, entered before the data are loaded."""

    ranks: Ranks = ALONE

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        pass

    def device(self, name: str) -> str:
        """Return the device of this process for a run's `device` setting."""
        return pick_device(name)

    def describe(self, device: str) -> str:
        """Return the run's devices in words, as run.json has them."""
        return device

    def begin(self, trainer: Trainer, config: RunConfig) -> None:
        """Have the others make the same trainer.

        Args:
            trainer: with the state that the run begins at. config: that the trainer was made from.

        Raises:
            ClusterError: another rank has gone, or has other data.
        """

    def change(self, config: RunConfig) -> None:
        """Have the others continue with changed live settings."""

    def step(self, record: bool) -> None:
        """Have the others take the next step, which this process takes at once, too."""

    def dismiss(self) -> None:
        """Let the others end: no step is to come."""
