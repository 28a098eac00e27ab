"""What a configuration will make the sampler do, before anything runs: counts, memory, and what looks unwise.

Only arithmetic on the configuration; no data are read and nothing heavy is imported.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass

from ..config import DatasetName, RunConfig

SOUNDS: tuple[DatasetName, ...] = ("tones", "chirps", "fsdd", "audio_folder", "tones_bars", "keypad", "paired_folders")
PICTURES: tuple[DatasetName, ...] = (
    "bars",
    "cifar10",
    "image_folder",
    "tones_bars",
    "keypad",
    "paired_folders",
)
STEADY: tuple[DatasetName, ...] = ("tones", "tones_bars", "keypad")  # sounds whose moments are all alike
NEEDS_PATH: tuple[DatasetName, ...] = ("image_folder", "audio_folder", "paired_folders")
FETCHED: tuple[DatasetName, ...] = ("cifar10", "fsdd")  # once the download was allowed
BLOCK_BYTES = {"cpu": 32 << 20, "cuda": 1 << 30}  # logits that the block-wise loss keeps at most (see `infonce`)
NEAR_COPY = 0.95  # cosine above which a noisy copy is the positive for all a network can tell


@dataclass(frozen=True)
class ModalityPlan:
    """One modality's part of every step.

    Attributes:
        length: latents T of one item. horizons: those that fit. anchors: N over all horizons.
        candidates: per source before masks, the queue counted full.
        queue_steps: how many steps the full queue reaches back; None without a queue.
        queue_share: latents in the full queue ÷ latents of all training items; None where their number is unknown.
        matrix_bytes: an N × M matrix of logits in fp32; loss_bytes: what the block-wise loss holds instead.
    """

    modality: str
    length: int
    horizons: tuple[int, ...]
    anchors: int
    candidates: dict[str, int]
    queue_steps: float | None
    queue_share: float | None
    matrix_bytes: int
    loss_bytes: int


@dataclass(frozen=True)
class Remark:
    """Something to know before starting; `stops` means that the run would fail at once."""

    text: str
    advice: str
    stops: bool = False


def modalities(config: RunConfig) -> tuple[str, ...]:
    """What the configuration's data set holds: "audio", "image" or both."""
    name = config.data.dataset
    return tuple(m for m, sets in (("audio", SOUNDS), ("image", PICTURES)) if name in sets)


def sequence_length(config: RunConfig, modality: str) -> int:
    """Latents T of one item."""
    if modality == "image":
        return config.image.grid**2
    audio = config.audio
    hop = round(audio.hop_ms * audio.sample_rate / 1000)
    frames = 1 + round(audio.clip_seconds * audio.sample_rate) // hop
    return frames // audio.frames_per_latent if audio.encoder == "patches" else math.ceil(frames / 4)


def perturbed_cosine(config: RunConfig) -> float | None:
    """Expected cosine of a latent and its noisy copy; None where the length of latents is not known beforehand."""
    sigma, dim = config.sampler.sigma, config.context.latent_dim
    if config.loss.similarity == "cosine":
        return 1 / math.sqrt(1 + dim * sigma**2)
    return 1 / math.sqrt(1 + sigma**2) if config.context.latent_norm else None  # normalised latents are √d long


def training_items(config: RunConfig) -> int | None:
    """Items in the training split; None where only the data themselves tell."""
    asked = config.data.train_items
    return round(asked * (1 - config.data.validation_share)) if asked else None


def plan(config: RunConfig, device: str = "cpu") -> list[ModalityPlan]:
    """Counts per modality.

    Args:
        device: "cpu" or "cuda…", for the loss's memory.
    """
    sampler, items = config.sampler, training_items(config)
    batch = min(config.optimiser.batch_size, items or config.optimiser.batch_size)
    names = modalities(config)
    lengths = {m: sequence_length(config, m) for m in names}
    plans = []
    for modality, length in lengths.items():
        horizons = tuple(sorted(k for k in config.context.horizons if k < length))
        futures = length - min(horizons, default=length)
        anchors = sum(batch * (length - k) for k in horizons)
        candidates = {"in_batch": batch * futures}
        if sampler.queue_size:
            candidates["queue"] = sampler.queue_size
        if sampler.perturbed:
            candidates["perturbed"] = batch * futures
        if sampler.shuffled != "off":
            candidates["shuffled"] = batch * (length if sampler.shuffled == "input" else futures)
        if sampler.cross_modal and len(names) > 1:
            candidates["cross_modal"] = batch * sum(n for m, n in lengths.items() if m != modality)
        entering = batch * (min(sampler.queue_per_item, futures) or futures)
        matrix = 4 * anchors * sum(candidates.values())
        plans.append(
            ModalityPlan(
                modality=modality,
                length=length,
                horizons=horizons,
                anchors=anchors,
                candidates=candidates,
                queue_steps=sampler.queue_size / entering if sampler.queue_size and entering else None,
                queue_share=sampler.queue_size / (items * futures) if items and futures else None,
                matrix_bytes=matrix,
                loss_bytes=min(matrix, BLOCK_BYTES["cuda" if device.startswith("cuda") else "cpu"]),
            )
        )
    return plans


