"""Warnings about a run's training, derived from its recorded steps, each with advice and the settings to change."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from ..config import RunConfig
from ..sources import SOURCES
from ..training.plan import CLEAR_SIGMA, NEAR_COPY, one_clip_each, perturbed_cosine

COLLAPSED = 0.3  # spread of the latents; 1 is an evenly covered sphere, a healthy run stays above 0.5
DEAD_SHARE = 0.01  # of the gradient
DEAD_STEPS = 20  # consecutive records below DEAD_SHARE before a source counts as dead
FALSE_SHARE = 0.5  # of a source's gradient share, beyond what chance gives, from candidates of the anchor's class
FALSE_WEIGHT = 0.1  # gradient share from which on a source's false negatives matter
DRIFTED = 0.3  # cosine of queued latents to the same encoded again; augmentation alone leaves about 0.5 to 0.7


@dataclass(frozen=True)
class Alarm:
    """One warning.

    Attributes:
        kind: "collapse", "dead_source", "no_gradient", "queue_depth", "drift", "noise", "false_negatives", or
            "diverged".
        where: the modality, followed by the source where one is meant; empty for a warning about the whole run.
        message: what is wrong. advice: what to do about it that was not done yet.
        changes: settings that follow the advice, {"section.setting": value}; empty where it takes a decision.
    """

    kind: str
    where: str
    message: str
    advice: str
    changes: dict[str, Any] = field(default_factory=dict)


def alarms(records: Sequence[dict[str, Any]], train_items: int, config: RunConfig) -> list[Alarm]:
    """Return the warnings that the newest records of a run justify.

    Args:
        records: lines of metrics.jsonl, oldest first.
        train_items: number of items in the training split.
        config: as the run has it now, with what was changed while it trained.

    Example:
        >>> part = {"sources": {}, "queue": 0, "latents_per_item": 16}
        >>> record = {"step": 50, "loss": 2.1, "modalities": {"audio": part}, "geometry": {"spread": 0.02}}
        >>> [alarm.kind for alarm in alarms([record], 200, RunConfig())]
        ['collapse']
    """
    if not records:
        return []
    raised = []
    last = records[-1]
    if last["loss"] is None:
        raised.append(
            Alarm("diverged", "", "The loss stopped being a number.", "Lower the learning rate or raise τ, then rerun.")
        )
    geometry = newest_geometry(records)
    for modality, part in last["modalities"].items():
        low = _collapsed(records, modality)
        if low is not None:
            raised.append(_collapse(modality, *low, "queue" in part["sources"], config))
        dead = [name for name in part["sources"] if _is_dead(records, modality, name)]
        if dead and len(dead) == len(part["sources"]):
            raised.append(_no_gradient(modality, config))
        else:
            raised += [_dead_source(modality, name) for name in dead if not _is_masked(part["sources"][name])]
        latents = train_items * part["latents_per_item"]
        if part["queue"] >= latents and one_clip_each(config, modality):
            raised.append(
                Alarm(
                    "queue_depth",
                    modality,
                    f"The {modality} queue holds as many latents as all {train_items} training items have.",
                    "Make the queue smaller than the data: it now holds copies of the batch's own items.",
                    {"sampler.queue_size": latents // 2},
                )
            )
        drift = geometry.get(f"{modality}.queue_drift", geometry.get("queue_drift"))
        if drift is not None and drift < DRIFTED and "queue" in part["sources"]:
            raised.append(_drift(modality, drift, config))
        cosine = perturbed_cosine(config)
        if "perturbed" in part["sources"] and cosine is not None and cosine > NEAR_COPY:
            raised.append(_noise(modality, cosine))
        raised += [
            _false(modality, name, *found, config)
            for name in part["sources"]
            if (found := _falls(records, modality, name))
        ]
    return raised


def newest_geometry(records: Sequence[Mapping[str, Any]]) -> dict[str, float]:
    """Return the metrics of geometry of the newest record that has some."""
    return next((record["geometry"] for record in reversed(records) if record.get("geometry")), {})


def has_collapsed(metrics: Mapping[str, float | None]) -> bool:
    """Return whether the spread of a modality is below the alarm's level.

    Example:
        >>> has_collapsed({"audio.spread": 0.8, "image.spread": 0.1})
        True
    """
    spreads = (value for name, value in metrics.items() if name.rpartition(".")[2] == "spread")
    return any(value is not None and value < COLLAPSED for value in spreads)


def _collapsed(records: Sequence[dict[str, Any]], modality: str) -> tuple[int, float] | None:
    """(step, spread): since when latents have been collapsed, and how much they are now; None where they are not."""
    low: list[tuple[int, float]] = []  # the newest first
    for record in reversed(records):
        geometry = record.get("geometry") or {}
        spread = geometry.get(f"{modality}.spread", geometry.get("spread"))
        if spread is not None and spread >= COLLAPSED:
            break
        low += [] if spread is None else [(record["step"], spread)]
    return (low[-1][0], low[0][1]) if low else None


def _collapse(modality: str, since: int, spread: float, queue: bool, config: RunConfig) -> Alarm:
    slow = config.sampler.key_momentum == 0
    ways = ["turn the queue off"] if queue else []
    ways += ["set sampler.key_momentum to 0.98"] if slow and queue else []
    return Alarm(
        "collapse",
        modality,
        f"The {modality} latents have collapsed: their spread has been below {COLLAPSED} since step {since} and is "
        f"{spread:.2f} now (an even sphere has 1).",
        _either([*ways, "lower the learning rate"]),
        {"sampler.key_momentum": 0.98} if slow and queue else {},
    )


def _drift(modality: str, drift: float, config: RunConfig) -> Alarm:
    slow = config.sampler.key_momentum == 0
    return Alarm(
        "drift",
        modality,
        f"The {modality} queue is out of date: cosine {drift:.2f} to the same latents encoded again.",
        _either(
            [
                "use a momentum encoder (sampler.key_momentum 0.98)" if slow else "raise sampler.key_momentum",
                "make the queue smaller",
                "lower the learning rate",
            ]
        ),
        {"sampler.key_momentum": 0.98} if slow else {},
    )


def _noise(modality: str, cosine: float) -> Alarm:
    return Alarm(
        "noise",
        f"{modality} perturbed",
        f"{SOURCES['perturbed'].label.capitalize()} negatives "
        f"of {modality} are copies of positives: noise leaves them a cosine of {cosine:.3f}.",
        "Make noise larger (sampler.sigma).",
        {"sampler.sigma": CLEAR_SIGMA},
    )


def _either(ways: Sequence[str]) -> str:
    """Ways out as one sentence.

    Example:
        >>> _either(["wait", "raise τ", "lower the learning rate"])
        'Wait, raise τ, or lower the learning rate.'
    """
    text = ways[0] if len(ways) == 1 else f"{', '.join(ways[:-1])}{',' if len(ways) > 2 else ''} or {ways[-1]}"
    return f"{text[:1].upper()}{text[1:]}."


def _falls(records: Sequence[dict[str, Any]], modality: str, source: str) -> tuple[float, float] | None:
    """How much of a source's share false negatives have, and how many of its negatives they are; None if not too much.

    Of two classes half of all negatives are of the anchor's class, so what counts is the part beyond their number.
    """
    recent = [r["modalities"][modality]["sources"].get(source) for r in records[-DEAD_STEPS:]]
    known = [s for s in recent if s is not None and abs(s["share"]) >= FALSE_WEIGHT]
    if len(known) < DEAD_STEPS:
        return None
    mass, number = (sum(s[name] for s in known) / len(known) for name in ("false_mass", "false_negatives"))
    return (mass, number) if mass - number > FALSE_SHARE * (1 - number) else None


def _false(modality: str, source: str, mass: float, number: float, config: RunConfig) -> Alarm:
    return Alarm(
        "false_negatives",
        f"{modality} {source}",
        f"{mass:.0%} of what the {SOURCES[source].label} negatives of {modality} do comes from the anchor's own class, "
        f"which {number:.0%} of them have.",
        ways_out([source], config),
        {"sampler.same_item": False} if _own_items([source], config) else {},
    )


def _own_items(sources: Sequence[str], config: RunConfig) -> bool:
    """Whether sources have negatives of the anchor's own item that a setting leaves out."""
    sampler = config.sampler  # in the mode "reference" nothing is masked, whatever the settings of masks say
    others = all(SOURCES[source].other_modality for source in sources)
    return sampler.mode != "reference" and sampler.same_item and not others


