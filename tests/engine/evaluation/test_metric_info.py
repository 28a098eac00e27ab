"""Tests that every metric has a title and a direction."""

from __future__ import annotations

from cpc_engine.evaluation.metric_info import METRICS, describe_metric


def test_every_metric_of_the_engine_is_described() -> None:
    for name in METRICS:
        assert describe_metric(name).title
    assert describe_metric("audio.alignment_2").title == "Alignment, k = 2 (audio)"
    assert describe_metric("probe.audio.mean_context").title == "Linear probe: mean context (audio)"
    assert describe_metric("probe.mean_context").better == "higher"
    assert describe_metric("of_tomorrow").better == "neither"


def test_curves_and_arrows_are_described_with_the_metric() -> None:
    curves = {name: (metric.curve, metric.arrow) for name, metric in METRICS.items() if metric.curve}
    assert curves == {
        "loss": ("training", ""),
        "accuracy": ("training", ""),
        "alignment": ("held_out", "↓"),
        "uniformity": ("held_out", "↓"),
        "effective_rank": ("held_out", "↑"),
        "modality_gap": ("held_out", "↓"),
        "retrieval_class": ("held_out", "↑"),
        "retrieval_class_reverse": ("held_out", "↑"),
    }
