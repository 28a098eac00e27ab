"""What a comparison shows first: each arm's primary metric with its interval, by what the arms differ in."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from statistics import fmean
from typing import Any

from ..config import RunConfig, label_of, value_text
from ..datasets import DATASETS
from ..evaluation.intervals import hierarchical_interval
from .arms import Arm, cells_of, settings_table

MOST_NAMED = 3  # settings in a title


@dataclass(frozen=True)
class Standing:
    """One arm and one metric.

    Attributes:
        letter, title: of the arm; the title says in what it differs from the others.
        values: {seed: value} of its complete runs.
        mean: None without a value. half: half width of the 95 % interval, None for one seed.
        covers: what the interval covers.
        untrained: the same metric of the same networks before their first step, the mean over seeds; None where it was
            not measured.
    """

    letter: str
    title: str
    values: Mapping[int, float]
    mean: float | None
    half: float | None
    covers: str
    untrained: float | None


@dataclass(frozen=True)
class Grid:
    """Means of a metric where exactly two settings vary.

    Attributes:
        rows, columns: setting and its values as text. means: mean by (row, column) index.
    """

    rows: tuple[str, list[str]]
    columns: tuple[str, list[str]]
    means: Mapping[tuple[int, int], float]


def titles(arms: Sequence[Arm]) -> list[str]:
    """Return a name for each arm: its letter and the values of the settings in which the arms differ.

    Arms that differ in too many settings to name, such as those of different presets, have the names of their runs
    where these differ.

    Example:
        >>> from cpc_engine.comparison.arms import ComparedRun, group
        >>> from cpc_engine.config import RunConfig
        >>> arms = group(ComparedRun(f"run-{size}", RunConfig().replace({"sampler.queue_size": size}), "finished",
        ...                          True, {}) for size in (0, 512))
        >>> titles(arms)
        ['A · Queue size 0', 'B · Queue size 512']
    """
    varying = settings_table(arms)
    labels = [arm.runs[0].label for arm in arms]
    more = len(varying) - MOST_NAMED
    if not varying or (more > 0 and len(set(labels)) == len(labels)):
        return [arm.name for arm in arms]
    found = []
    for index, arm in enumerate(arms):
        own = arm.config.flat()
        # What other arms changed on the way, or where they began, is nothing that this one has a value of.
        had = {path: row[index] for path, row in varying.items() if path in own or row[index] is not None}
        parts = [f"{_label(path)} {value_text(value)}" for path, value in had.items()]
        more = len(parts) - MOST_NAMED
        words = ", ".join(parts[:MOST_NAMED]) + (f" and {more} more" if more > 0 else "")
        found.append(f"{arm.letter} · {words}" if parts else arm.name)
    return found


def data_note(arms: Sequence[Arm]) -> str:
    """Say so where arms learned from different data; "" where all learned from the same.

    Example:
        >>> from cpc_engine.comparison.arms import ComparedRun, group
        >>> from cpc_engine.config import RunConfig
        >>> arms = group(ComparedRun(name, RunConfig().replace({"data.dataset": name}), "finished", True, {})
        ...              for name in ("tones", "fsdd"))
        >>> data_note(arms)
        'Different data (A: Tones; B: Spoken digits): what tells these arms apart is not their settings alone.'
    """
    if len({_data(arm.config) for arm in arms}) < 2:
        return ""
    named = "; ".join(f"{arm.letter}: {DATASETS[arm.config.data.dataset].title}" for arm in arms)
    return f"Different data ({named}): what tells these arms apart is not their settings alone."


def standings(arms: Sequence[Arm], metric: str) -> list[Standing]:
    """Return how each arm stands by one metric, in the order of the arms."""
    found = []
    for arm, title, cells in zip(arms, titles(arms), cells_of(arms, metric), strict=True):
        estimate = hierarchical_interval(cells) if cells else None
        values = arm.values(metric)
        before = [run.untrained[metric] for run in arm.runs if run.complete and metric in run.untrained]
        found.append(
            Standing(
                arm.letter,
                title,
                values,
                estimate.mean if estimate else None,
                estimate.half if estimate else None,
                estimate.covers if estimate else "",
                fmean(before) if before else None,
            )
        )
    return found


def grid(arms: Sequence[Arm], metric: str) -> Grid | None:
    """Return the means by two settings; None unless exactly two vary, both on three or more arms."""
    varying = settings_table(arms)
    if len(varying) != 2 or len(arms) < 3:
        return None
    axes = []
    for row in varying.values():
        distinct = {json.dumps(value): value for value in row}
        axes.append([text for text, _ in sorted(distinct.items(), key=lambda pair: _order(pair[1]))])
    means = {}
    for index, standing in enumerate(standings(arms, metric)):
        if standing.mean is not None:
            place = tuple(axis.index(json.dumps(row[index])) for axis, row in zip(axes, varying.values(), strict=True))
            means[place[0], place[1]] = standing.mean
    named = [
        (_label(path), [value_text(json.loads(text)) for text in axis])
        for path, axis in zip(varying, axes, strict=True)
    ]
    return Grid(named[0], named[1], means)


def _data(config: RunConfig) -> tuple[object, ...]:
    """The data set and its part that is used; how much of it, and how it is split, are settings to compare."""
    return config.data.dataset, config.data.path, config.data.image_path, config.data.classes


def _label(path: str) -> str:
    """A setting's label; what was changed on the way keeps its "from step"."""
    name, _, step = path.partition(" from step ")
    return label_of(name) + (f" from step {step}" if step else "")


def _order(value: Any) -> tuple[bool, float, str]:
    number = isinstance(value, int | float)
    return (not number, float(value) if number else 0.0, str(value))
