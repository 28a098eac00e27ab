"""One training step as one anchor goes through it: what each stage makes, from its own input to what is queued.

The stages are the lines of docs/method.md#algorithm-1 and docs/method.md#algorithm-2. All figures are those of the
batch as `frozen` and `what_if` have it; here they are put beside each other.
"""

from __future__ import annotations

import copy
import math
from dataclasses import dataclass

import torch
from torch import Tensor

from ..model import Encoding
from ..negatives.identity import item_index
from ..sources import Keys
from ..terms import Modality
from ..training.objectives.item_term import one_view
from ..training.objectives.pair_term import class_pair_loss, pair_loss
from ..training.objectives.regularizers import vicreg
from ..training.schedule import learning_rate
from .frozen import Frozen, Read
from .past import Term
from .what_if import Outcome


@dataclass(frozen=True)
class Made:
    """What a stage made of the whole batch, and the part of it that belongs to the anchor's item.

    Attributes:
        shape: of the whole tensor. values: the item's part, (rows, columns), or (3, height, width) of a picture.
    """

    shape: tuple[int, ...]
    values: Tensor


@dataclass(frozen=True)
class OneStep:
    """What one step makes, stage by stage, for one anchor.

    Attributes:
        number: of the step, from 1. rate: its learning rate.
        input: features, augmented as training reads them. latents: (T, d) of the item. contexts: (T, h) of the item.
        prediction: its values are (2, d): the anchor's vector, and its positive.
        temperature: τ.
        read: what the context network had read when it predicted; None where the anchor is of the whole item.
        target: position of its positive; None where that is of the whole item.
        outcome: the line-up of the anchor, the loss, and statistics of the batch.
        terms: what adds up to the loss of the step, by name: a term and its modality, or the name of a setting.
        gradient: (d,) of the anchor's loss on its vector.
        arrows: what moves the anchor's vector, by source, "positive", and "all" together: along the vector itself,
            and across it toward its positive. Minus the gradient, times τ.
        queue: what the step does to the queue; None without one.
    """

    number: int
    rate: float
    input: Made
    latents: Made
    contexts: Made
    prediction: Made
    temperature: float
    read: Read | None
    target: int | None
    outcome: Outcome
    terms: dict[str, float]
    gradient: Tensor
    arrows: dict[str, tuple[float, float]]
    queue: Turnover | None

    @property
    def loss(self) -> float:
        """The loss of the step, over all terms and modalities, in nats."""
        return sum(self.terms.values())

    @property
    def negatives(self) -> int:
        """How many negatives the anchor has after masks."""
        return sum(int(strip.counts.sum()) for strip in self.outcome.lineup.strips.values())

    @property
    def chance(self) -> float:
        """The anchor's loss if all of its logits were equal, in nats."""
        return math.log(self.negatives + 1)


@dataclass(frozen=True)
class Turnover:
    """What a step does to a queue.

    Attributes:
        capacity: in latents. before, after: how many it holds of each step, oldest first.
        entering, leaving: latents. own: those of the anchor's item that enter.
    """

    capacity: int
    before: list[tuple[int, int]]
    after: list[tuple[int, int]]
    entering: int
    leaving: int
    own: int


def one_step(frozen: Frozen, outcome: Outcome) -> OneStep:
    """Follow one anchor through the step that trains on its batch.

    Args:
        frozen: the loss that the anchor is of.
        outcome: of this anchor under the run's own settings (`what_if.what_if`).
    """
    lineup, inputs = outcome.lineup, frozen.inputs
    forward, modality = frozen.batch.forward, frozen.modality
    items, part = len(forward.rows), lineup.part
    begins = [sum(count for _, count in inputs.parts[:i]) for i in range(len(inputs.parts))]
    offset = lineup.anchor - max(begin for begin in begins if begin <= lineup.anchor)
    features = forward.inputs[modality]
    encoding, row = forward.encodings[modality], offset % items
    target, read = None, frozen.read(lineup.anchor)
    if part == "item":
        if offset >= items and forward.other is not None:  # anchors of the other view, whose latents were not kept
            features = forward.other[modality]
            with torch.no_grad():
                encoding = frozen.opened.trainer.network({modality: features[row : row + 1]})[modality]
    else:
        row = offset // (dict(inputs.parts)[part] // items)
        futures, length = inputs.futures, encoding.latents.shape[1]
        target = int(inputs.positives[lineup.anchor]) % futures.length + length - futures.length
    of_item = row if len(encoding.latents) == items else 0
    contexts = encoding.contexts[of_item]
    if read is not None and len(encoding.orders) > 1:
        contexts = _in_order(frozen, encoding, read)
    shape = (items, *encoding.latents.shape[1:])
    vector = inputs.anchors[lineup.anchor].detach().float()
    positive = inputs.futures.vectors[inputs.positives[lineup.anchor]].detach().float()
    gradient, arrows = _gradient(frozen, outcome, vector, positive)
    return OneStep(
        number=frozen.opened.step + 1,
        rate=learning_rate(frozen.opened.config.optimizer, frozen.opened.step),
        input=Made(tuple(features.shape), features[row].float()),
        latents=Made(shape, encoding.latents[of_item].float()),
        contexts=Made((items, *encoding.contexts.shape[1:]), contexts.float()),
        prediction=Made(_predicted(frozen, part), torch.stack([vector, positive])),
        temperature=frozen.temperature,
        read=read,
        target=target,
        outcome=outcome,
        terms=_terms(frozen, outcome),
        gradient=gradient,
        arrows=arrows,
        queue=_turnover(frozen, lineup.item),
    )


