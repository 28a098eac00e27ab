"""Runs from their folders to a comparison, and back: which runs are missing, and the commands that make them again."""

from __future__ import annotations

import json
import shlex
from collections.abc import Iterable, Mapping, Sequence
from itertools import product
from typing import Any

from ..config import RunConfig
from ..errors import ConfigError
from ..evaluation.compare import ComparedRun, Setting
from ..presets import PRESETS
from .folder import RunFolder

MOST_RUNS = 60  # queued by one click
_ALONE = {
    "sampler.queue_size": 0,
    "sampler.perturbed": False,
    "sampler.shuffled": "off",
    "sampler.cross_modal": False,
}
SAMPLERS: dict[str, dict[str, Any]] = {
    "Same batch only": _ALONE,
    "With memory": _ALONE | {"sampler.queue_size": 1024},
    "With noisy copies": _ALONE | {"sampler.perturbed": True},
    "With shuffled in time": _ALONE | {"sampler.shuffled": "time"},
    "With the other sense": _ALONE | {"sampler.cross_modal": True},
}


def final_measures(folder: RunFolder) -> dict[str, float | None]:
    """Loss and geometry at a run's end, and its probes where it was evaluated."""
    info, records = folder.info(), folder.records()
    found: dict[str, float | None] = {"loss": info.loss_last, "seconds": info.seconds}
    last = records[-1] if records else {}
    accuracies = [part.get("accuracy") for part in last.get("modalities", {}).values()]
    if accuracies and None not in accuracies:
        found["accuracy"] = sum(accuracies) / len(accuracies)
    found |= next((r["geometry"] for r in reversed(records) if r.get("geometry")), {})
    evaluation = folder.json("evaluation")
    probes = evaluation.get("probe", {}) if isinstance(evaluation, dict) else {}
    found |= {f"probe.{name}": row["trained"] for name, row in probes.items() if "trained" in row}
    return found


def load_compared(folder: RunFolder) -> ComparedRun:
    """A run as a comparison needs it.

    Raises:
        RunError: its folder is broken.
    """
    info = folder.info()
    complete = info.status == "finished"
    return ComparedRun(info.id, folder.config(), info.status, complete, final_measures(folder), changes_of(folder))


def changes_of(folder: RunFolder) -> tuple[tuple[int, str, str], ...]:
    """(step, knob, value as JSON) of knobs that were changed while the run went on."""
    return tuple(
        (int(event["step"]), str(event["knob"]), json.dumps(event["value"]))
        for event in folder.events()
        if event.get("kind") == "change" and {"step", "knob", "value"} <= event.keys()
    )


def is_evaluated(run: ComparedRun) -> bool:
    """Whether its probes were fitted."""
    return any(name.startswith("probe.") for name in run.measures)


def seed_configs(setting: Setting, seeds: Iterable[int]) -> list[RunConfig]:
    """The setting with other seeds. Knobs that were changed by hand on the way are not changed again.

    Raises:
        ConfigError: the setting's runs were changed while they went on.
    """
    if setting.changes:
        raise ConfigError(f"{setting.name}: its knobs were changed while it went on, which no new run repeats")
    return [setting.config.replace({"run.seed": seed}) for seed in seeds]


def changed_configs(
    base: RunConfig, changes: Sequence[Mapping[str, Any]], seeds: Sequence[int], names: Sequence[str]
) -> list[RunConfig]:
    """`base` with each of `changes` ({"section.knob": value}) at each seed, seed by seed, so that pairs end early.

    Raises:
        ConfigError: a value that does not fit, or too many runs for one click.
    """
    count = len(changes) * len(seeds)
    if count > MOST_RUNS:
        raise ConfigError(f"{count} runs are too many for one click (at most {MOST_RUNS}): take fewer values or seeds")
    return [
        base.replace({**change, "run.seed": seed, "run.name": name[:120]})
        for seed, (change, name) in product(seeds, zip(changes, names, strict=True))
    ]


def nearest_preset(config: RunConfig) -> tuple[str, list[str]]:
    """(the preset that differs from `config` in fewest knobs, "section.knob=value" of each of these)."""
    name, differences = min(
        ((name, preset.config().differences(config)) for name, preset in PRESETS.items()), key=lambda pair: len(pair[1])
    )
    values = {path: value for path, (_, value) in differences.items()}
    return name, [f"{path}={v if isinstance(v, str) else json.dumps(v)}" for path, v in values.items()]


def cli_command(config: RunConfig) -> str:
    """The shell command that trains `config`."""
    name, settings = nearest_preset(config)
    words = ["python", "-m", "cpc_engine", "train", "--preset", name]
    return shlex.join([*words, *(word for setting in settings for word in ("--set", setting))])
