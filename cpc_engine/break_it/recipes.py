"""The recipes: plain data. Predictions were committed before the first run of any was measured, and stay as they are.

`benchmarks.break_it` measures them; `outcome` says which predictions came true.
"""

from __future__ import annotations

from typing import Any

from .recipe import Control, Prediction, Recipe

# Small enough for a minute beside a control on two processor cores.
_SMALL: dict[str, Any] = {
    "data.train_items": 320,
    "data.test_items": 96,
    "audio.sample_rate": 8000,
    "audio.mel_bands": 32,
    "audio.width": 8,
    "image.size": 32,
    "image.width": 16,
    "context.hidden_dim": 32,
    "context.latent_dim": 16,
    "optimizer.batch_size": 16,
    "optimizer.steps": 240,
    "optimizer.learning_rate": 3e-3,
    "optimizer.warmup_steps": 5,
    "evaluation.every": 12,
    "evaluation.items": 96,
    "evaluation.map_items": 96,
    "run.threads": 1,
    "run.precision": "32-true",  # the same runs on every processor
}
_SHORTER = {"optimizer.steps": 160, "evaluation.every": 8}
_QUEUE = {"sampler.queue_size": 2048, "sampler.key_momentum": 0.98, "sampler.mode": "reference"}

SOUNDS = Control("sounds", "In-batch negatives", "chirps", _SMALL)
NOISE = Control(
    "noise",
    "Noise σ 0.3, nothing masked",
    "chirps",
    {**_SMALL, "sampler.perturbed": True, "sampler.sigma": 0.3, "sampler.mode": "reference"},
)
QUEUE = Control("queue", "Queue with momentum, nothing masked", "chirps", {**_SMALL, **_QUEUE})
PAIRS = Control("pairs", "Sounds and pictures, in-batch", "tones_bars", {**_SMALL, **_SHORTER, "loss.pair_weight": 0.0})
PICTURES = Control("pictures", "Pictures in patches", "chirps", {**_SMALL, **_SHORTER, "data.dataset": "bars"})

_ALL = (
    Recipe(
        "temperature",
        "Temperature near zero",
        SOUNDS,
        {"loss.temperature": 0.01},
        "τ from 0.2 to 0.01",
        Prediction("alignment", "higher", "Predictions end up farther from their true futures: alignment is worse."),
        "Similarities are divided by τ, so at 0.01 a lead of 0.05 over the hardest negative already counts e⁵ times. "
        "Anchors that have it get no gradient, and the others get all of theirs from one or two negatives, often of "
        "their own class. Nothing draws a prediction closer than that lead. Way out: τ between 0.05 and 0.5, or learn "
        "it (`loss.learnable_temperature`).",
    ),
    Recipe(
        "sigma",
        "Noise too small",
        NOISE,
        {"sampler.sigma": 0.01},
        "σ of perturbed negatives from 0.3 to 0.01",
        Prediction("accuracy", "lower", "At most about half of the anchors find their positive: a copy of it wins."),
        "With σ = 0.01 a perturbed negative keeps a cosine of 0.999 with its original. Where nothing is masked, each "
        "anchor's own positive is then among its negatives, and which of the two scores higher is chance. The loss "
        "cannot fall below ln 2. Its gradient hardly suffers: the copy pushes back as much as its presence adds to "
        "the pull of the positive, so what is left is the gradient of in-batch negatives. Way out: a larger σ, or "
        "mask copies of the positive (`sampler.mode`).",
    ),
    Recipe(
        "plain_queue",
        "Queue without momentum",
        SOUNDS,
        {"sampler.queue_size": 2048},
        "a queue of 2048 latents, filled by the encoder itself",
        Prediction("spread", "lower", "The latents collapse: their spread falls."),
        "Queued latents carry no gradient and positives do, so the whole batch lowers the loss by drifting away from "
        "the queue together, and nothing pushes its latents apart. Way out: a momentum encoder "
        "(`sampler.key_momentum` 0.98), or no queue.",
    ),
    Recipe(
        "queue_beyond_data",
        "Queue larger than the data",
        QUEUE,
        {"data.train_items": 96},
        "96 instead of 320 training items, so that the queue holds 1.7 times as many latents as they have",
        Prediction("accuracy", "lower", "Fewer anchors find their positive: older copies of it are in the queue."),
        "A queue of 2048 latents holds half of what 272 training items have (15 each), and 1.7 times what 82 have. "
        "Where nothing is masked, each anchor then meets older encodings of its own positive as negatives. Way out: a "
        "queue smaller than the data, or mask copies of the positive (`sampler.mode`).",
    ),
    Recipe(
        "shuffled_only",
        "Shuffled negatives only",
        SOUNDS,
        {"sampler.in_batch": False, "sampler.shuffled": "input"},
        "latents of shuffled sounds instead of in-batch negatives",
        Prediction("spread", "lower", "The latents collapse: their spread falls."),
        "To tell a sound from its shuffled frames it is enough to know what is shuffled. All true latents may then "
        "lie in one place, far from the shuffled ones: nothing asks which sound it is. Permuted latents "
        "(`sampler.shuffled` batch or time) would be the in-batch negatives again. Way out: keep the in-batch "
        "negatives beside them.",
    ),
    Recipe(
        "cross_modal_only",
        "Cross-modal negatives only",
        PAIRS,
        {"sampler.in_batch": False, "sampler.cross_modal": True},
        "latents of the other modality instead of in-batch negatives",
        Prediction("modality_gap", "higher", "Sounds and pictures move apart: the modality gap grows."),
        "A sound's prediction only has to miss the pictures. One place for all sounds and another for all pictures "
        "does that, so the modalities are pushed apart and nothing tells items of one modality from each other. Way "
        "out: in-batch negatives, and a term that attracts pairs (`loss.pair_weight`).",
    ),
    Recipe(
        "batch_norm",
        "BatchNorm in the encoder",
        QUEUE,
        {"context.batch_norm": True},
        "encoders normalized over the batch instead of within each patch",
        Prediction("accuracy", "higher", "The task gets easier than it should be: more anchors find their positive."),
        "Normalized over the batch, each latent carries statistics of all items and positions of its batch. The "
        "positive shares them and the queue, which is from other batches, does not, so the network can recognize the "
        "batch instead of the future (He et al. 2020 on MoCo; Hénaff et al. 2020 on predictive coding). Way out: "
        "normalize within each item.",
    ),
    Recipe(
        "overlapping_fields",
        "Overlapping receptive fields",
        PICTURES,
        {"image.encoder": "convnet"},
        "one ConvNet over the whole picture instead of separate patches",
        Prediction("accuracy", "higher", "The task gets easier than it should be: more anchors find their positive."),
        "A cell of the ConvNet's last map sees 15 × 15 pixels, 7 of them in common with its neighbor, and zero padding "
        "tells it where in the picture it lies. The future can be recognized by shared pixels and by its place, "
        "without knowing what the picture shows. Way out: encode patches separately, or predict farther ahead.",
    ),
)
RECIPES: dict[str, Recipe] = {recipe.name: recipe for recipe in _ALL}
