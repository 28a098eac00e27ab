"""Records in bounded room: what a long run's curve keeps."""

from __future__ import annotations

import math
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st

from cpc_engine.runs.live import LIVE, LiveRecords


def record(step: int, audio: float | None, image: float | None = None, measured: bool = False) -> dict[str, Any]:
    modalities = {"audio": {"loss": audio}} | ({} if image is None else {"image": {"loss": image}})
    return {"step": step, "loss": audio, "modalities": modalities} | ({"geometry": {"spread": 1.0}} if measured else {})


def steps(kept: LiveRecords) -> list[int]:
    return [one["step"] for one in kept.all()]


@settings(deadline=None, max_examples=30)
@given(st.lists(st.tuples(st.floats(-1e6, 1e6), st.floats(-1e6, 1e6)), min_size=1, max_size=2500), st.integers(1, 40))
def test_it_stays_small_in_order_and_keeps_extremes_ends_and_newest(
    values: list[tuple[float, float]], every: int
) -> None:
    rows = [record(i + 1, a, b, measured=(i + 1) % every == 0) for i, (a, b) in enumerate(values)]
    kept = LiveRecords(rows)
    shown = kept.all()
    assert len(shown) <= LIVE
    assert steps(kept) == sorted(set(steps(kept)))
    assert shown[0]["step"] <= max(every, 8)
    assert list(shown[-40:]) == rows[-40:]
    for modality in ("audio", "image"):
        losses = [one["modalities"][modality]["loss"] for one in rows]
        left = [one["modalities"][modality]["loss"] for one in shown]
        assert (min(left), max(left)) == (min(losses), max(losses))


def test_a_short_run_is_whole() -> None:
    rows = [record(i, 1.0) for i in range(1, 150)]
    assert list(LiveRecords(rows).all()) == rows


def test_a_broken_number_survives_any_length() -> None:
    kept = LiveRecords(record(i, None if i == 500 else math.sin(i)) for i in range(1, 20_001))
    assert 500 in steps(kept)


def test_the_long_past_is_covered_evenly_enough() -> None:
    kept = LiveRecords(record(i, math.sin(i * i)) for i in range(1, 100_001))
    gaps = [b - a for a, b in zip(steps(kept), steps(kept)[1:], strict=False)]
    assert max(gaps) < 100_000 / 20


def test_steps_that_are_made_again_replace_the_lost_ones() -> None:
    kept = LiveRecords(record(i, 1.0) for i in range(1, 11))
    kept.add(record(8, 2.0))
    assert steps(kept) == list(range(1, 9))
    assert kept.all()[-1]["loss"] == 2.0
