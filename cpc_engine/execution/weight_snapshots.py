"""Weight snapshots: a run as it was after a few of its steps, small enough to keep, to look at its negatives then.

snapshot-1.safetensors, …   what the next step's loss follows from: network, momentum encoders, queues and the state of
                            the random numbers, named as in a checkpoint; no moments of the optimizer

Matrices are of half precision, so a snapshot is no checkpoint: a run cannot go on from it.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING

import torch

from ..config import RunConfig
from ..errors import RunError
from ..storage.folder import PARTS, RunFolder

if TYPE_CHECKING:
    from torch import Tensor

FILES = PARTS["weight_snapshots"]
_PARTS = ("model.", "ema.", "item.", "queue.", "generator", "progress")


class WeightSnapshots:
    """Keeps the snapshots of one run while it trains.

    Args:
        config: `run.snapshots` of them are kept, 0 keeps none.
    """

    def __init__(self, folder: RunFolder, config: RunConfig) -> None:
        self.folder = folder
        steps = snapshot_steps(config.optimizer.steps, config.run.snapshots)
        self._files = {step: FILES[number].removesuffix(".safetensors") for number, step in enumerate(steps)}

    def wants(self, step: int) -> bool:
        """Whether the run is kept as it is after this step."""
        return step in self._files

    def add(self, step: int, state: Mapping[str, Tensor]) -> None:
        """Keep the state after a step (see `Trainer.state`).

        Raises:
            StorageError: the file cannot be written.
        """
        self.folder.save_tensors(self._files[step], _small(state))

    def branch_off(self, step: int, state: Mapping[str, Tensor]) -> None:
        """Keep the state at which a fork begins, in place of an earlier step; nothing where every step is to come."""
        earlier = [planned for planned in self._files if planned <= step]
        if earlier:
            self.folder.save_tensors(self._files[earlier[-1]], _small(state))

    def go_on(self, step: int) -> None:
        """Delete what is newer than a checkpoint at `step`: the resumed run makes it again.

        A damaged snapshot is deleted too, and the log says so: a picture less costs no run.
        """
        for name in FILES:
            path = self.folder.path / name
            try:
                if path.is_file() and self.folder.steps_of(path.stem) > step:
                    path.unlink()
            except RunError as error:
                self.folder.log(f"a weight snapshot is lost ({error})")
                path.unlink()


def snapshot_steps(total: int, count: int) -> list[int]:
    """At most `count` steps between the first and the last, closer together early, where most happens.

    Example:
        >>> snapshot_steps(400, 4), snapshot_steps(3, 4), snapshot_steps(400, 0)
        ([16, 64, 144, 256], [1, 2], [])
    """
    steps = {max(1, round(total * (number / (count + 1)) ** 2)) for number in range(1, count + 1)}
    return sorted(step for step in steps if step < total)


def kept_snapshots(folder: RunFolder) -> dict[int, str]:
    """The name for `load_state` of each snapshot of a run, by its number of finished steps, ascending.

    Raises:
        RunError: one is damaged.
    """
    kept = [Path(name).stem for name in FILES if (folder.path / name).is_file()]
    found = {folder.steps_of(name): name for name in kept}
    return {step: found[step] for step in sorted(found)}


def load_state(folder: RunFolder, name: str = "checkpoint") -> dict[str, Tensor]:
    """The tensors of the checkpoint or of a snapshot, for `Trainer.load`; they do not fit where it is of another run.

    Raises:
        RunError: the file is damaged.
    """
    tensors = folder.tensors(name)
    for key, tensor in tensors.items():
        if name != "checkpoint" and not key.startswith(_PARTS):
            raise RunError(f"{folder.id}: {name}.safetensors is damaged ({key[:40]!r} is no part of a snapshot)")
        if tensor.is_floating_point() and not bool(torch.isfinite(tensor).all()):
            raise RunError(f"{folder.id}: {name}.safetensors is damaged ({key} has values that are not finite)")
    return tensors


def _small(state: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """A state without moments and with its matrices halved; vectors and numbers, such as τ, stay exact."""
    kept = {name: tensor for name, tensor in state.items() if name.startswith(_PARTS)}
    return {n: t.half() if t.dtype == torch.float32 and t.ndim > 1 else t for n, t in kept.items()}
