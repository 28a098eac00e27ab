"""Paired forks held against each other: child − control over the steps with a band over the pairs, and verdicts.

A child and its control share weights, order of the data and random numbers, so their difference has none of the noise
that both have. See `docs/method.md#paired-forks`.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from ..config import label_of, value_text
from ..evaluation.metric_info import PRIMARY
from ..evaluation.metric_values import metric_value
from .arms import MIN_SEEDS, Arm, ComparedRun, arm_key, settings_table
from .judge import corrected, uncorrected

if TYPE_CHECKING:
    import numpy as np

    from ..evaluation.intervals import Floats
    from .verdicts import Verdict

SHARE = "share."  # before a source's name: its part of the gradient on negatives
RECORDED = ("loss", "accuracy", "alignment", "uniformity", "spread")
ACROSS = ("modality_gap", "retrieval_class", "retrieval_class_reverse")  # of runs on sounds and pictures
CHILD, CONTROL = "fork", "control"  # the sides in verdicts


@dataclass(frozen=True)
class Fork:
    """One change with its pairs (child, control); children differ in the seed only, and so do controls."""

    pairs: tuple[tuple[ComparedRun, ComparedRun], ...]

    @property
    def arms(self) -> tuple[Arm, Arm]:
        """The children, and their controls."""
        children, controls = zip(*self.pairs, strict=True)
        return Arm(CHILD, children), Arm(CONTROL, controls)

    @property
    def begins(self) -> int:
        """The step after which a pair may differ."""
        return self.pairs[0][0].begins

    @property
    def origins(self) -> list[str]:
        """The ids of the runs that the pairs go on from."""
        return list(dict.fromkeys(child.branch.of for child, _ in self.pairs if child.branch is not None))

    @property
    def title(self) -> str:
        """What the children have and their controls have not, such as "Noise σ 0.2"."""
        parts = []
        for path, (child, control) in settings_table(self.arms).items():
            name, _, step = path.partition(" from step ")
            if step:  # a change on the way that only one side has
                parts.append(
                    f"{'with' if control is None else 'without'} the change of {label_of(name)} at step {step}"
                )
            else:
                parts.append(f"{label_of(name)} {value_text(child)}")
        return ", ".join(parts) or "no change"


def paired(runs: Iterable[ComparedRun]) -> list[Fork]:
    """The pairs among runs, by what was changed, in the order of their first children.

    A child whose control is not among them is left out.
    """
    known = {run.id: run for run in runs}
    found: dict[tuple[str, str], list[tuple[ComparedRun, ComparedRun]]] = {}
    for child in known.values():
        control = known.get(child.branch.control) if child.branch is not None else None
        if control is not None:
            key, other = (arm_key(run.config, run.changes, run.begins) for run in (child, control))
            found.setdefault((key, other), []).append((child, control))
    return [Fork(tuple(pairs)) for pairs in found.values()]


def recorded(record: Mapping[str, Any], metric: str, modality: str = "") -> float | None:
    """One number of a record; None where it has none, NaN where it was not finite.

    Args:
        metric: "loss" (without a modality: the total), "accuracy" (0…1), a metric on held-out items, or "share." and a
            source. What is recorded of each modality only is the mean over those that have it.
        modality: of one modality.

    Example:
        >>> record = {"loss": 1.5, "modalities": {"audio": {"loss": 1.2, "accuracy": 0.5, "sources": {}}}}
        >>> recorded(record, "loss"), recorded(record, "loss", "audio"), recorded(record, "spread")
        (1.5, 1.2, None)
    """
    parts = record.get("modalities", {})
    if modality:
        parts = {modality: parts[modality]} if modality in parts else {}
    if metric == "loss" and not modality:
        return _number(record.get("loss"))
    if metric in ("loss", "accuracy"):
        return _mean([_number(part.get(metric)) for part in parts.values()])
    if metric.startswith(SHARE):
        name = metric.removeprefix(SHARE)
        return _mean([_number(part["sources"][name]["share"]) for part in parts.values() if name in part["sources"]])
    return metric_value(record.get("geometry") or {}, f"{modality}.{metric}" if modality else metric)


def _number(value: float | None) -> float:
    return math.nan if value is None else float(value)


def _mean(values: Sequence[float]) -> float | None:
    return sum(values) / len(values) if values else None


@dataclass(frozen=True)
class Difference:
    """Child − control of n pairs at S steps.

    Attributes:
        steps: (S,) int64, rising. values: (n, S).
    """

    metric: str
    steps: np.ndarray
    values: Floats

    @property
    def mean(self) -> Floats:
        """(S,) over the pairs."""
        mean: Floats = self.values.mean(0)
        return mean

    @property
    def covers(self) -> str:
        """What `band` is."""
        if len(self.values) < 2:
            return ""
        return "95 % interval" if len(self.values) >= MIN_SEEDS else "range"

    @property
    def band(self) -> tuple[Floats, Floats] | None:
        """((S,) low, (S,) high) at each step by itself: the 95 % Student-t interval of the mean, of fewer pairs than a
        verdict needs the range; None of one pair."""
        from ..evaluation.intervals import half_widths

        if self.covers == "range":
            return self.values.min(0), self.values.max(0)
        if not self.covers:
            return None
        half = half_widths(self.values)
        return self.mean - half, self.mean + half


Records = Sequence[Mapping[str, Any]]


def differences(pairs: Sequence[tuple[Records, Records]], begins: int = 0) -> list[Difference]:
    """Child − control at every step that all pairs recorded on both sides, of each metric that they have.

    Loss, contrastive accuracy, alignment, uniformity, spread, the share of each source, and of runs on sounds and
    pictures the modality gap and retrieval. Steps where a number was not finite are left out.

    Args:
        pairs: records of (child, control). begins: earlier steps are left out.

    Example:
        >>> [found] = differences([([{"step": 5, "loss": 1.0}], [{"step": 5, "loss": 1.25}])])
        >>> found.metric, found.steps.tolist(), found.values.tolist(), found.band
        ('loss', [5], [[-0.25]], None)
    """
    import numpy as np

    from ..sources import SOURCES

    found = []
    for metric in (*RECORDED, *ACROSS, *(f"{SHARE}{name}" for name in SOURCES)):
        curves = [_difference(child, control, metric, begins) for child, control in pairs]
        steps = sorted(set.intersection(*(set(curve) for curve in curves))) if curves else []
        if steps:
            values = np.array([[curve[step] for step in steps] for curve in curves], dtype=np.float64)
            found.append(Difference(metric, np.array(steps, dtype=np.int64), values))
    return found


def _difference(child: Records, control: Records, metric: str, begins: int) -> dict[int, float]:
    """{step: child − control} where both have a finite number."""
    sides = [{row["step"]: recorded(row, metric) for row in side if row["step"] >= begins} for side in (child, control)]
    return {
        step: value - other
        for step, value in sides[0].items()
        if value is not None and (other := sides[1].get(step)) is not None and math.isfinite(value - other)
    }


def judge_forks(forks: Sequence[Fork], primary: str = PRIMARY) -> list[dict[str, Verdict]]:
    """Verdicts on child − control by metric, of each fork; those of all forks and metrics are corrected together.

    Args:
        primary: the metric that was chosen before, see `judge`.
    """
    tests: dict[tuple[int, str], Verdict] = {}
    for index, fork in enumerate(forks):
        arms = fork.arms
        tests |= {(index, metric): verdict for (metric, _), verdict in uncorrected(arms, arms[0], primary).items()}
    found: list[dict[str, Verdict]] = [{} for _ in forks]
    for (index, metric), verdict in corrected(tests, lambda key: key[1] == primary).items():
        found[index][metric] = verdict
    return found