def _predicted(frozen: Frozen, part: str) -> tuple[int, ...]:
    """The shape of what the network made all anchors of a part from."""
    if part.isdigit():
        return tuple(frozen.batch.forward.encodings[frozen.modality].predictions[int(part)].shape)
    rows = len(frozen.inputs.anchors) if part == "item" else len(frozen.batch.forward.rows)
    return (rows, frozen.inputs.anchors.shape[1])


def _gradient(
    frozen: Frozen, outcome: Outcome, vector: Tensor, positive: Tensor
) -> tuple[Tensor, dict[str, tuple[float, float]]]:
    """The gradient of the anchor's loss on its vector (d,), and what it is made of, in the plane of both vectors."""
    lineup = outcome.lineup
    moves = {"positive": lineup.attraction * positive} | {name: -strip.push for name, strip in lineup.strips.items()}
    moves["all"] = torch.stack(list(moves.values())).sum(0)
    along = torch.nn.functional.normalize(vector, dim=0)
    across = torch.nn.functional.normalize(positive - (positive @ along) * along, dim=0)
    return -moves["all"] / frozen.temperature, {n: (float(v @ along), float(v @ across)) for n, v in moves.items()}


@torch.no_grad()
def _terms(frozen: Frozen, outcome: Outcome) -> dict[str, float]:
    """What adds up to the loss of the step, as `Trainer.step` has it."""
    batch, config = frozen.batch, frozen.opened.config
    forward, loss = batch.forward, config.loss
    terms: dict[str, float] = {}
    for (term, modality), other in batch.losses.items():
        if other is frozen:
            value = outcome.weighted
        else:
            inputs, candidates = other.draw(config)
            value = float(inputs.loss(candidates, record=False).loss)
        weight = loss.item_weight if term == "item" else 1.0
        terms[f"{term} {modality}"] = weight * value / len(forward.keys)
    encodings = list(forward.encodings.values())
    if loss.regularizes:
        views = [encoding.both_items() for encoding in encodings]
        terms["regularizers"] = float(torch.stack([vicreg(a.float(), b.float(), loss) for a, b in views]).mean())
    if loss.pair_weight > 0:
        sounds, pictures = (forward.encodings[m].contexts for m in frozen.opened.trainer.model.modalities)
        if loss.pair_positives == "class":
            pair = class_pair_loss(sounds, pictures, forward.origin.labels, loss.pair_temperature)
        else:
            pair = pair_loss(sounds, pictures, forward.origin.pairs, loss.pair_temperature)
        terms["pair_weight"] = loss.pair_weight * float(pair)
    return terms


def _in_order(frozen: Frozen, encoding: Encoding, read: Read) -> Tensor:
    """The states (T, h) of the order in which an anchor's context was read, by position."""
    with torch.no_grad():
        reading = frozen.opened.trainer.model.gru.read(frozen.modality, encoding.latents[read.row : read.row + 1])
    return reading.states[read.order, 0][reading.orders[read.order].argsort()]


def _turnover(frozen: Frozen, item: int) -> Turnover | None:
    """Fill copies of the queues as the step would."""
    opened, batch = frozen.opened, frozen.batch
    if opened.samplers(frozen.term)[frozen.modality].queue.size == 0:
        return None
    entering: dict[tuple[Term, Modality], Keys] = {
        ("prediction", m): some.futures(opened.trainer.model.first_targets[m]) for m, some in batch.forward.keys.items()
    }
    entering |= {("item", m): one_view(both) for m, both in batch.item_keys.items()}
    generator = torch.Generator()
    generator.set_state(batch.after)
    for which, keys in entering.items():  # in the step's order, since what enters may be drawn at random
        sampler = copy.copy(opened.samplers(which[0])[which[1]])
        before = sampler.queue
        sampler.generator, sampler.queue = generator, copy.deepcopy(before)
        sampler.enqueue(keys, opened.step)
        if which == (frozen.term, frozen.modality):
            break
    state = sampler.queue.state()
    new = state["steps"] == opened.step
    entered = int(new.sum())
    return Turnover(
        capacity=before.size,
        before=_by_step(before.state()["steps"]),
        after=_by_step(state["steps"]),
        entering=entered,
        leaving=len(before) + entered - len(sampler.queue),
        own=int((item_index(state["ids"][new]) == item).sum()),
    )


def _by_step(steps: Tensor) -> list[tuple[int, int]]:
    """How many latents there are of each step, in their order."""
    found, counts = torch.unique_consecutive(steps, return_counts=True)
    return list(zip(found.tolist(), counts.tolist(), strict=True))
