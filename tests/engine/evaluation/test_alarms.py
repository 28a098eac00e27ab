"""Tests of the training alarms: each is raised under its condition, and only then."""

from __future__ import annotations

from typing import Any

import pytest

from cpc_engine import RunConfig
from cpc_engine.evaluation.alarms import DEAD_STEPS, alarms


def record(share: float = 0.4, spread: float = 0.9, loss: float | None = 1.0, queue: int = 0) -> dict[str, Any]:
    sources = {"in_batch": {"share": 1 - share, "count": 9}, "perturbed": {"share": share, "count": 9}}
    part = {"sources": sources, "queue": queue, "latents_per_item": 4}
    return {"loss": loss, "modalities": {"audio": part}, "geometry": {"spread": spread}}


def kinds(records: list[dict[str, Any]]) -> set[str]:
    return {alarm.kind for alarm in alarms(records, train_items=10)}


def test_healthy_run_raises_no_alarm() -> None:
    assert kinds([record()] * 40) == set()
    assert kinds([]) == set()


def test_collapse_divergence_and_queue_as_large_as_the_data() -> None:
    assert kinds([record(spread=0.05)]) == {"collapse"}
    assert kinds([record(loss=None)]) == {"diverged"}
    assert kinds([record(queue=40)]) == {"queue_depth"}
    assert kinds([record(queue=39)]) == set()


def test_source_is_dead_only_after_enough_records() -> None:
    assert kinds([record(share=0.001)] * DEAD_STEPS) == {"dead_source"}
    assert kinds([record(share=0.001)] * (DEAD_STEPS - 1)) == set()
    assert kinds([record(share=0.001)] * DEAD_STEPS + [record()]) == set()


def test_a_source_of_easy_negatives_that_hardness_weights_draw_nearer_is_not_dead() -> None:
    assert kinds([record(share=-0.2)] * DEAD_STEPS) == set()


def test_without_any_gradient_the_sources_are_not_blamed_one_by_one() -> None:
    still = record()
    still["modalities"]["audio"]["sources"] = {name: {"share": 0.0, "count": 9} for name in ("in_batch", "perturbed")}
    assert kinds([still] * DEAD_STEPS) == {"no_gradient"}


@pytest.mark.parametrize(
    ("records", "changes"),
    [
        ([record(queue=40)], {"sampler.queue_size": 20}),
        ([record(share=0.001)] * DEAD_STEPS, {"sampler.perturbed": False}),
        ([record(spread=0.05)], {}),
    ],
)
def test_advice_comes_with_valid_settings(records: list[dict[str, Any]], changes: dict[str, Any]) -> None:
    [alarm] = alarms(records, train_items=10)
    assert alarm.changes == changes
    RunConfig().replace(alarm.changes)


def test_collapse_with_a_queue_suggests_a_momentum_encoder() -> None:
    collapsed = record(spread=0.05)
    collapsed["modalities"]["audio"]["sources"]["queue"] = {"share": 0.5, "count": 9}
    [alarm] = alarms([collapsed], train_items=10)
    assert alarm.changes == {"sampler.key_momentum": 0.98}
