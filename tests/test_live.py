"""Records in bounded room: what a long run's curve keeps."""

from __future__ import annotations

import math
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from cpc_engine.runs.live import LIVE, LiveRecords, means


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


@settings(deadline=None, max_examples=30)
@given(st.lists(st.floats(-1e3, 1e3), min_size=1, max_size=2500), st.integers(1, 40))
def test_means_count_every_step_once(values: list[float], every: int) -> None:
    kept = LiveRecords(record(i + 1, one, -one, measured=(i + 1) % every == 0) for i, one in enumerate(values))
    found = means(kept.all())
    counts = [one.get("count", 1) for one in found]
    assert sum(counts) == len(values)
    for read, sign in ((lambda one: one["loss"], 1), (lambda one: one["modalities"]["image"]["loss"], -1)):
        total = sum(read(one) * count for one, count in zip(found, counts, strict=True))
        assert total == pytest.approx(sign * sum(values), abs=1e-6 * len(values))


def test_a_smoothed_line_of_lopsided_values_is_not_pulled_to_their_spikes() -> None:
    shown = LiveRecords(record(i, 100.0 if i % 500 == 0 else 1.0) for i in range(1, 20_001)).all()
    older = [one["loss"] for one in means(shown)[:-40]]
    assert sum(older) / len(older) < 3 < sum(one["loss"] for one in shown) / len(shown)


def test_the_mean_of_lost_steps_is_lost_with_them() -> None:
    kept = LiveRecords(record(i, 1.0 if i <= 1500 else 50.0) for i in range(1, 3001))
    kept.add(record(1501, 1.0))
    assert {one["loss"] for one in means(kept.all())} == {1.0}
