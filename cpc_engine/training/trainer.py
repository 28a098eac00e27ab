"""The training loop's step, `Trainer.step` (see docs/method.md#algorithm-1), and the state of a run.

A batch passes through these stages: rows → features → latents, contexts, predictions → keys → candidates → InfoNCE →
optimizer → record. `Trainer.state` holds everything that is needed to resume a run.
"""

from __future__ import annotations

import copy
import math
import time
from collections.abc import Callable, Mapping
from typing import NamedTuple

import torch
from torch import Tensor, nn

from ..config import RunConfig
from ..data.dataset import Dataset
from ..errors import ConfigError
from ..model import Encoding, MultiModalCPC
from ..model.encoded import Encoded
from ..model.frontends import shuffle_frames, shuffle_tiles
from ..negatives.infonce import InfoNCE
from ..negatives.source_stats import HardNegative
from ..sources import Keys
from ..terms import Modality
from .batches import batch_order
from .fabric import Fabric
from .initial import new_model
from .objectives.item_term import ItemTerm
from .objectives.origin import Origin
from .objectives.pair_term import class_pair_loss, pair_loss
from .objectives.prediction import PredictionTerm
from .objectives.regularizers import vicreg
from .plan import sequence_length
from .ranks import ALONE, Ranks
from .records import ModalityRecord, StepRecord, loss_record, prediction_record
from .schedule import learning_rate
from .states import with_prefix
from .views import Views

SHUFFLE_TILE = 8  # px; smaller than a patch, so that shuffled input differs within patches too
MetricsFunction = Callable[["Trainer"], dict[str, float]]  # computes metrics of the current network


class Forward(NamedTuple):
    """What the losses of a batch of B items are made of.

    Attributes:
        rows: (B,) int64 of the training items. inputs: features by modality.
        other: features of other views or windows; None unless the loss compares items.
        encodings: by modality. origin: of the rows. keys: of the prediction of later positions, by modality.
    """

    rows: Tensor
    inputs: dict[Modality, Tensor]
    other: dict[Modality, Tensor] | None
    encodings: dict[Modality, Encoding]
    origin: Origin
    keys: dict[Modality, Keys]


