"""Tests of the training alarms: each is raised under its condition, and only then."""

from __future__ import annotations

from typing import Any

import pytest

from cpc_engine import RunConfig
from cpc_engine.evaluation.alarms import DEAD_STEPS, alarms


def source(share: float, false_negatives: float = 0.25, false_mass: float = 0.3) -> dict[str, float]:
    return {"share": share, "count": 9, "false_negatives": false_negatives, "false_mass": false_mass}


def record(share: float = 0.4, spread: float = 0.9, loss: float | None = 1.0, queue: int = 0) -> dict[str, Any]:
    sources = {"in_batch": source(1 - share), "perturbed": source(share)}
    part = {"sources": sources, "queue": queue, "latents_per_item": 4}
    return {"step": 1, "loss": loss, "modalities": {"audio": part}, "geometry": {"spread": spread}}


def kinds(records: list[dict[str, Any]]) -> set[str]:
    return {alarm.kind for alarm in alarms(records, 10, RunConfig())}


def test_healthy_run_raises_no_alarm() -> None:
    assert kinds([record()] * 40) == set()
    assert kinds([]) == set()


def test_collapse_divergence_and_queue_as_large_as_the_data() -> None:
    assert kinds([record(spread=0.05)]) == {"collapse"}
    assert kinds([record(loss=None)]) == {"diverged"}
    assert kinds([record(queue=40)]) == {"queue_depth"}
    assert kinds([record(queue=39)]) == set()


@pytest.mark.parametrize(
    ("spreads", "since"),
    [
        ({10: 0.9, 20: 0.2, 30: 0.1}, 20),
        ({10: 0.1, 20: 0.1}, 10),
        ({10: 0.2, 20: 0.9, 30: 0.25, 40: 0.1}, 30),  # fell, recovered, and fell again
        ({10: 0.2, 20: 0.3, 30: 0.2}, 30),  # on the threshold it has recovered
        ({10: 0.2, 20: None, 30: 0.1}, 10),  # nothing was measured in between
        ({10: 0.9, 20: None, 30: 0.1, 40: None}, 30),
    ],
)
@pytest.mark.parametrize("several", [False, True])
def test_a_collapse_is_told_with_the_step_since_which_it_lasts(
    spreads: dict[int, float | None], since: int, several: bool
) -> None:
    records = []
    for step, spread in spreads.items():
        measured = record() | {"step": step, "geometry": None if spread is None else {"spread": spread}}
        if several:
            measured["modalities"] = dict.fromkeys(("audio", "image"), measured["modalities"]["audio"])
            measured["geometry"] = spread and {"audio.spread": spread, "image.spread": 0.9}
        records.append(measured)
    [alarm] = alarms(records, 10, RunConfig())
    now = [spread for spread in spreads.values() if spread is not None][-1]
    assert (alarm.kind, alarm.where) == ("collapse", "audio")
    assert alarm.message == (
        f"The audio latents have collapsed: their spread has been below 0.3 since step {since} and is {now:.2f} now "
        "(an even sphere has 1)."
    )


def test_a_collapse_that_is_over_is_not_told() -> None:
    assert kinds([record(spread=0.1) | {"step": 10}, record(spread=0.9) | {"step": 20}]) == set()


def test_noise_that_leaves_copies_and_a_queue_that_has_drifted() -> None:
    def found(config: dict[str, Any], drift: float = 0.6, queue: bool = True) -> list[tuple[str, str, dict[str, Any]]]:
        some = record()
        some["geometry"]["queue_drift"] = drift
        if queue:
            some["modalities"]["audio"]["sources"]["queue"] = source(0.2)
        raised = alarms([some], 10, RunConfig().replace({"sampler.perturbed": True, **config}))
        return [(alarm.kind, alarm.where, alarm.changes) for alarm in raised]

    assert found({"sampler.sigma": 0.3}) == []
    copies = ("noise", "audio perturbed", {"sampler.sigma": 0.5})
    assert found({"sampler.sigma": 0.04}) == [copies], "1/√(1 + 64 · 0.04²) = 0.952"
    assert found({"sampler.sigma": 0.05}) == [], "0.928"
    drifted = ("drift", "audio", {"sampler.key_momentum": 0.98})
    assert found({}, drift=0.29) == [drifted]
    assert found({}, drift=0.31) == []
    assert found({"sampler.key_momentum": 0.9}, drift=0.29) == [("drift", "audio", {})]
    assert found({}, drift=0.29, queue=False) == [], "the queue was switched off on the way"


@pytest.mark.parametrize("similarity", ["cosine", "dot"])
@pytest.mark.parametrize("sigma", [0.001, 0.01, 0.04])
def test_the_advice_on_noise_ends_the_alarm(similarity: str, sigma: float) -> None:
    own = {"sampler.perturbed": True, "loss.similarity": similarity, "context.latent_norm": similarity == "dot"}
    config = RunConfig().replace({**own, "sampler.sigma": sigma})
    [alarm] = alarms([record()], 10, config)
    assert alarm.kind == "noise"
    assert alarms([record()], 10, config.replace(alarm.changes)) == []


