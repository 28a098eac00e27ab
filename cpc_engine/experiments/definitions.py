"""The experiments as plain data: a question, the arms that answer it, and the settings that each arm changes.

Arms refer to presets by name, so that an experiment uses their current settings.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from ..comparison.recipes import IN_BATCH_ALONE
from ..config import RunConfig
from ..presets import preset
from ..settings import unknown
from ..sources import SOURCES

Changes = Mapping[str, Any]  # {"section.setting": value}

SEEDS = 5  # as many as a verdict needs
QUICK: Changes = {
    "data.train_items": 120,
    "data.test_items": 60,
    "optimizer.steps": 6,
    "optimizer.batch_size": 16,
    "evaluation.every": 3,
    "evaluation.map_items": 60,
    "evaluation.strengths": [0.01, 0.1],
}


@dataclass(frozen=True)
class PlannedArm:
    """An arm: a preset by name, and the settings that the arm changes."""

    label: str
    preset: str
    overrides: Changes = field(default_factory=dict)

    def config(self) -> RunConfig:
        """Return the configuration of the arm, with the random seed of the preset."""
        return preset(self.preset).config().replace(self.overrides)

    @property
    def needs_data(self) -> bool:
        """Whether the preset needs a data set that is not generated."""
        return preset(self.preset).needs_data


@dataclass(frozen=True)
class Experiment:
    """Arms that are trained with the same seeds and compared with the first arm.

    Attributes:
        name: on the command line. title: in reports.
        question: what the experiment answers, one sentence.
        folds: {name: changes}; every arm and seed is trained once per fold, and the value of a seed is the mean over
            folds. unit: what the folds are, in the plural.
        primary: the metric that decides which arm is better: "chosen" (the probe), or the name of another one.
        without_pair: for paired data, the arm with λ = 0, by whose modality gap the other gaps are divided.
        quick: changes of every run in a smoke test.
    """

    name: str
    title: str
    question: str
    arms: tuple[PlannedArm, ...]
    folds: Mapping[str, Changes] = field(default_factory=lambda: {"": {}})
    unit: str = "folds"
    primary: str = "chosen"
    without_pair: str | None = None
    quick: Changes = field(default_factory=lambda: QUICK)

    def configs(self) -> dict[str, RunConfig]:
        """Return {"arm" or "arm (fold)": configuration}, with the random seeds of the presets."""
        return {
            run_title(arm.label, fold): arm.config().replace(changes)
            for arm in self.arms
            for fold, changes in self.folds.items()
        }


def run_title(arm: str, fold: str) -> str:
    """Return the title of the runs of an arm and a fold.

    Example:
        >>> run_title("ours", "george"), run_title("ours", "")
        ('ours (george)', 'ours')
    """
    return f"{arm} ({fold})" if fold else arm


_NO_PAIR: Changes = {"loss.pair_weight": 0.0}
_ALL_ITEMS: Changes = {"evaluation.probe_items": 10_000}  # as in the preset of the same data
_SPEAKERS = ("george", "jackson", "lucas", "nicolas", "theo", "yweweler")
_ALONE: Changes = {
    **IN_BATCH_ALONE,
    "sampler.key_momentum": 0.0,
    **_NO_PAIR,  # the pair term would hide the effect of the negatives
    "optimizer.steps": 60,  # 70 runs; few steps are enough for these data
    "evaluation.strengths": [0.1, 1.0],
    "evaluation.map_items": 60,
}
_QUEUE: Changes = {"sampler.queue_size": 4096}
# The sources of Algorithm 2, which both ablations measured; a source that was added since needs an ablation of its own.
_ABLATED = ("in_batch", "queue", "perturbed", "shuffled", "cross_modal")
# Arms of a source where they are not just its own recipe, {source: {label: changes}}.
_VARIANTS: Mapping[str, Mapping[str, Changes]] = {
    "queue": {"queue": _QUEUE, "queue-ema": {**_QUEUE, "sampler.key_momentum": 0.98}},
    "shuffled": {"shuffled": {"sampler.shuffled": "batch"}},  # as Algorithm 2 does
}
_MASKS: Mapping[str, str] = {"masked": "exclude_positives", "unmasked": "reference"}

_PHOTOGRAPHS: Changes = {
    **_ALONE,
    "data.train_items": 2500,  # 45 runs; part of the photographs and steps shows the effect of the negatives
    "data.test_items": 1000,
    "context.other_view": False,
    "optimizer.batch_size": 64,
    "optimizer.steps": 120,
    "evaluation.strengths": [0.001, 0.01, 0.1],
}


def _sources(pairs: bool) -> list[tuple[str, Changes, bool]]:
    """(label, changes, whether masks matter) of each source alone and of all; `pairs`: with both modalities."""
    found = [
        (label, changes, source.copies)
        for source in map(SOURCES.__getitem__, _ABLATED)
        if pairs or not source.other_modality
        for label, changes in _VARIANTS.get(source.name, {source.name.replace("_", "-"): source.recipe}).items()
    ]
    every = {path: value for _, changes, _ in found for path, value in changes.items()}
    return [*found, ("all", every, any(copies for *_, copies in found))]


def _ablation() -> tuple[PlannedArm, ...]:
    return tuple(
        PlannedArm(f"{source}/{masks}", "tones_bars", {**_ALONE, **changes, "sampler.mode": mode})
        for masks, mode in _MASKS.items()
        for source, changes, _ in _sources(pairs=True)
    )


def _ablation_of_photographs() -> tuple[PlannedArm, ...]:
    """The arms of `_ablation` without duplicates: there is one modality, and masks affect copies of positives only."""
    return tuple(
        PlannedArm(f"{source}/{masks}", "cifar10_patches", {**_PHOTOGRAPHS, **changes, "sampler.mode": mode})
        for source, changes, copies in _sources(pairs=False)
        for masks, mode in _MASKS.items()
        if masks == "masked" or copies
    )


EXPERIMENTS: dict[str, Experiment] = {
    experiment.name: experiment
    for experiment in (
        Experiment(
            "tones",
            "Steady tones",
            "Does training on steady tones give features that an untrained network does not have already?",
            (PlannedArm("ours", "tones"), PlannedArm("reference", "reference_tones")),
        ),
        Experiment(
            "cifar10",
            "Airplane or automobile",
            "Does learning from photographs alone tell the two classes better than no learning at all?",
            (PlannedArm("ours", "cifar10_patches"), PlannedArm("reference", "reference_cifar10", _ALL_ITEMS)),
        ),
        Experiment(
            "photographs",
            "Airplane or automobile, whole pictures compared",
            "What do two pieces of one photograph teach, beside what the next patch teaches?",
            (PlannedArm("ours", "cifar10"), PlannedArm("patches", "cifar10_patches")),
        ),
        Experiment(
            "photographs_four",
            "Photographs of four classes that no setting was chosen for",
            "Does the recipe for airplanes and automobiles hold for deer, horses, ships, and trucks?",
            (PlannedArm("ours", "cifar10"), PlannedArm("patches", "cifar10_patches")),
        ),
        Experiment(
            "environmental_sounds",
            "Environmental sounds in a folder",
            "Does training on a folder of recordings tell their classes better than no training? Mean over five folds.",
            (PlannedArm("ours", "audio_folder"),),
            folds={
                str(fold): {"data.groups": "fold{group}_*", "data.split": "group", "data.held_out": str(fold)}
                for fold in range(1, 6)
            },
        ),
        Experiment(
            "notes",
            "Notes of instruments in a folder",
            "Does training on a folder of notes tell the families of instruments better than no training?",
            (PlannedArm("ours", "audio_folder"),),
        ),
        Experiment(
            "tones_bars",
            "Tones paired with bars",
            "Do sounds and pictures share one space, with a term that draws pairs together and without?",
            (
                PlannedArm("ours", "tones_bars"),
                PlannedArm("ours-no-pair", "tones_bars", _NO_PAIR),
                PlannedArm("reference", "reference_tones_bars"),
            ),
            without_pair="ours-no-pair",
        ),
        Experiment(
            "fsdd",
            "Spoken digits, official split",
            "Do learned features of speech tell digits better than the spectrogram they are made from?",
            (PlannedArm("ours", "fsdd"),),
        ),
        Experiment(
            "fsdd_speakers",
            "Spoken digits, a speaker never heard",
            "Do learned features of speech still tell digits when the speaker is new? Mean over six held-out speakers.",
            (PlannedArm("ours", "fsdd"),),
            folds={name: {"data.split": "speaker", "data.held_out": name} for name in _SPEAKERS},
            unit="speakers",
        ),
        Experiment(
            "keypad",
            "Telephone tones and handwritten digits",
            "Does the pair term bring a telephone key's tone and its handwritten digit to one place?",
            (PlannedArm("pair", "keypad"), PlannedArm("no-pair", "keypad", _NO_PAIR)),
            without_pair="no-pair",
        ),
        Experiment(
            "ablation",
            "Where the negatives come from",
            "What does each source of negatives add to those of the batch, with copies of the positive masked or not?",
            _ablation(),
            quick={**QUICK, "data.train_items": 64, "data.test_items": 32, "optimizer.steps": 3, "image.size": 64},
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
    """Return an experiment by name.

    Raises:
        ConfigError: there is no such experiment; the message has the nearest name.

    Example:
        >>> [arm.label for arm in experiment("tones").arms]
        ['ours', 'reference']
    """
    if name not in EXPERIMENTS:
        raise unknown("experiment", name, EXPERIMENTS)
    return EXPERIMENTS[name]
