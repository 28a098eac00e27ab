"""A batch of a run, rebuilt as a training step would make it and held still, so that it can be looked at."""

from __future__ import annotations

from dataclasses import dataclass, replace

import torch
from torch import Tensor

from ..config import RunConfig
from ..errors import RunError
from ..model.encoded import Encoded
from ..negatives.candidates import Candidates
from ..negatives.identity import NO_POSITION, item_index
from ..negatives.queue import LatentQueue, mixed_order
from ..negatives.sampler import HybridSampler
from ..sources import Keys
from ..terms import Modality
from ..training.objectives.item_term import with_masks
from ..training.objectives.loss_inputs import LossInputs
from ..training.trainer import Forward
from .opened import Opened
from .past import Past, Term


class Batch:
    """The batch that a run draws next, encoded once.

    Random numbers are those of the run's own checkpoint, so without `row` this is the very batch of its next step.

    Args:
        opened: the run.
        row: of an item among `Opened.items` that must be in the batch; where it is not, it replaces the first one.

    Attributes:
        forward: what the network makes of the batch.
        replaced: whether an item was replaced.
        item_keys: of the item-level term, by modality; empty without it.
        losses: by term and modality.
        after: state of the random numbers once all negatives are drawn, from which the step fills its queues.

    Raises:
        RunError: what the network makes of the batch is not finite.
    """

    def __init__(self, opened: Opened, row: int | None = None) -> None:
        self.opened, rows = opened, opened.next_rows()
        self.replaced = row is not None and row not in rows.tolist()
        if self.replaced and row is not None:
            rows = torch.cat([torch.tensor([row]), rows[1:]])
        trainer = opened.trainer
        self._shuffled: dict[Modality, Encoded] = {}
        self.losses: dict[tuple[Term, Modality], Frozen] = {}
        with opened.drawing, torch.no_grad():
            trainer.generator.set_state(opened.random)
            trainer.network.train()
            self.forward: Forward = trainer.forward(rows)
            self.item_keys: dict[Modality, Keys] = {}
            asked = opened.config.sampler.shuffled == "input"
            for modality in self.forward.keys:
                if asked:
                    self._shuffled[modality] = trainer.shuffled_input(modality, self.forward.inputs[modality])
                self._freeze("prediction", modality)
            if trainer.item_term is not None and self.forward.other is not None:
                views = {m: (self.forward.inputs[m], self.forward.other[m]) for m in self.forward.inputs}
                self.item_keys = trainer.item_term.keys(self.forward.encodings, views, self.forward.origin)
                for modality in self.item_keys:
                    self._freeze("item", modality)
            self.after = trainer.generator.get_state()

    def _freeze(self, term: Term, modality: Modality) -> None:
        generator = self.opened.trainer.generator
        random = generator.get_state()
        inputs = self._inputs(term, modality)
        if not all(bool(part.isfinite().all()) for part in (inputs.anchors, inputs.futures.vectors, inputs.scale)):
            raise RunError(f"{self.opened.folder.id}: what its network makes of a batch is not finite")
        inputs.candidates(self.opened.step)  # draws what the step draws, so that the next loss draws what follows
        with torch.enable_grad():
            leaves = _leaves(inputs, self.opened.trainer.ema is None)
        self.losses[term, modality] = Frozen(self, term, modality, leaves, random)

    def _inputs(self, term: Term, modality: Modality) -> LossInputs:
        trainer, forward = self.opened.trainer, self.forward
        encoding, shuffled = forward.encodings[modality], self._shuffled.get(modality)
        if term == "prediction":
            scale = trainer.model.scale()
            return trainer.prediction.inputs(modality, encoding, forward.keys, shuffled, forward.origin, scale)
        assert trainer.item_term is not None
        return trainer.item_term.inputs(modality, encoding, self.item_keys, shuffled, forward.origin)

    def shuffled(self, term: Term, modality: Modality) -> Keys:
        """The keys of the batch's input with frames or tiles shuffled, which runs without this source do not encode."""
        trainer = self.opened.trainer
        with self.opened.drawing, torch.no_grad():
            if modality not in self._shuffled:
                trainer.generator.manual_seed(self.opened.step)
                self._shuffled[modality] = trainer.shuffled_input(modality, self.forward.inputs[modality])
            keys = self._inputs(term, modality).shuffled_input
        assert keys is not None
        return keys


@dataclass(frozen=True)
class Read:
    """What the context network had read of an item before a prediction.

    Attributes:
        row: of the item in the batch. order: which of `Encoding.orders`. last: position that was read last.
        count: number of positions that were read.
    """

    row: int
    order: int
    last: int
    count: int


