"""Records of a long run in bounded room, for curves: lows and highs stay, and the newest steps."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from typing import Any

Record = dict[str, Any]

LIVE = 320  # records that a page is shown of a run that goes on, at most
STORED = 4000  # of a run that lies on disk
_NEWEST = 40  # records that are never thinned: speed and alarms look at them
_PENDING = 64  # records of an unfinished stretch before it is thinned on the way


class LiveRecords:
    """The records of a run, at most `limit` of them; adding one is cheap on average.

    Older records stand for stretches of equal length, each with the lowest and the highest loss of every modality.
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


class _Stretches:
    """Records as extremes of stretches of `span` records each; the span doubles whenever `limit` is reached."""

    def __init__(self, limit: int) -> None:
        self._limit = limit
        self._span = 1
        self._count = 0  # records in the pending stretch
        self._done: list[Record] = []
        self._pending: list[Record] = []

    def add(self, record: Record) -> None:
        self._pending.append(record)
        self._count += 1
        if len(self._pending) > _PENDING:
            self._pending = _extremes(self._pending)
        if self._count < self._span:
            return
        each = 2 * _width(record)
        self._done += _extremes(self._pending)
        self._pending, self._count = [], 0
        if len(self._done) > self._limit - _PENDING // 2 - each:
            first, rest = self._done[:1], self._done[1:]
            pairs = [rest[at : at + 2 * each] for at in range(0, len(rest), 2 * each)]
            self._done = first + [kept for pair in pairs for kept in _extremes(pair)]
            self._span = 2 * self._span if self._span > 1 else 2 * each

    def forget_from(self, step: int) -> None:
        self._done = [record for record in self._done if record["step"] < step]
        self._pending = [record for record in self._pending if record["step"] < step]

    def all(self) -> list[Record]:
        return [*self._done, *_extremes(self._pending)]


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
