"""Statistical comparison of arms: runs grouped by configuration, intervals of differences, and verdicts.

An arm is a configuration without seed, name, note, device, and number of threads. Its runs are draws of one random
variable per metric. Two arms are called different only if a 95 % Student-t interval of their difference leaves out 0:
paired by seed where the seeds are the same (equal first weights and data order), else by Welch's method. See
`docs/method.md#comparison-statistics`.
"""

from __future__ import annotations

import json
import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from typing import Any, Literal

import numpy as np

from ..config import RunConfig, paths_with_role
from ..evaluation.intervals import mean_interval
from ..evaluation.metric_info import METRICS, Direction

# What people read beside verdicts.
SEEDS_NEEDED = "A verdict needs two seeds on each side at least; three or more are advised."
EXPLANATION = (
    f"Mean ± half width of the 95 % Student-t interval over seeds of finished runs. {SEEDS_NEEDED} It comes from the "
    "differences seed by seed where the seeds are the same, else from Welch's interval. One test per metric, so of "
    "twenty metrics about one differs by chance alone."
)


@dataclass(frozen=True)
class ComparedRun:
    """One run of a comparison.

    Attributes:
        complete: whether it finished all its steps; only complete runs enter means and verdicts.
        metrics: final values by name, see `evaluation.metric_info.METRICS`.
        changes: (step, setting, value as JSON) of settings changed during training.
    """

    id: str
    config: RunConfig
    status: str
    complete: bool
    metrics: Mapping[str, float | None]
    changes: tuple[tuple[int, str, str], ...] = ()

    @property
    def seed(self) -> int:
        return self.config.run.seed

    @property
    def label(self) -> str:
        """Its name, or its id if it has none."""
        return self.config.run.name or self.id


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
    def seeds(self) -> list[int]:
        return sorted({run.seed for run in self.runs})

    @property
    def name(self) -> str:
        return f"{self.letter} · {self.runs[0].label}"

    def values(self, metric: str) -> dict[int, float]:
        """Return {seed: value} of a metric over complete runs; of a repeated seed the first run with a value counts."""
        by_seed: dict[int, float] = {}
        for run in self.runs:
            value = run.metrics.get(metric)
            if run.complete and value is not None and math.isfinite(value):
                by_seed.setdefault(run.seed, float(value))
        return dict(sorted(by_seed.items()))


Outcome = Literal["a", "b", "not_distinguishable", "too_few_seeds", "not_measured"]


@dataclass(frozen=True)
class Verdict:
    """Result of comparing arms A and B by one metric.

    Attributes:
        outcome: "a" or "b" for the better arm (the higher one for metrics without a better direction), or why there is
            none.
        names: of A and B. better: direction of improvement of the metric. counts: numbers of seeds of A and B.
        difference: mean of A minus mean of B. low, high: its 95 % interval. All three None without a test.
        method: "paired t" or "Welch"; empty without a test.
    """

    outcome: Outcome
    names: tuple[str, str]
    better: Direction
    counts: tuple[int, int]
    difference: float | None = None
    low: float | None = None
    high: float | None = None
    method: str = ""

    @property
    def winner(self) -> str | None:
        """Name of the better arm; None without one."""
        return {"a": self.names[0], "b": self.names[1]}.get(self.outcome)

    @property
    def text(self) -> str:
        """The verdict in words, such as "A better", "not distinguishable, n = 3", or "one seed each: no verdict"."""
        if self.winner is not None:
            return f"{self.winner} {'higher' if self.better == 'neither' else 'better'}"
        pairs = list(zip(self.names, self.counts, strict=True))
        if self.outcome == "not_measured":
            missing = [name for name, count in pairs if not count]
            return "not measured" if len(missing) == 2 else f"not measured in {missing[0]}"
        if self.outcome == "too_few_seeds":
            single = [name for name, count in pairs if count < 2]
            return f"one seed {'each' if len(single) == 2 else f'of {single[0]}'}: no verdict"
        first, second = self.counts
        return f"not distinguishable, n = {first if first == second else f'{first} and {second}'}"


def arm_key(config: RunConfig, changes: Iterable[tuple[int, str, str]] = ()) -> str:
    """Return a key that is equal for runs of the same arm."""
    values = {path: value for path, value in config.flat().items() if path not in repetition_settings()}
    return json.dumps([values, list(changes)], sort_keys=True)


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
        groups.setdefault(arm_key(run.config, run.changes), []).append(run)
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


def compare(
    a: Mapping[int, float], b: Mapping[int, float], better: Direction, names: tuple[str, str] = ("A", "B")
) -> Verdict:
    """Compare the values of two arms by a t test at 95 %.

    Paired by seed where all seeds of one arm are among those of the other, else Welch. There is no correction for many
    metrics: of twenty metrics about one differs by chance.

    Args:
        a, b: {seed: value} of each arm. better: direction of improvement of the metric. names: of the arms.

    Example:
        >>> compare({0: 0.90, 1: 0.91, 2: 0.92}, {0: 0.80, 1: 0.80, 2: 0.82}, "higher").text
        'A better'
        >>> compare({0: 0.90}, {0: 0.80}, "higher").text
        'one seed each: no verdict'
    """
    counts = (len(a), len(b))
    if not a or not b:
        return Verdict("not_measured", names, better, counts)
    if min(counts) < 2:
        return Verdict("too_few_seeds", names, better, counts)
    common = sorted(a.keys() & b.keys())
    if len(common) == min(counts):
        difference, half = mean_interval([a[seed] - b[seed] for seed in common])
        assert half is not None
        method, counts = "paired t", (len(common), len(common))
    else:
        difference, half = _welch(list(a.values()), list(b.values()))
        method = "Welch"
    low, high = difference - half, difference + half
    outcome: Outcome = "not_distinguishable"
    if not low <= 0 <= high:
        outcome = "a" if (difference > 0) == (better != "lower") else "b"
    return Verdict(outcome, names, better, counts, difference, low, high, method)


def missing_seeds(arms: Sequence[Arm], at_least: int = 3) -> dict[str, list[int]]:
    """Return {letter: seeds to run} so that all arms have the same seeds, at least `at_least` of them.

    Seeds of queued, running, and paused runs count as present; seeds of runs that ended early are run again.
    """
    present = {
        arm.letter: {run.seed for run in arm.runs if run.complete or run.status in ("queued", "running", "paused")}
        for arm in arms
    }
    target = set().union(*present.values())
    unused = 0
    while len(target) < at_least:
        target.add(unused)
        unused += 1
    return {letter: sorted(target - seeds) for letter, seeds in present.items() if target - seeds}


def _welch(a: Sequence[float], b: Sequence[float]) -> tuple[float, float]:
    """Return (difference of means, half width of its 95 % interval) without assuming equal variances."""
    from scipy.special import stdtrit

    squared_errors = [float(np.var(values, ddof=1)) / len(values) for values in (a, b)]
    difference, error = float(np.mean(a) - np.mean(b)), sum(squared_errors)
    if error == 0:
        return difference, 0.0
    freedom = error**2 / sum(s**2 / (len(v) - 1) for s, v in zip(squared_errors, (a, b), strict=True))
    return difference, float(stdtrit(freedom, 0.975)) * math.sqrt(error)