def remarks(config: RunConfig) -> list[Remark]:
    """What stops a run, then what may stop it or makes it teach little."""
    found = [*_stops(config), *_unwise(config)]
    return sorted(found, key=lambda remark: not remark.stops)


def _stops(config: RunConfig) -> Iterator[Remark]:
    names, data = modalities(config), config.data
    if len(names) < 2 and (config.sampler.cross_modal or config.loss.pair_weight > 0):
        yield Remark("The other sense is asked for, but these data have only one.", "Choose paired data.", True)
    for one in plan(config):
        if not one.horizons:
            horizon = min(config.context.horizons)
            text = f"One {'clip' if one.modality == 'audio' else 'picture'} gives {one.length} latents: nothing lies "
            yield Remark(f"{text}{horizon} ahead.", "Lower the horizons, or make finer latents.", True)
    if data.dataset in NEEDS_PATH and not data.path:
        yield Remark("No folder is given.", "Say where your data are (data.path).", True)
    if data.dataset == "paired_folders" and not data.image_path:
        yield Remark("No folder of pictures is given.", "Say where they are (data.image_path).", True)


def _unwise(config: RunConfig) -> Iterator[Remark]:
    sampler, items = config.sampler, training_items(config)
    if config.data.dataset in FETCHED and not config.data.path and not config.data.download:
        yield Remark(
            "No place is given: only data that were fetched before will be found.",
            "Say where they are (data.path), or allow the download (data.download).",
        )
    if config.data.dataset in STEADY and sampler.same_item:
        yield Remark(
            "Steady tones sound alike at every moment, so moments of the same clip are false negatives.",
            "Switch off negatives from the same item (sampler.same_item).",
        )
    if sampler.mode == "seed":
        text = "Nothing is masked: copies of the right answer count as wrong ones"
        floor = ", so the loss cannot fall below log 2" if sampler.shuffled in ("batch", "time") else ""
        yield Remark(f"{text}{floor}.", "That is the original recipe; choose exclude_positives to mask them.")
    cosine = perturbed_cosine(config)
    if sampler.perturbed and cosine is not None and cosine > NEAR_COPY:
        yield Remark(f"Noisy copies keep cos {cosine:.3f}: they are the right answer itself.", "Raise sampler.sigma.")
    if sampler.queue_size:
        yield from _queue(config)
    if sampler.cross_modal and config.loss.pair_weight == 0:
        yield Remark(
            "The other sense serves only as negatives, which pushes the two apart.",
            "Raise loss.pair_weight to draw pairs together.",
        )
    if items and items < 2 * config.optimiser.batch_size:
        yield Remark(f"{items} training items make less than two batches.", "Use more items or smaller batches.")


def _queue(config: RunConfig) -> Iterator[Remark]:
    if config.sampler.key_momentum == 0:
        yield Remark(
            "A memory of keys from a fast-changing encoder can make the latents collapse.",
            "Give it momentum keys (sampler.key_momentum 0.98), or switch it off.",
        )
    for one in plan(config):
        if one.queue_share is not None and one.queue_share >= 1:
            yield Remark(
                f"The memory ({one.modality}) holds {one.queue_share:.1f} times what all training items have.",
                "Make it smaller: it holds copies of the batch's own items.",
            )
        elif one.queue_steps is not None and one.queue_steps < 2:
            yield Remark(
                f"The memory ({one.modality}) reaches back only {one.queue_steps:.1f} steps.",
                "Let fewer latents of each item in (sampler.queue_per_item), or make it larger.",
            )
