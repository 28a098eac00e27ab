"""How long a run will take, from runs like it that were trained before."""

from __future__ import annotations

import statistics
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ..config import RunConfig
from ..errors import CpcError
from .folder import RunFolder, RunInfo

FEWEST = 5  # steps of a run that tells a speed: the first ones are slower
LOOKED_AT = 60  # newest runs
# Knobs that do not change how long a step takes.
FREE = {
    "data.seed",
    "data.path",
    "data.image_path",
    "data.download",
    "data.train_items",
    "data.test_items",
    "sampler.sigma",
    "loss.temperature",
    "loss.pair_temperature",
    "optimiser.steps",
    "optimiser.learning_rate",
    "optimiser.weight_decay",
    "optimiser.warmup_steps",
    "optimiser.final_rate",
    "optimiser.clip_norm",
    "run.name",
    "run.note",
    "run.seed",
    "run.device",
    "run.checkpoint_every",
}


@dataclass(frozen=True)
class Estimate:
    """Training time in seconds, without the map at the end; `runs` tells how many earlier runs say so."""

    seconds: float
    runs: int


def size_of(config: RunConfig) -> dict[str, Any]:
    """The knobs that say how long a step takes, {"section.knob": value}."""
    flat = {f"{section}.{name}": v for section, knobs in config.to_dict().items() for name, v in knobs.items()}
    return {path: v for path, v in flat.items() if path not in FREE and not path.startswith("evaluation.")}


def estimate(config: RunConfig, device: str, known: Iterable[RunInfo], root: Path) -> Estimate | None:
    """Median over finished or stopped runs of the same size on the same device; None where there are none.

    Examples do not count: another machine trained them.

    Args:
        device: where it would train, as `pick_device` names it. known: all runs below `root`, newest first.
    """
    speeds, wanted = [], size_of(config)
    for info in list(known)[:LOOKED_AT]:
        if info.device != device or info.steps_done < FEWEST or info.seconds <= 0 or info.teaches:
            continue
        try:
            same = size_of(RunFolder(root / info.id).config()) == wanted
        except CpcError:
            continue  # a broken folder tells nothing
        if same:
            speeds.append(info.steps_done / info.seconds)
    if not speeds:
        return None
    return Estimate(config.optimiser.steps / statistics.median(speeds), len(speeds))
