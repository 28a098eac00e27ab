"""Tests of the thinning of a long run's records."""

from __future__ import annotations

import math
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from cpc_engine.storage.thinning import LIVE, ThinnedRecords, means


def record(step: int, audio: float | None, image: float | None = None, with_geometry: bool = False) -> dict[str, Any]:
    modalities = {"audio": {"loss": audio}} | ({} if image is None else {"image": {"loss": image}})
    return {"step": step, "loss": audio, "modalities": modalities} | (
        {"geometry": {"spread": 1.0}} if with_geometry else {}
    )


def steps(kept: ThinnedRecords) -> list[int]:
    return [row["step"] for row in kept.all()]


@settings(max_examples=30)
@given(st.lists(st.tuples(st.floats(-1e6, 1e6), st.floats(-1e6, 1e6)), min_size=1, max_size=2500), st.integers(1, 40))
def test_records_stay_few_and_ordered_and_keep_extremes_and_newest(
    values: list[tuple[float, float]], every: int
) -> None:
    rows = [record(i + 1, a, b, with_geometry=(i + 1) % every == 0) for i, (a, b) in enumerate(values)]
    kept = ThinnedRecords(rows)
    shown = kept.all()
    assert len(shown) <= LIVE
    assert steps(kept) == sorted(set(steps(kept)))
    assert shown[0]["step"] <= max(every, 8)
    assert list(shown[-40:]) == rows[-40:]
    for modality in ("audio", "image"):
        losses = [row["modalities"][modality]["loss"] for row in rows]
        kept_losses = [row["modalities"][modality]["loss"] for row in shown]
        assert (min(kept_losses), max(kept_losses)) == (min(losses), max(losses))


def test_a_short_run_keeps_every_record() -> None:
    rows = [record(i, 1.0) for i in range(1, 150)]
    assert list(ThinnedRecords(rows).all()) == rows


def test_a_loss_that_is_not_finite_is_kept_at_any_length() -> None:
    kept = ThinnedRecords(record(i, None if i == 500 else math.sin(i)) for i in range(1, 20_001))
    assert 500 in steps(kept)


def test_old_steps_are_covered_without_large_gaps() -> None:
    kept = ThinnedRecords(record(i, math.sin(i * i)) for i in range(1, 100_001))
    gaps = [b - a for a, b in zip(steps(kept), steps(kept)[1:], strict=False)]
    assert max(gaps) < 100_000 / 20


def test_repeated_steps_replace_the_lost_ones() -> None:
    kept = ThinnedRecords(record(i, 1.0) for i in range(1, 11))
    kept.add(record(8, 2.0))
    assert steps(kept) == list(range(1, 9))
    assert kept.all()[-1]["loss"] == 2.0


@settings(max_examples=30)
@given(st.lists(st.floats(-1e3, 1e3), min_size=1, max_size=2500), st.integers(1, 40))
def test_means_count_every_step_once(values: list[float], every: int) -> None:
    kept = ThinnedRecords(
        record(i + 1, value, -value, with_geometry=(i + 1) % every == 0) for i, value in enumerate(values)
    )
    averages = means(kept.all())
    counts = [mean.get("count", 1) for mean in averages]
    assert sum(counts) == len(values)
    for read, sign in ((lambda mean: mean["loss"], 1), (lambda mean: mean["modalities"]["image"]["loss"], -1)):
        total = sum(read(mean) * count for mean, count in zip(averages, counts, strict=True))
        assert total == pytest.approx(sign * sum(values), abs=1e-6 * len(values))


def test_means_of_skewed_values_are_not_drawn_to_their_spikes() -> None:
    shown = ThinnedRecords(record(i, 100.0 if i % 500 == 0 else 1.0) for i in range(1, 20_001)).all()
    older = [mean["loss"] for mean in means(shown)[:-40]]
    assert sum(older) / len(older) < 3 < sum(row["loss"] for row in shown) / len(shown)


def test_the_mean_of_lost_steps_is_lost_with_them() -> None:
    kept = ThinnedRecords(record(i, 1.0 if i <= 1500 else 50.0) for i in range(1, 3001))
    kept.add(record(1501, 1.0))
    assert {mean["loss"] for mean in means(kept.all())} == {1.0}
