"""A run opened at one step, from which its batches can be rebuilt."""

from __future__ import annotations

import threading
from collections.abc import Callable
from copy import copy
from dataclasses import replace
from functools import cached_property
from typing import Any

import numpy as np
import torch
from torch import Tensor

from ..config import RunConfig
from ..data.dataset import Dataset, Split
from ..data.sharing import shared
from ..data.splits import sample_rows
from ..errors import DataError, RunError
from ..execution.device import pick_precision, precision_plugin
from ..execution.weight_snapshots import kept_snapshots, load_state
from ..model.frontends import waveform
from ..negatives.sampler import HybridSampler
from ..storage.artifacts import load_data, load_model
from ..storage.folder import RunFolder
from ..terms import Modality
from ..training.batches import batch_order
from ..training.fabric import Fabric
from ..training.trainer import Trainer
from .past import WANTED, Past, Term, earlier

# A thread per page: random draws of two batches must not mix.
_DRAWING = threading.RLock()


class Opened:
    """A run's trainer at one step, on the CPU; nothing it does changes the run.

    The held-out items of the run's map follow the training items, so that they can be anchors too.

    Args:
        folder: of the run.

    Attributes:
        trainer: at the step; its data's training split has the held-out items at its end.
        config: settings of the next step, changes on the way included.
        step: number of finished steps.
        training_items: rows from here on are held-out items.
        held_out: (n,) int64 rows in the test split of the held-out items.
        refilled: number of batches that the queue was filled with again where the run stores none; else 0.
        drawing: held while random numbers are drawn.

    Raises:
        RunError: the run has no weights, or its files are damaged. DataError: its data set is not there.
    """

    def __init__(self, folder: RunFolder) -> None:
        info = folder.info()
        self.folder, self.step, self.drawing = folder, info.steps_done, _DRAWING
        self.config = config_at(folder, self.step)
        found = load_data(folder, self.config)
        self.training_items = len(found.train)
        self.held_out = sample_rows(found.test, self.config.evaluation.map_items, self.config.data.seed)
        self._everything = replace(found, train=shared(joined(found.train, found.test.take(self.held_out))))
        self._learned_from = self._everything.train.head(self.training_items)  # `found.train` need not stay
        self._open("checkpoint" if folder.has_tensors("checkpoint") else None)

    def at(self, step: int) -> Opened:
        """The run as it was after an earlier step, of which it keeps a snapshot; the data are shared with this one.

        Raises:
            RunError: it keeps none of this step, or a damaged one.
        """
        if step == self.step:
            return self
        kept = kept_snapshots(self.folder)
        if step not in kept:
            raise RunError(f"{self.folder.id} keeps no weights of step {step}; it keeps {', '.join(map(str, kept))}")
        earlier = copy(self)
        earlier.__dict__.pop("past", None)
        earlier.config = config_at(self.folder, step)
        earlier._open(kept[step])
        return earlier

    def _open(self, name: str | None) -> None:
        """Make the trainer, with a checkpoint or a snapshot, or without either."""
        precision = pick_precision(self.config.run.precision, "cpu")
        fabric = Fabric(accelerator="cpu", devices=1, plugins=precision_plugin(precision, "cpu"))
        self.trainer = Trainer(self.config, self._everything, fabric, load_model(self.folder))
        self.trainer.order = batch_order(self.config, self._learned_from)
        self.refilled = 0
        if name is None:
            self._without_checkpoint()
        else:
            self._load(name)
        self.random = self.trainer.generator.get_state()

    def _load(self, name: str) -> None:
        folder = self.folder
        state = load_state(folder, name)
        try:
            self.trainer.load(state)
        except (KeyError, IndexError, TypeError, ValueError, RuntimeError) as error:
            reason = str(error).partition("\n")[0]
            raise RunError(f"{folder.id}: {name}.safetensors does not fit this run ({reason})") from None
        self.step = self.trainer.steps_done
        if changes := _changes(self.folder, lambda step: step == self.step):  # the next step has them
            self.config = self.config.replace(changes)
            self.trainer.change(self.config)

    def _without_checkpoint(self) -> None:
        """Stand in for what the run does not store: slow encoders are copies, and the queue is filled again."""
        trainer = self.trainer
        if trainer.ema is not None:
            trainer.ema.load_state_dict(trainer.model.encoders.state_dict())
        if trainer.item_term is not None:
            trainer.item_term.reset_momentum()
        trainer.steps_done = self.step
        trainer.draw_anew()
        size = self.config.sampler.queue_size
        if size > 0:
            past = self.past
            self.refilled = len(past)
            for step, keys in past:
                for (term, modality), some in keys.items():
                    self.samplers(term)[modality].enqueue(some, step)

    @cached_property
    def past(self) -> Past:
        """The keys of the batches before the step, oldest first, as the network at the step encodes them."""
        with self.drawing:
            self.trainer.generator.manual_seed((self.config.run.seed << 20) + self.step)
            return earlier(self.trainer, self.step, max(self.config.sampler.queue_size, WANTED))

    def samplers(self, term: Term) -> dict[Modality, HybridSampler]:
        """The samplers of negatives of one term, by modality."""
        if term == "prediction":
            return self.trainer.prediction.samplers
        assert self.trainer.item_term is not None
        return self.trainer.item_term.samplers

    @property
    def data(self) -> Dataset:
        return self.trainer.data

    @property
    def items(self) -> Split:
        """Training items, then the held-out items of the run's map."""
        return self.trainer.data.train

    def row_of(self, split: str, row: int) -> int:
        """Row among `items` of a training item or of a held-out item of the map.

        Args:
            split: "train" or "test". row: within that split.

        Raises:
            DataError: the map has no such held-out item.
        """
        if split == "train":
            return row
        found = (self.held_out == row).nonzero()
        if not len(found):
            raise DataError(f"{self.folder.id}: held-out item {row} is not on its map")
        return self.training_items + int(found[0])

    def held_out_rows(self, count: int) -> np.ndarray:
        """Rows among `items` of at most `count` held-out items of the map, evenly spaced."""
        total = len(self.held_out)
        return self.training_items + np.unique(np.linspace(0, total - 1, min(count, total)).round().astype(int))

    def log_mel(self, row: int) -> np.ndarray:
        """(bands, frames) log-mel spectrogram of the sound at a row of `items`, not normalized."""
        found = self.trainer.model.audio_features.log_mel(waveform(self.items.recording(row)[None]))
        return found[0].cpu().numpy()

    def next_rows(self) -> Tensor:
        """Rows (B,) of the batch that the run draws next, or would draw if it went on."""
        rows: Tensor = self.trainer.order.rows(self.step)
        return rows


