"""Arms of a comparison: runs of one configuration at different seeds, and the settings in which arms differ."""

from __future__ import annotations

import json
import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cache
from typing import TYPE_CHECKING, Any

from ..config import RunConfig, paths_with_role
from ..datasets import DATASETS
from ..evaluation.metric_info import METRICS, SIZE_DEPENDENT
from .names import shown_name

if TYPE_CHECKING:
    from ..evaluation.intervals import Cells, Floats

FORKED = "forked at step"  # in tables of settings
# How files become items; other settings of sounds and pictures change what is made of an item.
READING = ("audio.sample_rate", "audio.clip_seconds", "audio.recording_seconds", "image.size")
MIN_SEEDS = 5  # of each arm for a verdict; with fewer, tests of real metrics err more often than they say


@dataclass(frozen=True)
class Branch:
    """The content of fork.json: where a run branched off (see `execution.fork`).

    Attributes:
        of: id of the run that it goes on from. step: number of steps that it shares with it.
        control: of a child the id of its control; empty for a control.
        seed: that its first weights were drawn with; None where they are its own.
    """

    of: str
    step: int
    control: str = ""
    seed: int | None = None


@dataclass(frozen=True)
class ComparedRun:
    """One run of a comparison.

    Attributes:
        complete: whether it finished all its steps; only complete runs enter means and verdicts.
        metrics: final values by name, see `evaluation.metric_info.METRICS`.
        changes: (step, setting, value as JSON) of settings changed during training.
        items: value per test item of the metrics that are means over test items and whose items are known.
        untrained: the metrics that were also measured on the same network before its first step.
        item_digests: per modality the digest of the names of the distinct test items; empty for older evaluations.
        damaged: why evaluation.json is left out; empty where it is not.
        branch: where it branched off; None where it is no fork.
    """

    id: str
    config: RunConfig
    status: str
    complete: bool
    metrics: Mapping[str, float | None]
    changes: tuple[tuple[int, str, str], ...] = ()
    items: Mapping[str, Floats] = field(default_factory=dict, compare=False)
    untrained: Mapping[str, float] = field(default_factory=dict, compare=False)
    item_digests: Mapping[str, str] = field(default_factory=dict, compare=False)
    damaged: str = ""
    branch: Branch | None = None

    @property
    def seed(self) -> int:
        return self.config.run.seed

    @property
    def begins(self) -> int:
        """The step at which it branched off; 0 where it is no fork."""
        return 0 if self.branch is None else self.branch.step

    @property
    def label(self) -> str:
        """Its name, or what its settings say (see `names.shown_name`)."""
        return shown_name(self.config)


@dataclass(frozen=True)
class Arm:
    """Runs of one configuration at different seeds; `letter` names the arm in tables and curves."""

    letter: str
    runs: tuple[ComparedRun, ...]

    @property
    def config(self) -> RunConfig:
        return self.runs[0].config

    @property
    def changes(self) -> tuple[tuple[int, str, str], ...]:
        return self.runs[0].changes

    @property
    def begins(self) -> int:
        return self.runs[0].begins

    @property
    def seeds(self) -> list[int]:
        return sorted({run.seed for run in self.runs})

    @property
    def name(self) -> str:
        return f"{self.letter} · {self.runs[0].label}"

    def values(self, metric: str) -> dict[int, float]:
        """Return {seed: value} of a metric over complete runs; of a repeated seed the first run with a value counts."""
        return {seed: value for seed, (value, _) in self._counted(metric).items()}

    def items(self, metric: str) -> dict[int, list[Floats]] | None:
        """Return the values of a metric per test item; None if it has none in a run, or of other items."""
        counted = self._counted(metric)
        found = {seed: run.items.get(metric) for seed, (_, run) in counted.items()}
        cells = {seed: [values] for seed, values in found.items() if values is not None}
        same = same_items((run.config, run.item_digests) for _, run in counted.values())
        known = len(cells) == len(found) and len({len(row[0]) for row in cells.values()}) == 1
        return cells if known and same else None

    def _counted(self, metric: str) -> dict[int, tuple[float, ComparedRun]]:
        by_seed: dict[int, tuple[float, ComparedRun]] = {}
        for run in self.runs:
            value = run.metrics.get(metric)
            if run.complete and value is not None and math.isfinite(value):
                by_seed.setdefault(run.seed, (float(value), run))
        return dict(sorted(by_seed.items()))

    def item_counts(self, metric: str) -> set[int | None]:
        """Return on how many items complete runs took a metric that grows with them; None for older runs: unknown."""
        runs = [run for run in self.runs if run.complete and run.metrics.get(metric) is not None]
        if metric not in SIZE_DEPENDENT:
            return set()
        counts = [run.metrics.get(SIZE_DEPENDENT[metric]) for run in runs]
        return {None if count is None else int(count) for count in counts}


