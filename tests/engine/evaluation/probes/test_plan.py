"""Progress by cost, with a clock of our own."""

from __future__ import annotations

import pytest

from cpc_engine.evaluation.probes import plan as module
from cpc_engine.evaluation.probes.plan import Part, Plan


def test_the_share_is_one_of_time_once_each_kind_was_measured(monkeypatch: pytest.MonkeyPatch) -> None:
    now = 0.0
    monkeypatch.setattr(module.time, "perf_counter", lambda: now)
    lines: list[tuple[str, float]] = []
    parts = [Part("a", "embedding", 1), Part("p", "probe", 1), Part("b", "embedding", 3), Part("q", "probe", 2)]
    seconds = [10.0, 2.0, 30.0, 4.0]  # ten and two times the guesses
    plan = Plan(parts, lambda text, share: lines.append((text, share)))
    for took in seconds:
        with plan.next() as inside:
            now += took / 2
            inside(0.5)
            now += took / 2
    assert [text for text, _ in lines] == [part.text for part in parts for _ in range(3)]
    shares = [share for _, share in lines]
    assert shares == sorted(shares)
    assert shares[5] == pytest.approx(12 / 46)  # after the first of each kind
    assert shares[7] == pytest.approx(27 / 46)  # half of the long part
    assert shares[-1] == 1


def test_a_guess_that_was_too_short_is_corrected_and_the_share_never_falls(monkeypatch: pytest.MonkeyPatch) -> None:
    now = 0.0
    monkeypatch.setattr(module.time, "perf_counter", lambda: now)
    shares: list[float] = []
    plan = Plan([Part("a", "probe", 1), Part("b", "probe", 9)], lambda text, share: shares.append(share))
    with plan.next():
        now += 5
    assert shares[-1] == pytest.approx(0.1)
    with plan.next() as inside:
        inside(0.9)  # at once; then it takes long
        now += 500
        inside(0.91)
    assert shares == sorted(shares)