class Trainer:
    """The network, queues, and optimizer of a run; `step` advances them by one batch.

    Args:
        config: configuration of the run.
        data: the data set. The network is created on its device.
        fabric: sets up device and precision.
        model: a network to go on with; a new one by default.
        ranks: the processes that share every batch; this one alone by default.

    Attributes:
        model: the network.
        ema: momentum encoders by modality; None if `sampler.key_momentum` is 0.
        prediction: the prediction of later positions, with its samplers.
        item_term: the item-level term, with samplers of its own; None if `loss.item_weight` is 0.
        steps_done: number of finished steps.
        seconds: training time in s, without pauses and metrics.

    Raises:
        ConfigError: every horizon is longer than the sequence, or the settings need a modality that the data lack.

    Example:
        >>> from cpc_engine.data import load_dataset
        >>> config = RunConfig().replace({"data.dataset": "bars", "data.train_items": 40, "data.test_items": 16})
        >>> config = config.replace({"image.size": 32, "image.width": 8, "context.hidden_dim": 16})
        >>> trainer = Trainer(config, load_dataset(config), Fabric(accelerator="cpu", devices=1))
        >>> record = trainer.step()
        >>> record.step, sorted(record.modalities)
        (1, ['image'])
    """

    def __init__(
        self,
        config: RunConfig,
        data: Dataset,
        fabric: Fabric,
        model: MultiModalCPC | None = None,
        ranks: Ranks = ALONE,
    ) -> None:
        self.config, self.data, self.fabric, self.ranks = config, data, fabric, ranks
        device = data.train.labels.device
        self.model = new_model(config, data) if model is None else model
        self.ema: nn.ModuleDict | None = None
        if config.sampler.key_momentum > 0:
            # Keys are encoded as in training, also where a stored network, which evaluates, is trained on.
            self.ema = copy.deepcopy(self.model.encoders).requires_grad_(False).train()
        self.generator = torch.Generator(device).manual_seed(config.run.seed)
        self.views = Views(config, self.model, data.train, self.generator)
        self.prediction = PredictionTerm(config, self.model, self.ema, self.generator, ranks)
        self.item_term: ItemTerm | None = None
        if config.loss.item_weight > 0:
            self.item_term = ItemTerm(config, self.model, self.ema, self.generator, ranks)
        self.order = batch_order(config, data.train)
        optimizer = torch.optim.AdamW(
            [p for p in self.model.parameters() if p.requires_grad],
            lr=config.optimizer.learning_rate,
            weight_decay=config.optimizer.weight_decay,
            fused=True,
        )
        self.network, self.optimizer = fabric.setup(self.model, optimizer, move_to_device=False)
        self._labels = data.train.labels.cpu()
        self._contents, self._pairs = data.train.contents, data.train.pairs
        self.steps_done = 0
        self.seconds = 0.0
        self._check()

    def _check(self) -> None:
        """Raise ConfigError if the data lack a modality or no horizon fits, before the first step."""
        if self.config.context.batch_norm and self.ranks is not ALONE:
            raise ConfigError("batch normalization needs whole batches: train on one device, or switch it off")
        if len(self.model.modalities) < 2 and (self.config.sampler.cross_modal or self.config.loss.pair_weight > 0):
            raise ConfigError(
                f"cross-modal negatives and the pair term need sound and pictures; {self.data.name} has one"
            )
        for modality in self.model.modalities:
            length, horizons = sequence_length(self.config, modality), self.model.horizons[modality]
            if length <= min(horizons):
                raise ConfigError(f"{modality} gives {max(length, 0)} latents: no horizon of {horizons} fits")

    def change(self, config: RunConfig) -> None:
        """Continue with changed live settings (see `settings.Setting.live`)."""
        if config.loss.temperature != self.config.loss.temperature:
            with torch.no_grad():
                self.model.log_scale.fill_(-torch.tensor(config.loss.temperature).log())
        self.config = config
        self.prediction.change(config)
        if self.item_term is not None:
            self.item_term.change(config)

    def step(self, record: bool = True, measure: MetricsFunction | None = None) -> StepRecord | None:
        """Train on one batch.

        If the loss or the gradient is not finite, the weights and queues stay unchanged. On a GPU this is checked on
        recorded steps only.

        Args:
            record: return a record with source statistics. If False, a GPU is not synchronized and computes none, which
                changes the rounding of its sums; on a CPU the weights are the same bit for bit.
            measure: if given, computes metrics after the step. They are added to the record together with the hardest
                negatives.

        Returns:
            The record of the step, or None if `record` is False.

        Raises:
            ClusterError: another rank has gone. Weights, queues and `steps_done` are as before.
        """
        began = time.perf_counter()
        step, config = self.steps_done, self.config
        rate = learning_rate(config.optimizer, step)
        for group in self.optimizer.param_groups:
            group["lr"] = rate
        self.network.train()
        forward = self.forward(self.order.rows(step))
        inputs, encodings, origin, keys = forward.inputs, forward.encodings, forward.origin, forward.keys
        other = forward.other
        scale = self.model.scale()
        # On a CPU statistics cost 1 to 3 % of a step, and they change the order of sums and thus their rounding: with
        # them in every step, what is recorded does not change the weights. On a GPU they would synchronize it.
        watched = record or self.generator.device.type == "cpu"
        results: dict[Modality, InfoNCE] = {}
        shuffled: dict[Modality, Encoded] = {}
        queued = {m: len(sampler.queue) for m, sampler in self.prediction.samplers.items()}
        for m in keys:
            if config.sampler.shuffled == "input":
                shuffled[m] = self.shuffled_input(m, inputs[m])
            results[m] = self.prediction.loss(m, encodings[m], keys, shuffled.get(m), origin, scale, step, watched)
        loss = torch.stack([result.loss for result in results.values()]).mean()
        compared: dict[Modality, InfoNCE] = {}
        item_keys: dict[Modality, Keys] = {}
        queued_items: dict[Modality, int] = {}
        if self.item_term is not None and other is not None:
            both = {m: (inputs[m], other[m]) for m in inputs}
            queued_items = self.item_term.queued()
            item_keys = self.item_term.keys(encodings, both, origin)
            compared = self.item_term.losses(encodings, item_keys, shuffled, origin, step, watched)
            loss = loss + config.loss.item_weight * torch.stack([item.loss for item in compared.values()]).mean()
        if config.loss.regularizes:
            loss = loss + self._regularizers(encodings)
        pair = None
        if config.loss.pair_weight > 0:
            sounds, pictures = (encodings[m].contexts for m in self.model.modalities)
            temperature = config.loss.pair_temperature
            if config.loss.pair_positives == "class":
                pair = class_pair_loss(sounds, pictures, origin.labels, temperature)
            else:
                pair = pair_loss(sounds, pictures, origin.pairs, temperature)
            loss = loss + config.loss.pair_weight * pair
        self.optimizer.zero_grad(set_to_none=True)
        self.fabric.backward(loss)
        self.ranks.average(self.model.parameters())
        norm = self._clip()
        if not watched or bool(torch.isfinite(loss) & torch.isfinite(norm)):
            self.optimizer.step()
            self.model.clamp_temperature()
            self._update_momentum_encoders()
            self.prediction.enqueue(keys, step)
            if self.item_term is not None:
                self.item_term.enqueue(item_keys, step)
        self.steps_done += 1
        if not record:
            self.seconds += time.perf_counter() - began
            return None
        modalities: dict[str, ModalityRecord] = {
            m: prediction_record(
                results[m], encodings[m], encodings[m].latents.shape[1] - self.model.first_targets[m], queued[m]
            )
            for m in results
        }
        values = (loss.item(), norm.item(), 0.0 if pair is None else pair.item(), 1.0 / scale.item())
        self.seconds += time.perf_counter() - began
        hard: dict[str, list[HardNegative]] | None = None
        geometry = None
        if measure is not None:  # hardest negatives are too long for every line of metrics.jsonl
            hard = {m: result.stats.hard for m, result in results.items() if result.stats is not None}
            geometry = measure(self) if math.isfinite(values[0]) and math.isfinite(values[1]) else None
        return StepRecord(
            step=self.steps_done,
            seconds=self.seconds,
            loss=values[0],
            learning_rate=rate,
            temperature=values[3],
            gradient_norm=values[1],
            pair_loss=values[2],
            modalities=modalities,
            items={m: loss_record(result, 1, queued_items[m]) for m, result in compared.items()} or None,
            geometry=geometry,
            hard=hard,
        )

    def forward(self, rows: Tensor) -> Forward:
        """Draw views of the training items at `rows` (B,), and compute what the losses are made of."""
        config = self.config
        rows = rows[self._labels[rows].argsort(stable=True)]  # by class, as the source statistics need candidates
        window = self.views.window(rows)
        inputs = self.views.features(window)
        same = self.views.features(window) if config.context.other_view else None
        other = self.views.features(self.views.window(rows)) if config.loss.compares_items else None
        encodings: dict[Modality, Encoding]
        encodings = self.ranks.apply(self.network, inputs, same if self.ema is None else None, other)
        drawn = rows.to(self.generator.device)
        items = {m: numbers[drawn] for m, numbers in self._contents.items()}
        origin = Origin(items, window.batch.labels, self._pairs[drawn], window.places)
        targets = inputs if same is None else same
        keys = {m: self.prediction.keys(m, targets[m], encodings[m], origin) for m in encodings}
        return Forward(rows, inputs, other, encodings, origin, keys)

    def _regularizers(self, encodings: dict[Modality, Encoding]) -> Tensor:
        """The terms without negatives, averaged over modalities."""
        views = [encoding.both_items() for encoding in encodings.values()]
        return torch.stack([vicreg(a.float(), b.float(), self.config.loss) for a, b in views]).mean()

    def shuffled_input(self, modality: Modality, features: Tensor) -> Encoded:
        """Encode the same items with their spectrogram frames or image tiles in random order."""
        if modality == "audio":
            shuffled = shuffle_frames(features, self.generator)
        else:
            shuffled = shuffle_tiles(features, SHUFFLE_TILE, self.generator)
        encoded: Encoded
        if self.ema is None:
            encoded = self.ranks.apply(self.model.encoders[modality], shuffled)
            return encoded
        with torch.no_grad():
            encoded = self.ranks.apply(self.ema[modality], shuffled)
        return encoded

    def _clip(self) -> Tensor:
        """Clip the gradient norm and return the norm before clipping."""
        limit = self.config.optimizer.clip_norm or float("inf")
        return nn.utils.clip_grad_norm_(self.model.parameters(), limit)

    @torch.no_grad()
    def _update_momentum_encoders(self) -> None:
        """Move the momentum encoders toward the trained ones (see docs/method.md#momentum-encoder)."""
        if self.ema is None:
            return
        averages: list[Tensor] = list(self.ema.parameters())
        parameters: list[Tensor] = list(self.model.encoders.parameters())
        torch._foreach_lerp_(averages, parameters, 1 - self.config.sampler.key_momentum)
        if self.item_term is not None:
            self.item_term.update_momentum()

    def state(self) -> dict[str, Tensor]:
        """Return all tensors that are needed to resume the run, in a flat dict, so that no pickle is needed."""
        state = {f"model.{name}": tensor for name, tensor in self.model.weights().items()}
        if self.ema is not None:
            state |= {f"ema.{name}": tensor for name, tensor in self.ema.state_dict().items()}
        for index, moments in self.optimizer.state_dict()["state"].items():
            state |= {f"optimizer.{index}.{name}": torch.as_tensor(value) for name, value in moments.items()}
        for modality, sampler in self.prediction.samplers.items():
            state |= {f"queue.{modality}.{name}": tensor for name, tensor in sampler.queue.state().items()}
        if self.item_term is not None:
            state |= {f"item.{name}": tensor for name, tensor in self.item_term.state().items()}
        state["generator"] = self.generator.get_state()
        state["progress"] = torch.tensor([self.steps_done, self.seconds], dtype=torch.float64)
        return state

    def load(self, state: Mapping[str, Tensor]) -> bool:
        """Restore a `state()`; the next step is then the same as in the run that saved it.

        Returns:
            Whether random numbers go on as well. Those of a GPU cannot on a CPU, nor the other way round: then others
            are drawn, always the same for a seed and a step.
        """
        self.model.load_weights(with_prefix(state, "model."))
        if self.ema is not None:
            self.ema.load_state_dict(with_prefix(state, "ema."))
        moments: dict[int, dict[str, Tensor]] = {}
        for name, tensor in with_prefix(state, "optimizer.").items():
            index, _, moment = name.partition(".")
            moments.setdefault(int(index), {})[moment] = tensor
        self.optimizer.load_state_dict({**self.optimizer.state_dict(), "state": moments})
        for modality, sampler in self.prediction.samplers.items():
            sampler.queue.load(with_prefix(state, f"queue.{modality}."))
        if self.item_term is not None:
            self.item_term.load(with_prefix(state, "item."))
        done, seconds = state["progress"].tolist()
        self.steps_done, self.seconds = int(done), seconds
        random = state["generator"].cpu()
        same = len(random) == len(self.generator.get_state())
        if same:
            self.generator.set_state(random)
        else:
            self.draw_anew()
        return same

    def draw_anew(self) -> None:
        """Draw other random numbers from here on, which follow from the run's seed and its step."""
        self.generator.manual_seed((self.config.run.seed << 20) + self.steps_done)
