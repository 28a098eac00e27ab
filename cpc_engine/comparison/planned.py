"""Whether a run on disk is the one that was planned."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from ..config import RunConfig, paths_with_role
from ..datasets import DATASETS
from .arms import arm_key


def is_planned(found: RunConfig, planned: RunConfig) -> bool:
    """Return whether a run has the planned settings and seed, at any location of the data.

    Where a setting is 0 because it follows from the data, the number that the run found there is not compared.

    Example:
        >>> planned = RunConfig().replace({"data.dataset": "audio_folder", "audio.clip_seconds": 0})
        >>> is_planned(planned.replace({"audio.clip_seconds": 2.0, "data.path": "sounds"}), planned)
        True
        >>> is_planned(planned.replace({"run.seed": 1}), planned)
        False
    """
    return found.data.dataset == planned.data.dataset and _key(as_planned(found, planned)) == _key(planned)


def as_planned(found: RunConfig, planned: RunConfig) -> RunConfig:
    """Return a run's settings with 0 where the plan lets them follow from the data.

    Example:
        >>> planned = RunConfig().replace({"data.dataset": "audio_folder", "audio.sample_rate": 0})
        >>> as_planned(planned.replace({"audio.sample_rate": 22050}), planned).audio.sample_rate
        0
    """
    values = planned.flat()
    return found.replace({path: values[path] for path in DATASETS[planned.data.dataset].native if not values[path]})


def location(config: RunConfig) -> Mapping[str, Any]:
    """Return the settings that say where the data are, which do not distinguish runs."""
    values = config.flat()
    return {path: values[path] for path in paths_with_role("data_location")}


def _key(config: RunConfig) -> tuple[int, str]:
    return config.run.seed, arm_key(config.replace(location(RunConfig())))
