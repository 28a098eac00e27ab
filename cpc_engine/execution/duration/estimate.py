"""Estimate of a run's training time from earlier runs of the same size on the same device."""

from __future__ import annotations

import statistics
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ...config import RunConfig, all_settings
from ...errors import CpcError
from ...storage.folder import RunFolder
from ...storage.info import RunInfo

FEWEST = 5  # steps that a run needs to count, because the first steps are slower
LOOKED_AT = 60  # newest runs that are considered


@dataclass(frozen=True)
class Estimate:
    """Estimated training time.

    Attributes:
        seconds: without the maps at the end. runs: number of earlier runs that it is based on.
    """

    seconds: float
    runs: int


def size_of(config: RunConfig) -> dict[str, Any]:
    """Return the settings that determine how long a step takes, {"section.setting": value}.

    Example:
        >>> size = size_of(RunConfig())
        >>> "optimizer.batch_size" in size, "run.name" in size
        (True, False)
    """
    paths = {setting.path for setting in all_settings() if setting.speed}
    return {path: value for path, value in config.flat().items() if path in paths}


def estimate(config: RunConfig, device: str, infos: Iterable[RunInfo], root: Path) -> Estimate | None:
    """Estimate the training time by the median speed of earlier runs of the same size on the same device.

    Examples do not count, because another machine trained them.

    Args:
        config: of the new run.
        device: where it would train, as `pick_device` returns it.
        infos: all runs below `root`, newest first.
        root: the folder of runs.

    Returns:
        The estimate; None if there is no such run.
    """
    speeds, size = [], size_of(config)
    for info in list(infos)[:LOOKED_AT]:
        if info.device != device or info.steps_done < FEWEST or info.seconds <= 0 or info.teaches:
            continue
        try:
            same = size_of(RunFolder(root / info.id).config()) == size
        except CpcError:
            continue  # a broken folder is left out
        if same:
            speeds.append(info.steps_done / info.seconds)
    if not speeds:
        return None
    return Estimate(config.optimizer.steps / statistics.median(speeds), len(speeds))
