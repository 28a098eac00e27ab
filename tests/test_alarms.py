"""Alarms ring when they should, and only then."""

from __future__ import annotations

from typing import Any

from cpc_engine.evaluation.alarms import DEAD_STEPS, alarms


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