def config_at(folder: RunFolder, step: int) -> RunConfig:
    """Settings of a run after `step` steps, with the changes that were made on the way."""
    config, changes = folder.config(), _changes(folder, lambda made: made < step)
    return config.replace(changes) if changes else config


def _changes(folder: RunFolder, made: Callable[[int], bool]) -> dict[str, Any]:
    """{"section.setting": value} of what was changed while a run trained, by the number of steps done before."""
    return {e["setting"]: e["value"] for e in folder.events() if e["kind"] == "change" and made(e["step"])}


def joined(first: Split, second: Split) -> Split:
    """The items of two splits of a data set, one after the other; shorter recordings are padded with zeros.

    Example:
        >>> one = Split(torch.ones(1, 2, dtype=torch.int16), None, torch.zeros(1).long(), ("a",), ("a",))
        >>> two = replace(one, audio=torch.ones(1, 3, dtype=torch.int16), names=("b",))
        >>> joined(one, two).audio.tolist(), joined(one, two).names
        ([[1, 1, 0], [1, 1, 1]], ('a', 'b'))
    """
    audio = image = lengths = None
    if first.audio is not None and second.audio is not None:
        width = max(first.audio.shape[1], second.audio.shape[1])
        parts = [torch.nn.functional.pad(s, (0, width - s.shape[1])) for s in (first.audio, second.audio)]
        audio = torch.cat(parts)
        if first.lengths is not None or second.lengths is not None:
            lengths = torch.cat([_lengths(first), _lengths(second)])
    if first.image is not None and second.image is not None:
        image = torch.cat([first.image, second.image])
    return Split(
        audio,
        image,
        torch.cat([first.labels, second.labels]),
        first.names + second.names,
        first.groups + second.groups,
        lengths,
    )


def _lengths(split: Split) -> Tensor:
    assert split.audio is not None
    return torch.full((len(split),), split.audio.shape[1]) if split.lengths is None else split.lengths
