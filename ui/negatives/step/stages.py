"""The stages of a step in words: what each does, its lines in the algorithms, and the settings that decide it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from cpc_engine.terms import READING_ORDERS

from ...drawing.text import source_label

if TYPE_CHECKING:
    from cpc_engine.anatomy.one_step import OneStep
    from cpc_engine.config import RunConfig
    from cpc_engine.terms import Modality

PIECES = {"audio": "stretch of time", "image": "cell of the picture"}


@dataclass(frozen=True)
class Stage:
    """One part of the diagram.

    Attributes:
        name: a verb or a noun. shape: of what it makes. words: what it does, with the step's own figures.
        lines: (algorithm, line), from 1. settings: paths of those that decide it.
    """

    name: str
    shape: str
    words: str
    lines: tuple[tuple[int, int], ...]
    settings: tuple[str, ...]


def stages(step: OneStep, config: RunConfig, modality: Modality, anchors: int) -> list[Stage]:
    """The eight stages of a step, in their order; `anchors` is the number of all that the loss has."""
    sound, both = modality == "audio", len(step.terms) > 1
    names = set(step.outcome.lineup.strips)
    candidates, size = sum(len(one.items) for one in step.outcome.lineup.strips.values()), len(step.gradient)
    of_item = step.outcome.lineup.part == "item"
    temperature = "loss.item_temperature" if of_item else "loss.temperature"
    sources = ((1, 5, "cross_modal"), (2, 3, "in_batch"), (2, 4, "queue"), (2, 5, "perturbed"), (2, 6, "shuffled"))
    gathered = [(n, line) for n, line, name in sources if name in names]
    if names & {"cross_modal", "mixed"}:
        gathered.append((2, 7))
    losses = [(2, 10), (1, 9)] if of_item else [(2, 10), (1, 6 if sound else 7)]
    losses += [(1, 8)] if both and not of_item else []
    losses += [(1, 9)] if config.loss.pair_weight > 0 and not of_item else []
    return [
        Stage(
            "Encode",
            _shape(step.latents.shape),
            _encode(step, config, modality),
            ((1, 2 if sound else 3),),
            (f"{modality}.encoder", f"{modality}.width", "context.latent_dim", "optimizer.batch_size"),
        ),
        Stage(
            "Context",
            _shape(step.contexts.shape),
            _context(step),
            ((1, 4),),
            ("context.hidden_dim", "context.layers"),
        ),
        Stage(
            "Predict",
            _shape(step.prediction.shape),
            _predict(step, config),
            ((1, 9),) if of_item else ((1, 4), (2, 1), (2, 2)),
            ("context.item_dim",) if of_item else ("context.horizons", "context.other_view", "sampler.key_momentum"),
        ),
        Stage(
            "Gather",
            _shape((candidates, size)),
            _gather(step, config),
            (*gathered, (2, 9)),
            (
                "sampler.queue_size",
                "sampler.perturbed",
                "sampler.sigma",
                "sampler.shuffled",
                "sampler.cross_modal",
                "sampler.mixed",
                "sampler.mode",
                "sampler.same_item",
                "sampler.same_class",
            ),
        ),
        Stage(
            "Logits",
            _shape((anchors, candidates)),
            _logits(step),
            ((2, 8), (2, 9)),
            ("loss.similarity", temperature, "loss.learnable_temperature"),
        ),
        Stage(
            "Loss",
            _shape((anchors,)),
            _loss(step),
            tuple(losses),
            (
                "loss.prediction_weight",
                "loss.item_weight",
                "loss.pair_weight",
                "sampler.hardness",
                "sampler.class_prior",
            ),
        ),
        Stage(
            "Gradient",
            _shape((anchors, size)),
            _gradient(step),
            ((1, 10),),
            (
                "optimizer.learning_rate",
                "optimizer.clip_norm",
                "sampler.detach_synthetic",
                "sampler.detach_cross_modal",
                temperature,
            ),
        ),
        Stage(
            "Enqueue",
            _shape((step.queue.entering, size)) if step.queue else "no queue",
            _enqueue(step),
            (*(((1, 11),) if config.sampler.key_momentum > 0 else ()), (1, 12), (2, 11)),
            ("sampler.queue_size", "sampler.queue_per_item", "sampler.queue_max_age", "sampler.key_momentum"),
        ),
    ]


def _encode(step: OneStep, config: RunConfig, modality: Modality) -> str:
    positions, size = step.latents.values.shape
    items = step.latents.shape[0]
    slow = " A slower copy of the encoder makes the keys." if config.sampler.key_momentum > 0 else ""
    return (
        f"The encoder reads the item as this step sees it, changed at random, and makes {positions} latents of {size} "
        f"numbers, one per {PIECES[modality]}. So it does with all {items} items of the batch.{slow}"
    )


def _context(step: OneStep) -> str:
    size = step.contexts.values.shape[1]
    if step.read is None:
        return (
            f"The GRU reads the latents in their order and has {size} numbers after each. This loss is about the whole "
            "item: it reads a summary of all positions, of the contexts or of the encoder's own maps."
        )
    words = f"latents 1 to {step.read.last + 1}" if step.read.last else "latent 1"
    if step.read.order:
        words = f"{step.read.count} of them"
    return (
        f"The GRU reads the latents {READING_ORDERS[step.read.order]}. Its {size} numbers after {words} (solid frame) "
        f"are the context. It has not seen latent {_target(step)} (dashed frame), which is to be predicted."
    )


def _predict(step: OneStep, config: RunConfig) -> str:
    part = step.outcome.lineup.part
    if part == "item":
        return (
            "A small network makes an item embedding of the summary. Its positive is that of another view of the item."
        )
    if part == "global":
        return f"A linear map turns the summary into one vector. Its positive is latent {_target(step)} of the item."
    unit = " Both have length 1." if config.loss.similarity == "cosine" else ""
    view = " of another view" if config.context.other_view else ""
    return (
        f"A linear map for {part} ahead turns the context into a prediction of latent {_target(step)}. The real latent "
        f"{_target(step)}{view} is the positive.{unit}"
    )


def _gather(step: OneStep, config: RunConfig) -> str:
    strips = step.outcome.lineup.strips.values()
    masked = sum(len(one.items) - int(one.counts.sum()) for one in strips)
    why = "of its item or copies of the positive" if not config.sampler.same_item else "the positive or copies of it"
    why = why if config.sampler.same_class else "of its class"
    left = f" {masked:,} {'is' if masked == 1 else 'are'} left out: {why}." if masked else ""
    count = len(step.outcome.lineup.strips)
    return (
        f"Negatives come from {count} {'source' if count == 1 else 'sources'}: {step.negatives:,} for this "
        f"prediction.{left}"
    )


def _logits(step: OneStep) -> str:
    closer = sum(int((one.closer & one.counts).sum()) for one in step.outcome.lineup.strips.values())
    rank = {0: "No negative is", 1: "1 negative is"}.get(closer, f"{closer:,} negatives are")
    return (
        f"The similarity of each to the prediction is divided by τ = {step.temperature:.3g}. {rank} more similar than "
        "the positive (upright line)."
    )


def _loss(step: OneStep) -> str:
    lineup = step.outcome.lineup
    words = (
        f"A softmax makes probabilities of the logits. The positive gets {percent(lineup.positive)}, so the loss is "
        f"−ln {lineup.positive:.3g} = {lineup.loss:.3f}. If all were equally similar, it would be "
        f"ln({step.negatives:,} + 1)."
    )
    if len(step.terms) > 1:
        words += f" With all terms and modalities the loss of the step is {step.loss:.3f}."
    return words


def _gradient(step: OneStep) -> str:
    lineup = step.outcome.lineup
    name = lineup.strongest
    if name is None:
        return "No negative has a gradient on this prediction."
    return (
        f"The loss pulls the prediction to its positive and pushes it from the negatives. {source_label(name)} "
        f"negatives do {lineup.strips[name].total:.0%} of the pushing. {lineup.false_share:.0%} of all comes from the "
        f"item's own class (hatched). Back through the network, all weights move at rate {step.rate:.2g}."
    )


def _enqueue(step: OneStep) -> str:
    if step.queue is None:
        return "This run has no queue: the latents of this step are forgotten. The next step begins with another batch."
    return (
        f"The latents of this step enter the queue without gradient and are negatives of later steps. The oldest "
        f"{step.queue.leaving:,} leave. Then the next batch comes."
        if step.queue.leaving
        else "The latents of this step enter the queue without gradient and are negatives of later steps. None has to "
        "leave yet. Then the next batch comes."
    )


def percent(share: float) -> str:
    """A probability with two digits, however small.

    Example:
        >>> percent(0.1234), percent(0.00004)
        ('12%', '0.004%')
    """
    return f"{100 * share:.2g}%" if share < 0.995 else "100%"


def _target(step: OneStep) -> int:
    """The number of the positive's position, from 1."""
    assert step.target is not None
    return step.target + 1


def _shape(shape: tuple[int, ...]) -> str:
    return str(tuple(map(int, shape)))
