"""Warnings in plain words, from what a run recorded: what is going wrong and what to try."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

COLLAPSED = 0.3  # spread of latents; 1 is an even sphere, a healthy run stays above 0.5
DEAD_SHARE = 0.01  # of the negatives' pull
DEAD_STEPS = 20  # recorded steps that a source must be dead before it counts
WITHOUT: dict[str, dict[str, Any]] = {  # how a source is switched off; the batch's own negatives cannot be
    "queue": {"sampler.queue_size": 0},
    "perturbed": {"sampler.perturbed": False},
    "shuffled": {"sampler.shuffled": "off"},
    "cross_modal": {"sampler.cross_modal": False},
}


@dataclass(frozen=True)
class Alarm:
    """`kind` is collapse, dead_source, queue_depth or diverged; `where` the modality (and source).

    `changes` are knobs that follow the advice, {"section.knob": value}.
    """

    kind: str
    where: str
    message: str
    advice: str
    changes: dict[str, Any] = field(default_factory=dict)


def alarms(records: Sequence[dict[str, Any]], train_items: int) -> list[Alarm]:
    """What the newest records give cause to warn of.

    Args:
        records: of metrics.jsonl, oldest first. train_items: items in the training split.
    """
    if not records:
        return []
    found = []
    last = records[-1]
    if last["loss"] is None:
        found.append(
            Alarm("diverged", "", "The loss stopped being a number.", "Lower the learning rate or raise τ, then rerun.")
        )
    geometry: dict[str, float] = next((r["geometry"] for r in reversed(records) if r.get("geometry")), {})
    for modality, part in last["modalities"].items():
        spread = geometry.get(f"{modality}.spread", geometry.get("spread"))
        if spread is not None and spread < COLLAPSED:
            found.append(
                Alarm(
                    "collapse",
                    modality,
                    f"The {modality} latents have collapsed: their spread is {spread:.2f} of an even sphere's 1.",
                    "Turn the queue off, or give it momentum keys (sampler.key_momentum 0.98).",
                    {"sampler.key_momentum": 0.98} if "queue" in part["sources"] else {},
                )
            )
        found += [_dead(modality, name) for name in part["sources"] if _is_dead(records, modality, name)]
        latents = train_items * part["latents_per_item"]
        if part["queue"] >= latents:
            found.append(
                Alarm(
                    "queue_depth",
                    modality,
                    f"The {modality} queue holds as many latents as all {train_items} training items have.",
                    "Make the queue smaller than the data: it now holds copies of the batch's own items.",
                    {"sampler.queue_size": latents // 2},
                )
            )
    return found


def _is_dead(records: Sequence[dict[str, Any]], modality: str, source: str) -> bool:
    recent = [r["modalities"][modality]["sources"].get(source) for r in records[-DEAD_STEPS:]]
    return len(recent) == DEAD_STEPS and all(s is not None and s["share"] < DEAD_SHARE for s in recent)


def _dead(modality: str, source: str) -> Alarm:
    return Alarm(
        "dead_source",
        f"{modality} {source}",
        f"The {source} negatives of {modality} have had under 1 % of the pull for {DEAD_STEPS} records.",
        "They cost time and teach nothing: switch them off, or make them harder.",
        WITHOUT.get(source, {}),
    )
