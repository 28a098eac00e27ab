"""Ready-made configurations: ours, and the seed's to the letter.

A preset is the set of knobs that differ from the defaults, with a sentence on what it teaches.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from .config import RunConfig
from .knobs import unknown


@dataclass(frozen=True)
class Preset:
    """Knobs that differ from the defaults; `needs_data` says that `data.path` must be given (or a download allowed)."""

    title: str
    teaches: str
    changes: dict[str, Any]
    needs_data: bool = False

    def config(self) -> RunConfig:
        return RunConfig().replace(self.changes)


_PAIRED = {"loss.pair_weight": 1.0, "loss.pair_temperature": 0.5}
_VIEWS = {"context.other_view": True}  # for recordings and photographs: built-in items have nothing to copy
_PLACES = {"audio.filter_db": 10.0}  # recordings come from many microphones and rooms; those are not what sounds

# Algorithm 2 as written: dot products, k = 1, every source, nothing masked, the plain queue; no augmentation.
_SEED: dict[str, Any] = {
    "context.horizons": [1],
    "context.predictors_per_modality": False,
    "context.latent_norm": False,
    "sampler.mode": "seed",
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
    "image.width": 32,
    "image.flip": False,
    "image.crop": 0.0,
    "image.jitter": 0.0,
    "image.color_drop": 0.0,
    "optimiser.batch_size": 64,
    "optimiser.warmup_steps": 0,
    "optimiser.final_rate": 1.0,
    "optimiser.weight_decay": 0.0,
}

PRESETS: dict[str, Preset] = {
    "tones": Preset(
        "Tones",
        "Steady sine tones of four pitches: why positions of one sound make poor negatives.",
        {"data.dataset": "tones", "sampler.same_item": False, "optimiser.steps": 150},
    ),
    "chirps": Preset(
        "Chirps",
        "Sounds that change over time: here the order of frames means something.",
        {"data.dataset": "chirps", "optimiser.steps": 300},
    ),
    "cifar10": Preset(
        "Airplane or automobile",
        "Real photographs, patch by patch: learning beyond what an untrained network gives for nothing.",
        {
            "data.dataset": "cifar10",
            "data.train_items": 0,
            "data.test_items": 0,
            "optimiser.batch_size": 128,
            "optimiser.steps": 600,
            "run.record_every": 2,
            "evaluation.probe_items": 10_000,  # as many as the published two-class figures were made with
            **_VIEWS,
        },
        needs_data=True,
    ),
    "tones_bars": Preset(
        "Tones and bars",
        "Sounds paired with pictures: one context network for both, and a term that draws pairs together.",
        {
            "data.dataset": "tones_bars",
            "sampler.same_item": False,
            "audio.noise_share": 0.5,  # else a clean sound lies apart from its picture
            "image.size": 64,
            "image.width": 32,
            "optimiser.steps": 120,
            **_PAIRED,
            "loss.pair_weight": 6.0,  # at 3 the gap stays a little above a quarter of that without the term
        },
    ),
    "keypad": Preset(
        "Telephone keypad",
        "Telephone tones paired with handwritten digits: press a key, find its digit.",
        {
            "data.dataset": "keypad",
            "sampler.same_item": False,
            "image.size": 64,
            "image.width": 32,
            "image.flip": False,  # a mirrored digit is none
            "optimiser.steps": 200,
            **_PAIRED,
        },
    ),
    "fsdd": Preset(
        "Spoken digits",
        "Real speech of six people: what is said against who says it.",
        {
            "data.dataset": "fsdd",
            "data.train_items": 0,
            "data.test_items": 0,
            "audio.sample_rate": 8000,
            "audio.clip_seconds": 0.8,
            "audio.mel_bands": 32,  # too few to tell one voice's pitch from another's
            "audio.centre": True,
            "audio.warp": 0.15,
            "sampler.one_group": True,
            "evaluation.strengths": [0.01, 0.1, 1.0, 10.0],  # validation likes weak regularisation here
            "optimiser.steps": 1200,
            **_VIEWS,
        },
        needs_data=True,
    ),
    "image_folder": Preset(
        "My pictures",
        "Your own pictures, one sub-folder a class.",
        {"data.dataset": "image_folder", "data.train_items": 0, "data.test_items": 0, **_VIEWS},
        needs_data=True,
    ),
    "audio_folder": Preset(
        "My sounds",
        "Your own sounds, one sub-folder a class.",
        {"data.dataset": "audio_folder", "data.train_items": 0, "data.test_items": 0, **_VIEWS, **_PLACES},
        needs_data=True,
    ),
    "paired_folders": Preset(
        "My pairs",
        "Your own sounds and pictures, folders of the same class names on both sides.",
        {
            "data.dataset": "paired_folders",
            "data.train_items": 0,
            "data.test_items": 0,
            **_PAIRED,
            **_VIEWS,
            **_PLACES,
        },
        needs_data=True,
    ),
    "seed_tones": Preset(
        "The seed's tones",
        "The original recipe on tones: every source of negatives, nothing masked.",
        {**_SEED, "data.dataset": "tones", "optimiser.steps": 300},
    ),
    "seed_cifar10": Preset(
        "The seed's photographs",
        "The original recipe on photographs: watch what overlapping fields and a plain queue do.",
        {
            **_SEED,
            "data.dataset": "cifar10",
            "data.train_items": 0,
            "data.test_items": 0,
            "optimiser.steps": 300,
        },
        needs_data=True,
    ),
    "seed_tones_bars": Preset(
        "The seed's tones and bars",
        "The original multi-modal recipe: the other modality only as negatives, so the two stay apart.",
        {
            **_SEED,
            "data.dataset": "tones_bars",
            "sampler.cross_modal": True,
            "optimiser.steps": 150,
            "evaluation.every": 25,  # a step is slow here, and a first map should not be
        },
    ),
}


def preset(name: str) -> Preset:
    """A preset by name.

    Raises:
        ConfigError: there is none of that name; the message has the nearest.
    """
    if name not in PRESETS:
        raise unknown("preset", name, PRESETS)
    return PRESETS[name]
