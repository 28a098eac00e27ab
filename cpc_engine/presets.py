"""Presets: ready-made configurations of this project, and the reference recipe with its algorithms as published.

A preset lists the settings that differ from the defaults, with one sentence on what it shows. The reference recipe
leaves τ, σ, the learning rate, the batch size, and the number of steps open; their values here are this project's. See
`docs/method.md#what-the-reference-recipe-leaves-open`.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from .config import RunConfig
from .datasets import DATASETS
from .settings import unknown


@dataclass(frozen=True)
class Preset:
    """A ready-made configuration.

    Attributes:
        title: in forms and lists. teaches: what a run with it shows, one sentence.
        changes: settings that differ from the defaults, {"section.setting": value}.
    """

    title: str
    teaches: str
    changes: dict[str, Any]

    def config(self) -> RunConfig:
        """Return the defaults with the changes of the preset."""
        return RunConfig().replace(self.changes)

    @property
    def needs_data(self) -> bool:
        """Whether `data.path` must be given or a download allowed."""
        return DATASETS[self.config().data.dataset].origin != "generated"


_PAIRED = {"loss.pair_weight": 1.0, "loss.pair_temperature": 0.5}
_VIEWS = {"context.other_view": True}  # for recordings and photographs; generated items have no shared details to copy

# What an item is, from two views of it, beside the prediction of what comes next (docs/method.md#item-level-term).
_ITEMS: dict[str, Any] = {
    "loss.item_weight": 1.0,
    "loss.item_temperature": 0.1,
    "loss.prediction_weight": 0.1,
}
_PICTURES: dict[str, Any] = {
    **_ITEMS,
    "image.encoder": "residual",
    "image.size": 0,
    "image.view_share": 0.75,
    "image.grid": 3,
    "image.width": 128,
    "image.crop": 0.0,  # pieces at whole pixels are views enough, and stay sharp
    "image.jitter": 0.4,
    "context.horizons": [1, 2, 3],
    "optimizer.batch_size": 256,
    "optimizer.learning_rate": 2e-3,
    "evaluation.strengths": [0.0001, 0.001, 0.01],
}
_SOUNDS: dict[str, Any] = {
    **_ITEMS,
    "loss.item_temperature": 0.2,
    "audio.encoder": "residual",
    "audio.sample_rate": 0,
    "audio.clip_seconds": 0.0,
    "audio.hop_ms": 16.0,
    "audio.window_ms": 32.0,
    "audio.width": 64,
    "audio.directions": 128,
    "audio.warp": 0.4,  # what something sounds like, at any pitch and pace
    "audio.filter_db": 3.0,
    "audio.band_drop": 0.5,
    "audio.cached": True,
}

# Algorithm 2 as published (docs/method.md#algorithm-2): dot products, k = 1, nothing masked, a plain queue, no
# augmentation. Sources differ from preset to preset only in `cross_modal`.
_REFERENCE: dict[str, Any] = {
    "context.horizons": [1],
    "context.predictors_per_modality": False,
    "context.latent_norm": False,
    "sampler.mode": "reference",
    "sampler.queue_size": 4096,
    "sampler.perturbed": True,
    "sampler.sigma": 0.1,
    "sampler.shuffled": "batch",
    "loss.similarity": "dot",
    "loss.temperature": 0.1,
    "audio.encoder": "convnet",
    "audio.shift": 0.0,
    "audio.gain_db": 0.0,
    "audio.noise": 0.0,
    "audio.band_drop": 0.0,
    "image.encoder": "convnet",
    "image.grid": 8,
    "image.wrap": True,  # the grid is read as one plain sequence
    "image.width": 32,
    "image.flip": False,
    "image.crop": 0.0,
    "image.jitter": 0.0,
    "image.color_drop": 0.0,
    "optimizer.batch_size": 64,
    "optimizer.warmup_steps": 0,
    "optimizer.final_rate": 1.0,
    "optimizer.weight_decay": 0.0,
}

PRESETS: dict[str, Preset] = {
    "tones": Preset(
        "Tones",
        "Steady sine tones of four pitches: why positions of the same item are poor negatives.",
        {"data.dataset": "tones", "sampler.same_item": False, "optimizer.steps": 150},
    ),
    "chirps": Preset(
        "Chirps",
        "Tones that sweep in frequency: here the order of frames matters.",
        {"data.dataset": "chirps", "optimizer.steps": 300},
    ),
    "cifar10": Preset(
        "Airplane or automobile",
        "Real photographs: what two views of one picture share, and features beyond those of an untrained network.",
        {
            "data.dataset": "cifar10",
            "data.train_items": 0,
            "data.test_items": 0,
            **_PICTURES,
            "image.size": 32,
            "optimizer.steps": 1000,
            "run.record_every": 5,
            "evaluation.probe_items": 10_000,  # as many as in the published two-class results
        },
    ),
    "cifar10_patches": Preset(
        "Photographs in patches",
        "Prediction from patch to patch alone, without an item-level term: here the negatives decide what is learned.",
        {
            "data.dataset": "cifar10",
            "data.train_items": 0,
            "data.test_items": 0,
            "optimizer.batch_size": 128,
            "optimizer.steps": 600,
            "run.record_every": 2,
            "evaluation.probe_items": 10_000,
            **_VIEWS,
        },
    ),
    "tones_bars": Preset(
        "Tones and bars",
        "Sounds paired with pictures of their class: one context network for both, and a term that attracts pairs.",
        {
            "data.dataset": "tones_bars",
            "sampler.same_item": False,
            "audio.noise_share": 0.5,  # without it, contexts of clean sounds lie apart from those of their pictures
            "image.size": 64,
            "image.width": 32,
            "optimizer.steps": 120,
            **_PAIRED,
            "loss.pair_weight": 6.0,  # at 3 the modality gap stays slightly above a quarter of the gap without the term
        },
    ),
    "keypad": Preset(
        "Telephone keypad",
        "Telephone tones paired with handwritten digits of their key: press one, find its digit.",
        {
            "data.dataset": "keypad",
            "sampler.same_item": False,
            "image.size": 64,
            "image.width": 32,
            "image.flip": False,  # a flipped digit is not a digit
            "optimizer.steps": 200,
            **_PAIRED,
        },
    ),
    "fsdd": Preset(
        "Spoken digits",
        "Real speech of six people: which digit is spoken.",
        {
            "data.dataset": "fsdd",
            "data.train_items": 0,
            "data.test_items": 0,
            **_SOUNDS,
            "loss.prediction_weight": 1.0,  # what comes next is what is said
            "audio.sample_rate": 8000,
            "audio.clip_seconds": 0.8,
            "audio.recording_seconds": 0.8,  # one digit; what a few longer recordings have around it is silence
            "audio.mel_bands": 32,  # too few to distinguish the pitch of voices
            "audio.center": True,
            "audio.warp": 0.25,
            "sampler.one_group": True,
            "evaluation.strengths": [0.01, 0.1, 1.0, 10.0],  # validation favors weak regularization here
            "optimizer.steps": 400,
        },
    ),
    "image_folder": Preset(
        "My pictures",
        "Your own pictures, one sub-folder per class.",
        {
            "data.dataset": "image_folder",
            "data.train_items": 0,
            "data.test_items": 0,
            **_PICTURES,
            "optimizer.steps": 1000,
            "run.record_every": 5,
            "evaluation.probe_items": 10_000,
        },
    ),
    "audio_folder": Preset(
        "My sounds",
        "Your own sounds, one sub-folder per class.",
        {
            "data.dataset": "audio_folder",
            "data.train_items": 0,
            "data.test_items": 0,
            **_SOUNDS,
            "optimizer.steps": 600,
            "run.record_every": 2,
        },
    ),
    "paired_folders": Preset(
        "My pairs",
        "Your own sounds and pictures, in two folders with the same class names, paired within a class.",
        {
            "data.dataset": "paired_folders",
            "data.train_items": 0,
            "data.test_items": 0,
            **_SOUNDS,
            **_PICTURES,
            "loss.item_temperature": 0.1,
            "image.width": 64,  # a step holds both; wider ones take longer and find no more
            "audio.warp": 0.15,
            **_PAIRED,
            "loss.pair_positives": "class",  # as the pairs are drawn
            "loss.pair_temperature": 0.2,
            "optimizer.batch_size": 64,
            "optimizer.steps": 400,
            "run.record_every": 2,
        },
    ),
    "reference_tones": Preset(
        "Reference recipe: tones",
        "Algorithm 2 as published, with our τ, σ, rate, and steps, on tones: every source of negatives, nothing "
        "masked.",
        {**_REFERENCE, "data.dataset": "tones", "optimizer.steps": 300},
    ),
    "reference_cifar10": Preset(
        "Reference recipe: photographs",
        "Algorithm 2 as published, with our τ, σ, rate, and steps, on photographs: what overlapping receptive fields "
        "and a plain queue do.",
        {
            **_REFERENCE,
            "data.dataset": "cifar10",
            "data.train_items": 0,
            "data.test_items": 0,
            "optimizer.steps": 300,
        },
    ),
    "reference_tones_bars": Preset(
        "Reference recipe: tones and bars",
        "Algorithm 1 as published, with our τ, σ, rate, and steps: the other modality serves only as negatives, so the "
        "modalities stay apart.",
        {
            **_REFERENCE,
            "data.dataset": "tones_bars",
            "sampler.cross_modal": True,
            "optimizer.steps": 150,
            "evaluation.every": 25,  # steps are slow here, and the first map should come soon
        },
    ),
}


ALIASES = {  # names of earlier versions
    name.replace("reference", "seed"): name for name in PRESETS if name.startswith("reference_")
}


def preset(name: str) -> Preset:
    """Return a preset by name; the names of earlier versions are accepted too.

    Raises:
        ConfigError: there is no such preset; the message has the nearest name.

    Example:
        >>> preset("tones").config().optimizer.steps
        150
    """
    name = ALIASES.get(name, name)
    if name not in PRESETS:
        raise unknown("preset", name, PRESETS)
    return PRESETS[name]