def ways_out(sources: Sequence[str], config: RunConfig) -> str:
    """Return what can be done about false negatives of some sources that a run does not do yet, as one sentence.

    Example:
        >>> config = RunConfig().replace({"sampler.same_item": False, "sampler.same_class": False})
        >>> ways_out(["perturbed"], config)
        'Subtract false ones (sampler.class_prior) or make noise larger (sampler.sigma).'
    """
    sampler = config.sampler
    ways = ["take negatives from other items only (sampler.same_item)"] if _own_items(sources, config) else []
    if sampler.mode == "reference":
        ways = ["mask what comes from the positive (sampler.mode)"]
    elif sampler.same_class:
        ways += ["leave out those of the same class (sampler.same_class; uses labels)"]
    ways.append("subtract false ones (sampler.class_prior)" if not sampler.class_prior else "raise sampler.class_prior")
    ways += ["make noise larger (sampler.sigma)"] if "perturbed" in sources else []
    return _either(ways)


def _is_dead(records: Sequence[dict[str, Any]], modality: str, source: str) -> bool:
    recent = [r["modalities"][modality]["sources"].get(source) for r in records[-DEAD_STEPS:]]
    return len(recent) == DEAD_STEPS and all(s is not None and abs(s["share"]) < DEAD_SHARE for s in recent)


def _is_masked(source: dict[str, Any]) -> bool:
    """Whether none of a source's candidates counts, as in-batch ones with sampler.in_batch off."""
    return bool(source.get("masked", 0.0) >= source["count"])


def _no_gradient(modality: str, config: RunConfig) -> Alarm:
    """Shares sum to 1 unless no negative has a gradient."""
    debiased = "All are masked, or debiasing subtracts all of their mass: mask less, or lower sampler.class_prior."
    return Alarm(
        "no_gradient",
        modality,
        f"No negative of {modality} had a gradient for {DEAD_STEPS} records.",
        debiased if config.sampler.class_prior else "All are masked: mask less.",
    )


def _dead_source(modality: str, source: str) -> Alarm:
    return Alarm(
        "dead_source",
        f"{modality} {source}",
        f"The {SOURCES[source].label} negatives of {modality} had under 1 % of the gradient on negatives for "
        f"{DEAD_STEPS} records.",
        "They cost time and have almost no effect: switch them off, or make them harder."
        if SOURCES[source].off
        else "They have almost no effect beside the other sources: make those fewer or easier.",
        dict(SOURCES[source].off),
    )
