"""Preview of a training step from the configuration alone: numbers of anchors and candidates, memory, and diagnostics.

Only arithmetic on settings: no data are read, and PyTorch is not imported.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

from ..config import RunConfig
from ..datasets import DATASETS
from ..sources import SOURCES, StepShape
from ..terms import ITEM_NOUNS, Modality

BLOCK_BYTES = {"cpu": 32 << 20, "cuda": 1 << 30}  # most bytes of logits that the block-wise loss keeps (see `infonce`)
NEAR_COPY = 0.95  # cosine above which a perturbed latent is practically a copy of its original
CLEAR_SIGMA = 0.5  # no copy, for latents of 1 dimension or more


@dataclass(frozen=True)
class ModalityPlan:
    """What every training step does with one modality.

    Attributes:
        modality: "audio" or "image".
        length: number T of latents per item.
        horizons: horizons k < T, ascending.
        anchors: number N of anchors over all horizons, and of the global–local term.
        candidates: candidates per source before masks, with a full queue.
        queue_steps: number of steps that a full queue reaches back; None without a queue.
        queue_share: latents in a full queue divided by latents of all training items; None if the number of either is
            unknown, as of recordings in folders, of which each step reads another stretch.
        item_queue_steps, item_queue_share: the same for the item-level term, whose queue holds one embedding per item.
        matrix_bytes: size of an N × M matrix of float32 logits.
        loss_bytes: bytes of logits that the block-wise loss keeps instead.
    """

    modality: str
    length: int
    horizons: tuple[int, ...]
    anchors: int
    candidates: dict[str, int]
    queue_steps: float | None
    queue_share: float | None
    item_queue_steps: float | None
    item_queue_share: float | None
    matrix_bytes: int
    loss_bytes: int


@dataclass(frozen=True)
class Diagnostic:
    """A warning about a configuration, shown before the run starts.

    Attributes:
        text: what is the matter.
        advice: what to change.
        stops: whether the run would fail immediately.
        changes: settings that follow the advice, {"section.setting": value}; empty where it takes a decision.
    """

    text: str
    advice: str
    stops: bool = False
    changes: dict[str, Any] = field(default_factory=dict)


def modalities(config: RunConfig) -> tuple[Modality, ...]:
    """Return the modalities of the configuration's data set: "audio", "image", or both.

    Example:
        >>> modalities(RunConfig().replace({"data.dataset": "tones_bars"}))
        ('audio', 'image')
    """
    return DATASETS[config.data.dataset].modalities


def sequence_length(config: RunConfig, modality: str) -> int:
    """Compute the number T of latents per item (see docs/method.md#encoders).

    Example:
        >>> sequence_length(RunConfig().replace({"image.grid": 4}), "image")
        16
    """
    return config.image.grid**2 if modality == "image" else config.audio.sequence_length


def perturbed_cosine(config: RunConfig) -> float | None:
    """Compute the expected cosine between a latent and its perturbed copy (see docs/method.md#perturbed).

    Returns:
        None if the length of the latents is not known in advance (dot product without LayerNorm).

    Example:
        >>> round(perturbed_cosine(RunConfig().replace({"sampler.sigma": 0.1, "context.latent_dim": 64})), 2)
        0.78
    """
    sigma, dim = config.sampler.sigma, config.context.latent_dim
    if config.loss.similarity == "cosine":
        return 1 / math.sqrt(1 + dim * sigma**2)
    return 1 / math.sqrt(1 + sigma**2) if config.context.latent_norm else None  # LayerNorm gives length √d


def training_items(config: RunConfig) -> int | None:
    """Return about how many items the training split has; None if that depends on the data (`data.train_items` = 0).

    The exact number is known once the data are made: as many of every class, and copies in one split.
    """
    limit = config.data.train_items
    return round(limit * (1 - config.data.validation_share)) if limit else None


def _with_native_sizes(config: RunConfig) -> RunConfig:
    """The configuration with the sizes of its data set where they follow from data that are not read yet."""
    values = config.flat()
    return config.replace({p: size for p, size in DATASETS[config.data.dataset].native.items() if not values[p]})


def plan(config: RunConfig, device: str = "cpu", items: int | None = None) -> list[ModalityPlan]:
    """Compute what every training step will do, per modality.

    Args:
        config: configuration of the run.
        device: "cpu" or "cuda…"; only the memory of the loss depends on it.
        items: number of training items where the data were read; None: what the settings say of it.

    Example:
        >>> [audio] = plan(RunConfig().replace({"data.dataset": "tones", "optimizer.batch_size": 64}))
        >>> audio.length, audio.horizons, audio.anchors, audio.candidates
        (16, (1, 2, 4), 2624, {'in_batch': 960})
    """
    config = _with_native_sizes(config)
    sampler, items = config.sampler, items or training_items(config)
    batch = min(config.optimizer.batch_size, items or config.optimizer.batch_size)
    names, compared = modalities(config), config.loss.item_weight > 0

    def of_data(queued: int, each: int) -> float | None:
        return queued / (items * each) if queued and items and each else None

    lengths = {m: sequence_length(config, m) for m in names}
    plans = []
    for modality, length in lengths.items():
        horizons = tuple(k for k in config.horizons(modality) if k < length)
        futures = length - config.first_target(modality) if horizons else 0
        anchors = batch * sum(len(config.image.anchors(k)) if modality == "image" else length - k for k in horizons)
        anchors *= config.reading_orders(modality)
        if config.loss.global_weight and horizons:
            anchors += batch * futures
        shape = StepShape(batch, length, futures, sum(n for m, n in lengths.items() if m != modality))
        counts = {source.name: source.count(sampler, shape) for source in SOURCES.values()}
        candidates = {name: count for name, count in counts.items() if count}
        enqueued = batch * (min(sampler.queue_per_item, futures) or futures)
        matrix = 4 * anchors * sum(candidates.values())
        plans.append(
            ModalityPlan(
                modality=modality,
                length=length,
                horizons=horizons,
                anchors=anchors,
                candidates=candidates,
                queue_steps=sampler.queue_size / enqueued if sampler.queue_size and enqueued else None,
                queue_share=of_data(sampler.queue_size, futures) if one_clip_each(config, modality) else None,
                item_queue_steps=sampler.queue_size / batch if sampler.queue_size and compared else None,
                item_queue_share=of_data(sampler.queue_size, 1) if compared else None,
                matrix_bytes=matrix,
                loss_bytes=min(matrix, BLOCK_BYTES["cuda" if device.startswith("cuda") else "cpu"]),
            )
        )
    return plans


def one_clip_each(config: RunConfig, modality: str) -> bool:
    """Return whether every step reads the same stretch of an item.

    Recordings in folders may be longer than a clip; how long is known only once they are read.

    Example:
        >>> config = RunConfig().replace({"data.dataset": "paired_folders"})
        >>> one_clip_each(config, "audio"), one_clip_each(config, "image")
        (False, True)
    """
    return modality != "audio" or DATASETS[config.data.dataset].origin != "folder"


def diagnostics(config: RunConfig, items: int | None = None) -> list[Diagnostic]:
    """Return warnings about a configuration: first those that stop the run, then those that make it less useful.

    Args:
        config: configuration of the run.
        items: as in `plan`.

    Example:
        >>> first = diagnostics(RunConfig().replace({"data.dataset": "tones", "sampler.cross_modal": True}))[0]
        >>> first.stops, first.advice
        (True, 'Choose paired data.')
    """
    warnings = [*_errors(config), *_advice(config, items or training_items(config))]
    return sorted(warnings, key=lambda diagnostic: not diagnostic.stops)


def _errors(config: RunConfig) -> Iterator[Diagnostic]:
    """Settings with which the run would fail immediately."""
    spec = DATASETS[config.data.dataset]
    if len(spec.modalities) < 2 and (config.sampler.cross_modal or config.loss.pair_weight > 0):
        yield Diagnostic("The other modality is asked for, but these data have only one.", "Choose paired data.", True)
    for part in plan(config):
        if not part.horizons:
            horizon = min(config.horizons(part.modality))
            text = f"One {ITEM_NOUNS[part.modality][0]} gives {part.length} latents: nothing lies "
            yield Diagnostic(f"{text}{horizon} ahead.", "Lower the horizons, or make finer latents.", True)
        elif not part.candidates:
            text = f"No negatives are left for {part.modality}: the in-batch ones are off, and every other source."
            yield Diagnostic(text, "Switch on a source, or sampler.in_batch.", True)
    if config.data.split == "group" and spec.origin != "folder":
        yield Diagnostic("Only files of your own have groups that can be held out.", "Choose another split.", True)
    elif config.data.split == "group" and not config.data.groups:
        yield Diagnostic("A group is to be held out, but files have none.", "Say what groups them (data.groups).", True)
    for path, what in spec.needs:
        if not config.flat()[path]:
            yield Diagnostic(f"No folder is given ({path}).", f"Say where it is: {what}.", True)


def _advice(config: RunConfig, items: int | None) -> Iterator[Diagnostic]:
    """Settings that make the run's result less useful."""
    sampler, spec = config.sampler, DATASETS[config.data.dataset]
    masks = sampler.mode != "reference"
    if spec.stationary and (sampler.same_item or not masks):
        yield Diagnostic(
            "The positions of one item of these data are alike, so they are false negatives of each other.",
            "Switch off sampler.same_item"
            + ("." if masks else ", and choose `sampler.mode=exclude_positives` to mask."),
            changes={"sampler.same_item": False, **({} if masks else {"sampler.mode": "exclude_positives"})},
        )
    if not masks:
        way_out = "That is the reference recipe; choose `sampler.mode=exclude_positives` to mask them."
        text = "Nothing is masked: copies of the positive count as negatives"
        floor = ", so the loss cannot fall below log 2" if sampler.shuffled in ("batch", "time") else ""
        yield Diagnostic(f"{text}{floor}.", way_out, changes={"sampler.mode": "exclude_positives"})
    cosine = perturbed_cosine(config)
    if sampler.perturbed and cosine is not None and cosine > NEAR_COPY:
        yield Diagnostic(
            f"{SOURCES['perturbed'].label.capitalize()} negatives "
            f"keep cos {cosine:.3f} with their originals: they are copies.",
            "Raise sampler.sigma.",
            changes={"sampler.sigma": CLEAR_SIGMA},
        )
    if sampler.queue_size:
        yield from _queue_advice(config, items)
    if sampler.cross_modal and config.loss.pair_weight == 0:
        yield Diagnostic(
            "The other modality serves only as negatives, which pushes the two apart.",
            "Raise loss.pair_weight to draw pairs together.",
            changes={"loss.pair_weight": 1.0},
        )
    if items and items < 2 * config.optimizer.batch_size:
        yield Diagnostic(f"{items} training items make less than two batches.", "Use more items or smaller batches.")


def _queue_advice(config: RunConfig, items: int | None) -> Iterator[Diagnostic]:
    """Settings of the queue that make it less useful."""
    if config.sampler.key_momentum == 0:
        yield Diagnostic(
            "A queue of keys from a fast-changing encoder can make the latents collapse.",
            "Set sampler.key_momentum to 0.98, or switch the queue off.",
            changes={"sampler.key_momentum": 0.98},
        )
    for part in plan(config, items=items):
        if part.queue_share is not None and part.queue_share >= 1:
            yield Diagnostic(
                f"The queue ({part.modality}) holds {part.queue_share:.1f} times what all training items have.",
                "Make it smaller: it holds copies of the batch's own items.",
                changes={"sampler.queue_size": max(1, int(config.sampler.queue_size / part.queue_share / 2))},
            )
        elif part.queue_steps is not None and part.queue_steps < 2:
            yield Diagnostic(
                f"The queue ({part.modality}) reaches back only {part.queue_steps:.1f} steps.",
                "Let fewer latents of each item in (sampler.queue_per_item), or make it larger.",
            )
