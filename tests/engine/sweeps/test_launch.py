"""Workers of a sweep as processes: one that is killed is replaced, whenever that is seen."""

from __future__ import annotations

from pathlib import Path

import pytest

from cpc_engine.errors import RunError
from cpc_engine.sweeps import launch


class Process:
    """A process that answers each look at it with the next of some codes, and stays at the last."""

    def __init__(self, *codes: int | None) -> None:
        self._codes = list(codes)
        self.returncode: int | None = None
        self._read = False

    def poll(self) -> int | None:
        self.returncode = self._codes.pop(0) if len(self._codes) > 1 else self._codes[0]
        return self.returncode

    def communicate(self) -> tuple[str, str]:
        assert not self._read, "what it wrote can be read once"
        self._read = True
        return "", ""

    def terminate(self) -> None:
        pass


@pytest.fixture
def processes(monkeypatch: pytest.MonkeyPatch) -> list[Process]:
    """Those that are started, one after the other."""
    begun: list[Process] = []
    monkeypatch.setattr(launch, "_start", lambda job: begun.pop(0))
    return begun


def work(tmp_path: Path, workers: int) -> None:
    launch.run_workers("sqlite://", "s", tmp_path, workers, every=0.0)


@pytest.mark.parametrize("looks", range(6))
def test_the_only_worker_is_replaced_whenever_it_is_killed(
    tmp_path: Path, processes: list[Process], looks: int
) -> None:
    processes += [Process(*[None] * looks, -9), Process(None, 0)]
    work(tmp_path, 1)
    assert processes == [], "a second one was started"


def test_workers_that_are_killed_again_and_again_end_the_sweep(tmp_path: Path, processes: list[Process]) -> None:
    processes += [Process(*[None] * 20, 0), *(Process(None, -9) for _ in range(1 + launch.REPLACED))]
    with pytest.raises(RunError, match="it was killed"):
        work(tmp_path, 2)
    assert processes == []
