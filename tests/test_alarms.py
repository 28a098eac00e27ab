"""Alarms ring when they should, and only then."""

from __future__ import annotations

from typing import Any

import pytest

from cpc_engine import RunConfig
from cpc_engine.evaluation.alarms import DEAD_STEPS, WITHOUT, alarms
from ui.palette import SOURCES


def record(share: float = 0.4, spread: float = 0.9, loss: float | None = 1.0, queue: int = 0) -> dict[str, Any]:
    sources = {"in_batch": {"share": 1 - share, "count": 9}, "perturbed": {"share": share, "count": 9}}
    part = {"sources": sources, "queue": queue, "latents_per_item": 4}
    return {"loss": loss, "modalities": {"audio": part}, "geometry": {"spread": spread}}


def kinds(records: list[dict[str, Any]]) -> set[str]:
    return {alarm.kind for alarm in alarms(records, train_items=10)}


def test_a_healthy_run_is_silent() -> None:
    assert kinds([record()] * 40) == set()
    assert kinds([]) == set()


def test_collapse_divergence_and_a_queue_as_deep_as_the_data() -> None:
    assert kinds([record(spread=0.05)]) == {"collapse"}
    assert kinds([record(loss=None)]) == {"diverged"}
    assert kinds([record(queue=40)]) == {"queue_depth"}
    assert kinds([record(queue=39)]) == set()


def test_a_source_is_dead_only_after_a_while() -> None:
    assert kinds([record(share=0.001)] * DEAD_STEPS) == {"dead_source"}
    assert kinds([record(share=0.001)] * (DEAD_STEPS - 1)) == set()
    assert kinds([record(share=0.001)] * DEAD_STEPS + [record()]) == set()


@pytest.mark.parametrize(
    ("records", "changes"),
    [
        ([record(queue=40)], {"sampler.queue_size": 20}),
        ([record(share=0.001)] * DEAD_STEPS, {"sampler.perturbed": False}),
        ([record(spread=0.05)], {}),
    ],
)
def test_advice_comes_with_knobs_that_follow_it(records: list[dict[str, Any]], changes: dict[str, Any]) -> None:
    [alarm] = alarms(records, train_items=10)
    assert alarm.changes == changes
    RunConfig().replace(alarm.changes)


def test_a_collapse_beside_a_queue_asks_for_slow_keys() -> None:
    collapsed = record(spread=0.05)
    collapsed["modalities"]["audio"]["sources"]["queue"] = {"share": 0.5, "count": 9}
    [alarm] = alarms([collapsed], train_items=10)
    assert alarm.changes == {"sampler.key_momentum": 0.98}


def test_every_source_but_the_batch_can_be_switched_off() -> None:
    assert set(WITHOUT) == set(SOURCES) - {"in_batch"}
    for changes in WITHOUT.values():
        RunConfig().replace(changes)