def test_recordings_of_unknown_length_are_not_said_to_be_in_the_queue() -> None:
    """Of recordings in folders each step reads another stretch, so the number of items says nothing of the latents."""
    for dataset, expected in (("tones", ["queue_depth"]), ("audio_folder", []), ("image_folder", ["queue_depth"])):
        modality = "image" if dataset == "image_folder" else "audio"
        some = record(queue=40)
        some["modalities"] = {modality: some["modalities"]["audio"]}
        raised = alarms([some], 10, RunConfig().replace({"data.dataset": dataset}))
        assert [alarm.kind for alarm in raised] == expected


def test_source_is_dead_only_after_enough_records() -> None:
    assert kinds([record(share=0.001)] * DEAD_STEPS) == {"dead_source"}
    assert kinds([record(share=0.001)] * (DEAD_STEPS - 1)) == set()
    assert kinds([record(share=0.001)] * DEAD_STEPS + [record()]) == set()


def test_a_source_of_easy_negatives_that_hardness_weights_draw_nearer_is_not_dead() -> None:
    assert kinds([record(share=-0.2)] * DEAD_STEPS) == set()


def test_without_any_gradient_the_sources_are_not_blamed_one_by_one() -> None:
    still = record()
    still["modalities"]["audio"]["sources"] = {name: source(0.0) for name in ("in_batch", "perturbed")}
    assert kinds([still] * DEAD_STEPS) == {"no_gradient"}


def test_false_negatives_count_beyond_what_chance_gives() -> None:
    def found(false_negatives: float, false_mass: float, share: float = 0.6, records: int = DEAD_STEPS) -> set[str]:
        some = record()
        some["modalities"]["audio"]["sources"]["in_batch"] = source(share, false_negatives, false_mass)
        return kinds([some] * records)

    assert found(0.1, 0.995) == {"false_negatives"}, "as in a run whose accuracy fell to 0.2 %"
    assert found(0.1, 0.56) == {"false_negatives"}
    assert found(0.1, 0.54) == set()
    assert found(0.5, 0.7) == set(), "of two classes half of the negatives are of the anchor's"
    assert found(1.0, 1.0) == set(), "one class says nothing"
    assert found(0.1, 0.995, share=0.05) == set()
    assert found(0.1, 0.995, records=DEAD_STEPS - 1) == set()


@pytest.mark.parametrize(
    ("records", "changes"),
    [
        ([record(queue=40)], {"sampler.queue_size": 20}),
        ([record(share=0.001)] * DEAD_STEPS, {"sampler.perturbed": False}),
        ([record(spread=0.05)], {}),
        (
            [
                {
                    **record(),
                    "modalities": {
                        "audio": {"sources": {"in_batch": source(1, 0.1, 0.9)}, "queue": 0, "latents_per_item": 4}
                    },
                }
            ]
            * DEAD_STEPS,
            {"sampler.same_item": False},
        ),
    ],
)
def test_advice_comes_with_valid_settings(records: list[dict[str, Any]], changes: dict[str, Any]) -> None:
    [alarm] = alarms(records, 10, RunConfig())
    assert alarm.changes == changes
    RunConfig().replace(alarm.changes)


def test_collapse_with_a_queue_suggests_a_momentum_encoder() -> None:
    collapsed = record(spread=0.05)
    collapsed["modalities"]["audio"]["sources"]["queue"] = source(0.5)
    [alarm] = alarms([collapsed], 10, RunConfig())
    assert alarm.changes == {"sampler.key_momentum": 0.98}


_OTHERS = {"sampler.same_item": False, "sampler.same_class": False}


@pytest.mark.parametrize(
    ("name", "settings", "advice", "changes"),
    [
        (
            "in_batch",
            {},
            "Take negatives from other items only (sampler.same_item), leave out those of the same class "
            "(sampler.same_class; uses labels), or subtract false ones (sampler.class_prior).",
            {"sampler.same_item": False},
        ),
        ("in_batch", _OTHERS, "Subtract false ones (sampler.class_prior).", {}),
        ("queue", {**_OTHERS, "sampler.class_prior": 0.1}, "Raise sampler.class_prior.", {}),
        (
            "perturbed",
            _OTHERS,
            "Subtract false ones (sampler.class_prior) or make noise larger (sampler.sigma).",
            {},
        ),
        ("cross_modal", {"sampler.same_class": False}, "Subtract false ones (sampler.class_prior).", {}),
        (
            "in_batch",
            {"sampler.mode": "reference"},  # which reads no other setting of masks
            "Mask what comes from the positive (sampler.mode) or subtract false ones (sampler.class_prior).",
            {},
        ),
    ],
)
def test_advice_names_ways_out_that_apply_and_are_not_taken(
    name: str, settings: dict[str, Any], advice: str, changes: dict[str, Any]
) -> None:
    some = record()
    some["modalities"]["audio"]["sources"] = {"in_batch": source(0.4), name: source(0.6, 0.1, 0.9)}
    [alarm] = alarms([some] * DEAD_STEPS, 10, RunConfig().replace(settings))
    assert (alarm.kind, alarm.advice, alarm.changes) == ("false_negatives", advice, changes)


def test_a_queue_that_has_a_momentum_encoder_is_not_advised_to_get_one() -> None:
    collapsed = record(spread=0.05)
    assert "queue" not in alarms([collapsed], 10, RunConfig())[0].advice, "there is none"
    collapsed["modalities"]["audio"]["sources"]["queue"] = source(0.5)
    [alarm] = alarms([collapsed], 10, RunConfig().replace({"sampler.key_momentum": 0.98}))
    assert "momentum" not in alarm.advice
    assert alarm.changes == {}
