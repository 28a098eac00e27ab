"""Two runs side by side: what the first looks wait for."""

from __future__ import annotations

import time
from dataclasses import dataclass, field
from typing import Any

import pytest

from ui.components.beside import two_runs


@dataclass
class Progress:
    id: str
    status: str = "running"
    records: list[dict[str, Any]] = field(default_factory=list)


class Manager:
    """One whose runs have their first records after so many questions; None: they end without."""

    def __init__(self, after: dict[str, int | None]) -> None:
        self.after, self.asked = after, 0

    def progress_of(self, run: str) -> Progress:
        self.asked += 1
        after = self.after[run]
        if after is None:
            return Progress(run, "failed")
        return Progress(run, records=[{"step": 1}] if self.asked > after else [])


@pytest.mark.parametrize(
    ("after", "waits"),
    [
        ({"a": 0, "b": 0}, False),
        ({"a": 6, "b": 12}, False),
        ({"a": None, "b": 8}, False),  # one that has ended is not waited for
        ({"a": 0, "b": 1_000_000}, True),
    ],
)
def test_a_look_waits_for_the_first_records_but_not_for_long(
    monkeypatch: pytest.MonkeyPatch, after: dict[str, int | None], waits: bool
) -> None:
    manager = Manager(after)
    monkeypatch.setattr(two_runs, "manager", lambda: manager)
    monkeypatch.setattr(two_runs, "WAIT", 0.3 if waits else 100.0)
    began = time.monotonic()
    found = two_runs._first_records(["a", "b"])
    assert [run.id for run in found] == ["a", "b"]
    assert all(run.records or run.status == "failed" for run in found) != waits
    assert (time.monotonic() - began >= 0.3) == waits
