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
        whole: whether results without one of the arms are refused; else the arms that lack are named.
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
    whole: bool = True
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
_HELD_OUT = {name: {"data.split": "speaker", "data.held_out": name} for name in _SPEAKERS}
_QUEUE: Changes = {"sampler.queue_size": 1024}
_EMA: Changes = {**_QUEUE, "sampler.key_momentum": 0.99}
_MIXED: Changes = SOURCES["mixed"].recipe
# What the ablations of negatives compare, each on top of in-batch negatives alone; settings chosen before any was run.
_NEGATIVES: Mapping[str, Changes] = {
    "in-batch": {},
    "queue": _QUEUE,
    "queue-ema": _EMA,
    "queue-few": {**_QUEUE, "sampler.queue_per_item": 1},  # one latent of each item
    "noise-0.1": {"sampler.perturbed": True, "sampler.sigma": 0.1},
    "noise-0.3": {"sampler.perturbed": True, "sampler.sigma": 0.3},
    "noise-1": {"sampler.perturbed": True, "sampler.sigma": 1.0},
    "permuted": {"sampler.shuffled": "batch"},  # as Algorithm 2 does
    "shuffled-input": {"sampler.shuffled": "input"},
    "debiased": {"sampler.class_prior": 0.1},
    "hard-weighted": {"sampler.hardness": 1.0},
    "mixed": _MIXED,
    "all": {**_EMA, **_MIXED, "sampler.perturbed": True, "sampler.sigma": 0.3, "sampler.shuffled": "input"},
}
_PAIR_NEGATIVES: Mapping[str, Changes] = {
    "in-batch": {},
    "cross-modal": {"sampler.cross_modal": True},
    "cross-modal-detached": {"sampler.cross_modal": True, "sampler.detach_cross_modal": True},
}


def _ablation(preset: str, arms: Mapping[str, Changes], common: Changes | None = None) -> tuple[PlannedArm, ...]:
    """Arms that differ in their negatives only."""
    base = {**IN_BATCH_ALONE, "sampler.key_momentum": 0.0, **(common or {})}
    return tuple(PlannedArm(label, preset, {**base, **changes}) for label, changes in arms.items())


def _negatives(name: str, kind: str, preset: str, folds: Mapping[str, Changes]) -> Experiment:
    """The ablation of negatives on one kind of data."""
    return Experiment(
        f"negatives_{name}",
        f"Which negatives help: {kind}",
        f"What does each source and weight of negatives add to those of the batch, on {kind}?",
        _ablation(preset, _NEGATIVES),
        folds=folds,
        whole=False,
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
            (PlannedArm("ours", "cifar10"), PlannedArm("reference", "reference_cifar10", _ALL_ITEMS)),
        ),
        Experiment(
            "photographs_four",
            "Photographs of four classes that no setting was chosen for",
            "Does the recipe for airplanes and automobiles hold for deer, horses, ships, and trucks?",
            (PlannedArm("ours", "cifar10"), PlannedArm("longer", "cifar10", {"optimizer.steps": 1800})),
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
            folds=_HELD_OUT,
            unit="speakers",
        ),
        Experiment(
            "keypad",
            "Telephone tones and handwritten digits",
            "Does the pair term bring a telephone key's tone and its handwritten digit to one place?",
            (PlannedArm("pair", "keypad"), PlannedArm("no-pair", "keypad", _NO_PAIR)),
            without_pair="no-pair",
        ),
        _negatives("photographs", "photographs of six classes", "cifar10", {"": {}}),
        _negatives("sounds", "environmental sounds", "audio_folder", {"": {}}),
        _negatives("notes", "notes of instruments", "audio_folder", {"": {}}),
        _negatives("speech", "digits of a speaker never heard", "fsdd", {_SPEAKERS[0]: _HELD_OUT[_SPEAKERS[0]]}),
        Experiment(
            "negatives_pairs",
            "Which negatives help: tones paired with digits",
            "What do negatives of the other modality add to those of the batch, where no term draws pairs together?",
            _ablation("keypad", _PAIR_NEGATIVES, _NO_PAIR),
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
