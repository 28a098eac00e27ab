"""Records of a long run in bounded room, for curves: lows, highs and means stay, and the newest steps."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Sequence
from typing import Any

Record = dict[str, Any]

LIVE = 320  # records that a page is shown of a run that goes on, at most
STORED = 4000  # of a run that lies on disk
_NEWEST = 40  # records that are never thinned: speed and alarms look at them
_PENDING = 64  # records of an unfinished stretch before it is thinned on the way


class LiveRecords:
    """The records of a run, at most `limit` of them; adding one is cheap on average.

    Older records stand for stretches of equal length, each with the lowest and the highest loss of every modality.
    The first record kept of a stretch also has its "mean" (see `means`), the others None there.
    Measured ones are thinned among themselves, to a quarter of the room.
    """

    def __init__(self, records: Iterable[Record] = (), limit: int = LIVE) -> None:
        self._newest: list[Record] = []
        self._measured = _Stretches(limit // 4)
        self._plain = _Stretches(limit - limit // 4 - _NEWEST)
        for record in records:
            self.add(record)

    def add(self, record: Record) -> None:
        """Append a record; those of its step and of later ones are made again by a resumed run, and go."""
        if self._newest and self._newest[-1]["step"] >= record["step"]:
            self._newest = [old for old in self._newest if old["step"] < record["step"]]
            for stretches in (self._measured, self._plain):
                stretches.forget_from(record["step"])
        self._newest.append(record)
        if len(self._newest) > _NEWEST:
            old = self._newest.pop(0)
            (self._measured if old.get("geometry") else self._plain).add(old)

    def all(self) -> tuple[Record, ...]:
        """Oldest first."""
        older = [*self._measured.all(), *self._plain.all()]
        return (*sorted(older, key=lambda record: int(record["step"])), *self._newest)


def means(records: Iterable[Record]) -> list[Record]:
    """One record for each stretch, with the mean of its steps, losses and accuracies; whole records as they are.

    Lows and highs say nothing of where the values lie, so a smoothed line is drawn from these.
    """
    found = [record.get("mean", record) for record in records]
    return sorted((one for one in found if one), key=lambda one: float(one["step"]))


class _Stretches:
    """Records as extremes of stretches of `span` records each; the span doubles whenever `limit` is reached."""

    def __init__(self, limit: int) -> None:
        self._limit = limit
        self._span = 1
        self._count = 0  # records in the pending stretch
        self._done: list[Record] = []
        self._pending: list[Record] = []
        self._parts: list[Record] = []  # the pending stretch again, for its mean: records, or means of some of them

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
            self._done = first + [one for pair in pairs for one in _with_mean(_extremes(pair), _mean(means(pair)))]
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
    """The lowest and the highest loss of every modality, in their order."""
    if len(records) <= 2:
        return list(records)
    chosen: set[int] = set()
    for modality in records[-1].get("modalities", {}) or [""]:
        values = [_loss(record, modality) for record in records]
        chosen |= {values.index(min(values)), values.index(max(values))}
    return [records[index] for index in sorted(chosen)]


def _loss(record: Record, modality: str) -> float:
    value = record.get("modalities", {}).get(modality, {}).get("loss", record.get("loss"))
    return math.inf if value is None else float(value)  # a broken number is the highest of all


def _with_mean(kept: list[Record], mean: Record) -> list[Record]:
    """The kept records of a stretch; its mean goes with the first of them."""
    if mean.get("count", 1) == len(kept) == 1:
        return kept
    return [record | {"mean": mean or None if index == 0 else None} for index, record in enumerate(kept)]


def _without_mean_from(record: Record, step: int) -> Record:
    """A mean that counts lost steps goes with them; the record then stands for itself."""
    lost = record.get("mean") and record["mean"]["last"] >= step
    return {name: value for name, value in record.items() if name != "mean"} if lost else record


def _last(part: Record) -> int:
    """The newest step that a record or a mean stands for."""
    return int(part["last"] if "last" in part else part["step"])


def _mean(parts: Sequence[Record]) -> Record:
    """The mean of records and of means, by how many records each stands for; a broken number does not count."""
    if not parts:
        return {}

    def over(pick: Callable[[Record], float | None]) -> float | None:
        found = [(value, part.get("count", 1)) for part in parts if (value := pick(part)) is not None]
        return sum(value * count for value, count in found) / sum(count for _, count in found) if found else None

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