def same_items(runs: Iterable[tuple[RunConfig, Mapping[str, str]]]) -> bool:
    """Return whether test item n is the same in all runs.

    Copies are searched after decoding, so that the split of a folder may change with the size of its pictures. Names
    are therefore compared; generated items of other data settings have the same ones, so these must be equal too.

    Args:
        runs: configuration and `ComparedRun.item_digests` of each; where a run has none, runs must also read their
            items alike.

    Example:
        >>> small, large = (RunConfig().replace({"data.dataset": "bars", "image.size": size}) for size in (32, 64))
        >>> same_items([(small, {"image": "a1"}), (large, {"image": "a1"})]), same_items([(small, {}), (large, {})])
        (True, False)
    """
    settings, reading, digests = set(), set(), set()
    for config, names in runs:
        settings.add(config.data)
        modalities = DATASETS[config.data.dataset].modalities
        reading.add(
            tuple(
                value
                for path, value in config.flat().items()
                if path in READING and path.partition(".")[0] in modalities
            )
        )
        digests.add(json.dumps(names, sort_keys=True))
    if len(settings) > 1 or len(digests - {"{}"}) > 1:
        return False
    return "{}" not in digests or len(reading) == 1


def arm_key(config: RunConfig, changes: Iterable[tuple[int, str, str]] = (), begins: int = 0) -> str:
    """Return a key that is equal for runs of the same arm.

    Args:
        changes, begins: see `ComparedRun`; a fork is no repetition of a run that had its settings from the start.
    """
    values = {path: value for path, value in config.flat().items() if path not in repetition_settings()}
    return json.dumps([values, list(changes), begins], sort_keys=True)


@cache
def repetition_settings() -> frozenset[str]:
    """Return the settings in which runs of one arm may differ: seed, machine, name, and note."""
    return paths_with_role("machine", "label", "seed")


def group(runs: Iterable[ComparedRun]) -> list[Arm]:
    """Group runs into arms, in the order of their first runs, with the letters A to Z, then A2, B2, …

    Example:
        >>> runs = [ComparedRun(f"run-{seed}", RunConfig().replace({"run.seed": seed}), "finished", True, {})
        ...         for seed in (1, 0)]
        >>> [(arm.letter, arm.seeds) for arm in group(runs)]
        [('A', [0, 1])]
    """
    groups: dict[str, list[ComparedRun]] = {}
    for run in runs:
        groups.setdefault(arm_key(run.config, run.changes, run.begins), []).append(run)
    return [
        Arm(f"{chr(65 + i % 26)}{i // 26 + 1 if i >= 26 else ''}", tuple(sorted(members, key=lambda run: run.seed)))
        for i, members in enumerate(groups.values())
    ]


def settings_table(arms: Sequence[Arm], every: bool = False) -> dict[str, list[Any]]:
    """Return {"section.setting": its value in each arm}.

    Settings that were changed during training come last, as "section.setting from step n".

    Args:
        every: return all settings, not only those that differ between arms.
    """
    flat = [arm.config.flat() for arm in arms]
    for values, arm in zip(flat, arms, strict=True):
        values |= {f"{setting} from step {step}": json.loads(value) for step, setting, value in arm.changes}
        if arm.begins:
            values[FORKED] = arm.begins
    paths = dict.fromkeys(path for values in flat for path in values if path not in repetition_settings())
    table = {path: [values.get(path) for values in flat] for path in paths}
    return {p: row for p, row in table.items() if every or any(value != row[0] for value in row)}


def metric_names(arms: Sequence[Arm]) -> list[str]:
    """Return the metrics of all complete runs: those in `METRICS` in order, then those per modality and horizon."""
    runs = [run for arm in arms for run in arm.runs if run.complete]
    names = {name for run in runs for name, value in run.metrics.items() if value is not None}
    order = list(METRICS)

    def rank(name: str) -> tuple[bool, int, str]:
        base = "probe" if name.startswith("probe.") else name
        return base not in METRICS, order.index(base) if base in METRICS else 0, name

    return sorted(names, key=rank)


def cells_of(arms: Sequence[Arm], metric: str) -> list[Cells]:
    """Return the values of a metric of each arm: per test item if all arms that have the metric know them, else one."""
    from ..evaluation.intervals import single_values

    values = [arm.values(metric) for arm in arms]
    items = [arm.items(metric) if own else {} for arm, own in zip(arms, values, strict=True)]
    known = [cells for cells in items if cells is not None]
    return list(known) if len(known) == len(arms) else [single_values(own) for own in values]


def missing_seeds(arms: Sequence[Arm]) -> dict[str, list[int]]:
    """Return {letter: seeds to run} so that all arms have the same seeds, as many as a verdict needs.

    Seeds of queued, running, and paused runs count as present; seeds of runs that ended early are run again.
    """
    present = {
        arm.letter: {run.seed for run in arm.runs if run.complete or run.status in ("queued", "running", "paused")}
        for arm in arms
    }
    target = set().union(*present.values())
    unused = 0
    while len(target) < MIN_SEEDS:
        target.add(unused)
        unused += 1
    return {letter: sorted(target - seeds) for letter, seeds in present.items() if target - seeds}
