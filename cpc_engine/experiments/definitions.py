"""The experiments, as plain data: a question, the arms that answer it, and what each arm changes in a preset.

Presets are referred to by name, so an experiment follows them when they get better.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from ..config import RunConfig
from ..knobs import unknown
from ..presets import preset

Changes = Mapping[str, Any]  # {"section.knob": value}

SEEDS = 3
QUICK: Changes = {
    "data.train_items": 120,
    "data.test_items": 60,
    "optimiser.steps": 6,
    "optimiser.batch_size": 16,
    "evaluation.every": 3,
    "evaluation.map_items": 60,
    "evaluation.strengths": [0.01, 0.1],
}


@dataclass(frozen=True)
class Arm:
    """One setting: a preset by name and the knobs that it changes."""

    label: str
    preset: str
    overrides: Changes = field(default_factory=dict)

    def config(self) -> RunConfig:
        return preset(self.preset).config().replace(self.overrides)

    @property
    def needs_data(self) -> bool:
        return preset(self.preset).needs_data


@dataclass(frozen=True)
class Experiment:
    """Arms to train with the same seeds and judge against the first of them.

    Attributes:
        question: what the experiment answers, one sentence.
        folds: {name: changes}; every arm and seed is trained once per fold, and a seed's value is the mean over folds.
        without_pair: the arm with λ = 0 that modality gaps are divided by, for paired data.
        quick: what every run of a smoke test changes.
    """

    name: str
    title: str
    question: str
    arms: tuple[Arm, ...]
    folds: Mapping[str, Changes] = field(default_factory=lambda: {"": {}})
    without_pair: str | None = None
    quick: Changes = field(default_factory=lambda: QUICK)


_NO_PAIR: Changes = {"loss.pair_weight": 0.0}
_ALL_ITEMS: Changes = {"evaluation.probe_items": 10_000}  # as our preset of the same data
_SHORTER: Changes = {"optimiser.steps": 400}  # a third of the preset's, because six folds are six times the runs
_SPEAKERS = ("george", "jackson", "lucas", "nicolas", "theo", "yweweler")
_ALONE: Changes = {
    "sampler.queue_size": 0,
    "sampler.key_momentum": 0.0,
    "sampler.perturbed": False,
    "sampler.shuffled": "off",
    "sampler.cross_modal": False,
    **_NO_PAIR,  # the pair term would hide what the negatives do
    "optimiser.steps": 60,  # 42 runs, on data that few steps are enough for
    "evaluation.strengths": [0.1, 1.0],
    "evaluation.map_items": 60,
}
_QUEUE: Changes = {"sampler.queue_size": 4096}
_MOMENTUM: Changes = {**_QUEUE, "sampler.key_momentum": 0.98}
_SOURCES: Mapping[str, Changes] = {
    "in-batch": {},
    "queue": _QUEUE,
    "queue-ema": _MOMENTUM,
    "perturbed": {"sampler.perturbed": True},
    "shuffled": {"sampler.shuffled": "batch"},
    "cross-modal": {"sampler.cross_modal": True},
    "all": {**_MOMENTUM, "sampler.perturbed": True, "sampler.shuffled": "batch", "sampler.cross_modal": True},
}
_MASKS: Mapping[str, str] = {"masked": "exclude_positives", "unmasked": "seed"}


_PHOTOGRAPHS: Changes = {
    **_ALONE,
    "data.train_items": 2500,  # 27 runs: a part of the photographs and of the steps shows what the negatives do
    "data.test_items": 1000,
    "context.other_view": False,
    "optimiser.batch_size": 64,
    "optimiser.steps": 120,
    "evaluation.strengths": [0.001, 0.01, 0.1],
}
_COPIES = ("perturbed", "shuffled", "all")  # sources that can hold the anchor's own positive: a mask changes them


def _ablation() -> tuple[Arm, ...]:
    return tuple(
        Arm(f"{source}/{masks}", "tones_bars", {**_ALONE, **changes, "sampler.mode": mode})
        for masks, mode in _MASKS.items()
        for source, changes in _SOURCES.items()
    )


def _ablation_of_photographs() -> tuple[Arm, ...]:
    """Without arms that would be the same: there is no other sense, and a mask changes only copies of positives."""
    alone = {name: changes for name, changes in _SOURCES.items() if name != "cross-modal"}
    pairs = [(source, masks) for source in alone for masks in _MASKS if masks == "masked" or source in _COPIES]
    return tuple(
        Arm(
            f"{source}/{masks}",
            "cifar10",
            {**_PHOTOGRAPHS, **alone[source], "sampler.cross_modal": False, "sampler.mode": _MASKS[masks]},
        )
        for source, masks in pairs
    )


EXPERIMENTS: dict[str, Experiment] = {
    experiment.name: experiment
    for experiment in (
        Experiment(
            "tones",
            "Steady tones",
            "Does training on steady tones give features that an untrained network does not have already?",
            (Arm("ours", "tones"), Arm("seed", "seed_tones")),
        ),
        Experiment(
            "cifar10",
            "Airplane or automobile",
            "Does learning from photographs alone tell the two classes better than no learning at all?",
            (Arm("ours", "cifar10"), Arm("seed", "seed_cifar10", _ALL_ITEMS)),
        ),
        Experiment(
            "tones_bars",
            "Tones paired with bars",
            "Do sounds and pictures share one space, with a term that draws pairs together and without?",
            (
                Arm("ours", "tones_bars"),
                Arm("ours-no-pair", "tones_bars", _NO_PAIR),
                Arm("seed", "seed_tones_bars"),
            ),
            without_pair="ours-no-pair",
        ),
        Experiment(
            "fsdd",
            "Spoken digits, official split",
            "Do learned features of speech tell digits better than the spectrogram they are made from?",
            (Arm("ours", "fsdd"),),
        ),
        Experiment(
            "fsdd_speakers",
            "Spoken digits, a speaker never heard",
            "Do learned features of speech still tell digits when the speaker is new? Mean over six held-out speakers.",
            (Arm("ours", "fsdd", _SHORTER),),
            folds={name: {"data.split": "speaker", "data.held_out": name} for name in _SPEAKERS},
        ),
        Experiment(
            "keypad",
            "Telephone tones and handwritten digits",
            "Does the pair term bring a telephone key's tone and its handwritten digit to one place?",
            (Arm("pair", "keypad"), Arm("no-pair", "keypad", _NO_PAIR)),
            without_pair="no-pair",
        ),
        Experiment(
            "ablation",
            "Where the negatives come from",
            "What does each source of negatives add to those of the batch, with copies of the positive masked or not?",
            _ablation(),
            quick={**QUICK, "data.train_items": 64, "data.test_items": 32, "optimiser.steps": 3, "image.size": 64},
        ),
        Experiment(
            "ablation_cifar10",
            "Where the negatives come from, on photographs",
            "What does each source of negatives add to those of the batch where the pictures are photographs?",
            _ablation_of_photographs(),
        ),
    )
}


def experiment(name: str) -> Experiment:
    """An experiment by name.

    Raises:
        ConfigError: there is none of that name; the message has the nearest.
    """
    if name not in EXPERIMENTS:
        raise unknown("experiment", name, EXPERIMENTS)
    return EXPERIMENTS[name]
