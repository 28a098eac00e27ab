"""TensorBoard event files of a run while it trains, where `run.tensorboard` asks for them."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from ..extras import extra
from ..storage.folder import RunFolder

NAME = "tensorboard"  # folder within the run's


class EventFiles:
    """Writes the numbers of each record as TensorBoard scalars.

    Args:
        folder: of the run. step: steps that are done; TensorBoard hides what a run wrote after the checkpoint that it
            now goes on from.

    Raises:
        ConfigError: TensorBoard is not installed.
    """

    def __init__(self, folder: RunFolder, step: int) -> None:
        extra("tensorboard", "export")
        from torch.utils.tensorboard import SummaryWriter

        self._writer: Any = SummaryWriter(str(folder.path / NAME), purge_step=step + 1)

    def add(self, record: Mapping[str, Any]) -> None:
        """Write one record, and flush it: a run may be killed."""
        for name, value in scalars(record):
            self._writer.add_scalar(name, value, record["step"])
        self._writer.flush()

    def close(self) -> None:
        self._writer.close()


def scalars(record: Mapping[str, Any], prefix: str = "") -> Iterator[tuple[str, float]]:
    """Yield (name, value) of the numbers in a record, names as paths; those that are not finite are left out.

    Example:
        >>> record = {"step": 1, "seconds": 0.5, "loss": 2.0, "modalities": {"audio": {"loss": 2.0}}, "geometry": None}
        >>> list(scalars(record))
        [('loss', 2.0), ('modalities/audio/loss', 2.0)]
    """
    for name, value in record.items():
        if isinstance(value, Mapping):
            yield from scalars(value, f"{prefix}{name}/")
        elif isinstance(value, int | float) and (prefix or name not in ("step", "seconds")):
            yield f"{prefix}{name}", float(value)