@dataclass(frozen=True)
class Frozen:
    """One loss of a batch before its negatives are drawn.

    Attributes:
        batch: that it is of. term: "prediction", or "item" for the item-level term. modality: of the anchors.
        inputs: what the loss is computed from; gradients end at its vectors.
        random: state of the generator from which the negatives are drawn, the same at every draw.
    """

    batch: Batch
    term: Term
    modality: Modality
    inputs: LossInputs
    random: Tensor

    @property
    def opened(self) -> Opened:
        return self.batch.opened

    @property
    def temperature(self) -> float:
        """τ of this loss."""
        return 1.0 / float(self.inputs.scale)

    @property
    def items(self) -> Tensor:
        """(N,) int64 item of each anchor: a row among `Opened.items`."""
        return item_index(self.inputs.futures.ids[self.inputs.positives])

    @property
    def positions(self) -> Tensor:
        """(N,) int64 position in its item of what each anchor predicts; 0 of item embeddings."""
        return self.inputs.futures.ids[self.inputs.positives] & NO_POSITION

    @property
    def parts(self) -> list[str]:
        """Horizon of each of the N anchors as text, "global", or "item"."""
        return [name for name, count in self.inputs.parts for _ in range(count)]

    def anchors_of(self, row: int) -> list[int]:
        """The anchors of the item at a row of `Opened.items`, in the order of the loss."""
        item = self.opened.items.contents[self.modality][row]
        found: list[int] = (self.items == item).nonzero()[:, 0].tolist()
        return found

    def beside(self, anchor: int) -> dict[str, int]:
        """The anchors that predict from the same context, by horizon, among them this one.

        Example: what position 3 predicts one and two ahead are positions 4 and 5 of horizons 1 and 2.
        """
        read = self.read(anchor)
        if read is None:
            return {self.parts[anchor]: anchor}
        same = self.anchors_of(int(self.items[anchor]))
        return {self.parts[i]: i for i in same if self.read(i) == read}

    def read(self, anchor: int) -> Read | None:
        """What the context network had read when it predicted; None of anchors that are about whole items."""
        parts = self.parts
        if not parts[anchor].isdigit():
            return None
        encoding = self.batch.forward.encodings[self.modality]
        anchors, orders = encoding.anchors[int(parts[anchor])], encoding.orders
        row, place = divmod(anchor - parts.index(parts[anchor]), len(anchors))
        order, last = place * len(orders) // len(anchors), int(anchors[place])
        return Read(row, order, last, 1 + int((orders[order] == last).nonzero()))

    def draw(self, config: RunConfig) -> tuple[LossInputs, Candidates]:
        """Draw the candidates under some settings, with random numbers that are always the same.

        Args:
            config: the run's own, or one with other settings of the sampler or another τ.

        Returns:
            What the loss is then computed from, and the candidates.
        """
        generator = torch.Generator()
        generator.set_state(self.random)
        settings = with_masks(config) if self.term == "item" else config.sampler
        own, width = self.opened.config, self.inputs.anchors.shape[1]
        stored = self.inputs.sampler.queue
        # Allocates no queue: its own is set below.
        empty = settings.model_copy(update={"queue_size": 0})
        sampler = HybridSampler(empty, width, self.inputs.sampler.cosine, generator)
        sampler.config = settings
        if settings.queue_size == own.sampler.queue_size:
            sampler.queue = stored
        elif settings.queue_size > 0:
            past = self.opened.past if settings.queue_size > len(stored) else []
            sampler.queue = _resized(stored, settings.queue_size, width, past, (self.term, self.modality))
        inputs = replace(self.inputs, sampler=sampler)
        if settings.shuffled == "input" and inputs.shuffled_input is None:
            inputs = replace(inputs, shuffled_input=self.batch.shuffled(self.term, self.modality))
        name = "item_temperature" if self.term == "item" else "temperature"
        asked = getattr(config.loss, name)
        if asked != getattr(own.loss, name):  # otherwise τ stays as it is, which may be a learned one
            bound = 1 / asked if sampler.cosine else None
            inputs = replace(inputs, scale=torch.tensor(1 / asked), bound=bound)
        return inputs, inputs.candidates(self.opened.step)


def _leaves(inputs: LossInputs, attached: bool) -> LossInputs:
    """The inputs with vectors that gradients end at; `attached`: whether they flow to the keys in training."""

    def leaf(keys: Keys | None) -> Keys | None:
        return None if keys is None else replace(keys, vectors=keys.vectors.detach().requires_grad_(attached))

    futures = leaf(inputs.futures)
    assert futures is not None
    return replace(
        inputs,
        anchors=inputs.anchors.detach().requires_grad_(True),
        futures=futures,
        other=leaf(inputs.other),
        shuffled_input=leaf(inputs.shuffled_input),
    )


def _resized(stored: LatentQueue, size: int, width: int, past: Past, which: tuple[Term, Modality]) -> LatentQueue:
    """A queue of another size with the newest of what is stored; before that, what earlier batches would have left."""
    queue = LatentQueue(size, width)
    state = stored.state()
    oldest = int(state["steps"].min()) if len(stored) else None
    for step, keys in past:
        if (oldest is None or step < oldest) and which in keys:
            some = keys[which]
            order = mixed_order(len(some.ids), step)
            queue.push(some.vectors[order], some.ids[order], some.labels[order], step)
    if len(stored):
        steps, counts = torch.unique_consecutive(state["steps"], return_counts=True)
        parts = [state[name].split(counts.tolist()) for name in ("vectors", "ids", "labels")]
        for step, vectors, ids, labels in zip(steps.tolist(), *parts, strict=True):
            queue.push(vectors, ids, labels, step)
    return queue
