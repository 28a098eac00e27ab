"""Thinning of a long run's records for curves: a bounded number that keeps lows, highs, means, and the newest steps."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Sequence
from typing import Any

Record = dict[str, Any]

LIVE = 320  # largest number of records that a page shows of an active run
STORED = 4000  # the same for a run read from disk
_NEWEST = 40  # newest records, never thinned, because the speed and the alarms are computed from them
_PENDING = 64  # records of an unfinished stretch before it is thinned for the first time


class ThinnedRecords:
    """At most `limit` records of a run; adding a record takes constant time on average.

    Older records are divided into stretches of equal length. Of each stretch the records with the lowest and the
    highest loss of every modality are kept. The first of them also has the "mean" of the stretch (see `means`), the
    others have None there. Records with geometry metrics are thinned separately, to a quarter of `limit`.

    Example:
        >>> records = ({"step": step, "loss": 1 / step, "modalities": {}} for step in range(1, 5001))
        >>> kept = ThinnedRecords(records, limit=320).all()
        >>> len(kept) <= 320, kept[-1]["step"]
        (True, 5000)
    """

    def __init__(self, records: Iterable[Record] = (), limit: int = LIVE) -> None:
        self._newest: list[Record] = []
        self._with_geometry = _Stretches(limit // 4)
        self._plain = _Stretches(limit - limit // 4 - _NEWEST)
        for record in records:
            self.add(record)

    def add(self, record: Record) -> None:
        """Append a record and drop records of the same or later steps, which a resumed run produces again."""
        if self._newest and self._newest[-1]["step"] >= record["step"]:
            self._newest = [old for old in self._newest if old["step"] < record["step"]]
            for stretches in (self._with_geometry, self._plain):
                stretches.forget_from(record["step"])
        self._newest.append(record)
        if len(self._newest) > _NEWEST:
            old = self._newest.pop(0)
            (self._with_geometry if old.get("geometry") else self._plain).add(old)

    def all(self) -> tuple[Record, ...]:
        """Return the kept records, oldest first."""
        older = [*self._with_geometry.all(), *self._plain.all()]
        return (*sorted(older, key=lambda record: int(record["step"])), *self._newest)


def means(records: Iterable[Record]) -> list[Record]:
    """Return one record per stretch, with the means of its steps, losses, and accuracies; unthinned records unchanged.

    Smoothed curves are drawn from these, because lows and highs do not tell where most values lie.

    Example:
        >>> [mean["loss"] for mean in means([{"step": 1, "loss": 3.0, "mean": {"step": 1.5, "loss": 2.0}}])]
        [2.0]
    """
    averages = [record.get("mean", record) for record in records]
    return sorted((mean for mean in averages if mean), key=lambda mean: float(mean["step"]))


class _Stretches:
    """The extremes of stretches of `span` records each; the span doubles whenever `limit` is reached."""

    def __init__(self, limit: int) -> None:
        self._limit = limit
        self._span = 1
        self._count = 0  # records in the pending stretch
        self._done: list[Record] = []
        self._pending: list[Record] = []
        self._parts: list[Record] = []  # the same stretch for its mean: records, or means of groups of them

    def add(self, record: Record) -> None:
        self._pending.append(record)
        self._parts.append(record)
        self._count += 1
        if len(self._pending) > _PENDING:
            self._pending, self._parts = _extremes(self._pending), [_mean(self._parts)]
        if self._count < self._span:
            return
        each = 2 * _width(record)
        self._done += _with_mean(_extremes(self._pending), _mean(self._parts))
        self._pending, self._parts, self._count = [], [], 0
        if len(self._done) > self._limit - _PENDING // 2 - each:
            first, rest = self._done[:1], self._done[1:]
            pairs = [rest[at : at + 2 * each] for at in range(0, len(rest), 2 * each)]
            self._done = first + [kept for pair in pairs for kept in _with_mean(_extremes(pair), _mean(means(pair)))]
            self._span = 2 * self._span if self._span > 1 else 2 * each

    def forget_from(self, step: int) -> None:
        self._done = [_without_mean_from(record, step) for record in self._done if record["step"] < step]
        self._pending = [record for record in self._pending if record["step"] < step]
        self._parts = [part for part in self._parts if _last(part) < step]

    def all(self) -> list[Record]:
        return [*self._done, *_with_mean(_extremes(self._pending), _mean(self._parts))]


def _width(record: Record) -> int:
    return max(1, len(record.get("modalities", {})))


def _extremes(records: Sequence[Record]) -> list[Record]:
    """Return the records with the lowest and the highest loss of every modality, in their order."""
    if len(records) <= 2:
        return list(records)
    chosen: set[int] = set()
    for modality in records[-1].get("modalities", {}) or [""]:
        values = [_loss(record, modality) for record in records]
        chosen |= {values.index(min(values)), values.index(max(values))}
    return [records[index] for index in sorted(chosen)]


def _loss(record: Record, modality: str) -> float:
    value = record.get("modalities", {}).get(modality, {}).get("loss", record.get("loss"))
    return math.inf if value is None else float(value)  # a loss that is not finite counts as the highest


def _with_mean(kept: list[Record], mean: Record) -> list[Record]:
    """Attach the mean of a stretch to the first of its kept records."""
    if mean.get("count", 1) == len(kept) == 1:
        return kept
    return [record | {"mean": mean or None if index == 0 else None} for index, record in enumerate(kept)]


def _without_mean_from(record: Record, step: int) -> Record:
    """Remove the mean of a record if it includes a step from `step` on; the record then stands for itself."""
    lost = record.get("mean") and record["mean"]["last"] >= step
    return {name: value for name, value in record.items() if name != "mean"} if lost else record


def _last(part: Record) -> int:
    """Return the newest step that a record or a mean includes."""
    return int(part["last"] if "last" in part else part["step"])


def _mean(parts: Sequence[Record]) -> Record:
    """Average records and means, weighted by the number of records each includes; None is left out."""
    if not parts:
        return {}

    def over(pick: Callable[[Record], float | None]) -> float | None:
        weighted = [(value, part.get("count", 1)) for part in parts if (value := pick(part)) is not None]
        return sum(value * count for value, count in weighted) / sum(n for _, n in weighted) if weighted else None

    return {
        "count": sum(part.get("count", 1) for part in parts),
        "last": max(_last(part) for part in parts),
        "step": over(lambda part: part["step"]),
        "seconds": over(lambda part: part.get("seconds")),
        "loss": over(lambda part: part.get("loss")),
        "modalities": {
            name: {
                key: over(lambda part, name=name, key=key: part["modalities"].get(name, {}).get(key))  # type: ignore[misc]
                for key in ("loss", "accuracy")
            }
            for name in parts[-1]["modalities"]
        },
    }
