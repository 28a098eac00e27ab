"""The training loop's step, `Trainer.step` (see docs/method.md#algorithm-1), and the state of a run.

A batch passes through these stages: rows → features → latents, contexts, predictions → keys → candidates → InfoNCE →
optimizer → record. `Trainer.state` holds everything that is needed to resume a run.
"""

from __future__ import annotations

import copy
import math
import threading
import time
from collections.abc import Callable, Mapping
from typing import NamedTuple

import torch
from lightning_fabric import Fabric
from torch import Tensor, nn
from torch.nn import functional as F

from ..config import RunConfig
from ..data.dataset import Dataset, Split
from ..data.splits import sample_rows
from ..data.windows import all_windows, random_windows
from ..errors import ConfigError
from ..model import Encoding, MultiModalCPC
from ..model.frontends import shuffle_frames, shuffle_tiles
from ..negatives.infonce import InfoNCE, info_nce
from ..negatives.sampler import HybridSampler, keys_of
from ..negatives.source_stats import HardNegative
from ..sources import Keys
from ..terms import Modality
from .batches import BatchSampler
from .records import ModalityRecord, StepRecord
from .schedule import learning_rate

CALIBRATION_CLIPS = 512  # that mean and standard deviation of the mel bands are computed on
SHUFFLE_TILE = 8  # px; smaller than a patch, so that shuffled input differs within patches too
_seed_lock = threading.Lock()  # initial weights are drawn from PyTorch's global generator, which threads share


def new_model(config: RunConfig, data: Dataset) -> MultiModalCPC:
    """Create an untrained network on the device of the data.

    Its weights depend on `run.seed` and the settings only. The audio front end is calibrated on up to 512 training
    clips, balanced over classes and groups.
    """
    with _seed_lock, torch.random.fork_rng():
        torch.manual_seed(config.run.seed)
        model = MultiModalCPC(config, data.modalities).to(data.train.labels.device)
    if data.train.audio is not None:
        rows = sample_rows(data.train, CALIBRATION_CLIPS, config.data.seed)
        clips = all_windows(data.train.take(rows), config.audio)[0].audio
        assert clips is not None
        model.audio_features.calibrate(clips)
    return model


class Origin(NamedTuple):
    """Where the B rows of a batch come from.

    Attributes:
        items: (B,) int64 number of the content by modality. labels: (B,) int64 classes. pairs: (B,) int64 pair numbers.
        places: (B,) int64 position of the first latent of each clip in its recording.
    """

    items: dict[Modality, Tensor]
    labels: Tensor
    pairs: Tensor
    places: Tensor


MetricsFunction = Callable[["Trainer"], dict[str, float]]  # computes metrics of the current network


class Trainer:
    """The network, queues, and optimizer of a run; `step` advances them by one batch.

    Args:
        config: configuration of the run.
        data: the data set. The network is created on its device.
        fabric: sets up device and precision.

    Attributes:
        model: the network.
        ema: momentum encoders by modality; None if `sampler.key_momentum` is 0.
        samplers: the sampler of negatives, with its queue, per modality.
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

    def __init__(self, config: RunConfig, data: Dataset, fabric: Fabric) -> None:
        self.config, self.data, self.fabric = config, data, fabric
        device = data.train.labels.device
        self.model = new_model(config, data)
        self.ema: nn.ModuleDict | None = None
        if config.sampler.key_momentum > 0:
            self.ema = copy.deepcopy(self.model.encoders).requires_grad_(False)
        self.generator = torch.Generator(device).manual_seed(config.run.seed)
        cosine = config.loss.similarity == "cosine"
        self.samplers: dict[Modality, HybridSampler] = {
            m: HybridSampler(config.sampler, config.context.latent_dim, cosine, self.generator)
            for m in self.model.modalities
        }
        groups = data.train.groups if config.sampler.one_group else None
        self.order = BatchSampler(len(data.train), config.optimizer.batch_size, config.run.seed, groups)
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
        if len(self.model.modalities) < 2 and (self.config.sampler.cross_modal or self.config.loss.pair_weight > 0):
            raise ConfigError(
                f"cross-modal negatives and the pair term need sound and pictures; {self.data.name} has one"
            )
        one_item = all_windows(self.data.train.take(torch.zeros(1, dtype=torch.int64)), self.config.audio)[0]
        with torch.no_grad():
            for modality, encoding in self.model(self._features(one_item.to(self.generator.device), None)).items():
                if not encoding.predictions:
                    length = encoding.latents.shape[1]
                    raise ConfigError(f"{modality} gives {length} latents: no horizon of {self.model.horizons} fits")

    def change(self, config: RunConfig) -> None:
        """Continue with changed live settings (see `settings.Setting.live`)."""
        if config.loss.temperature != self.config.loss.temperature:
            with torch.no_grad():
                self.model.log_scale.fill_(-torch.tensor(config.loss.temperature).log())
        self.config = config
        for sampler in self.samplers.values():
            sampler.config = config.sampler

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
        """
        began = time.perf_counter()
        step, config = self.steps_done, self.config
        rate = learning_rate(config.optimizer, step)
        for group in self.optimizer.param_groups:
            group["lr"] = rate
        self.network.train()
        rows = self.order.rows(step)
        rows = rows[self._labels[rows].argsort(stable=True)]  # by class, as the source statistics need candidates
        batch, places = random_windows(self.data.train.take(rows), config.audio, self.generator)
        inputs = self._features(batch, self.generator)
        encodings: dict[Modality, Encoding] = self.network(inputs)
        views = self._features(batch, self.generator) if config.context.other_view else inputs
        drawn = rows.to(self.generator.device)
        items = {m: numbers[drawn] for m, numbers in self._contents.items()}
        origin = Origin(items, batch.labels, self._pairs[drawn], places)
        keys = {m: self._keys(m, views[m], encodings[m], origin) for m in encodings}
        scale = self.model.scale()
        # On a CPU statistics cost 1 to 3 % of a step, and they change the order of sums and thus their rounding: with
        # them in every step, what is recorded does not change the weights. On a GPU they would synchronize it.
        watched = record or self.generator.device.type == "cpu"
        results, queued = {}, {m: len(self.samplers[m].queue) for m in keys}
        for m in keys:
            results[m] = self._modality_loss(m, inputs[m], encodings[m], keys, origin, scale, watched)
        loss = torch.stack([result.loss for result in results.values()]).mean()
        pair = self._pair_loss(encodings, origin.pairs)
        if pair is not None:
            loss = loss + config.loss.pair_weight * pair
        self.optimizer.zero_grad(set_to_none=True)
        self.fabric.backward(loss)
        norm = self._clip()
        if not watched or bool(torch.isfinite(loss) & torch.isfinite(norm)):
            self.optimizer.step()
            self.model.clamp_temperature()
            self._update_momentum_encoders()
            first = min(self.model.horizons)
            for m in keys:
                self.samplers[m].enqueue(keys[m].futures(first), step)
        self.steps_done += 1
        if not record:
            self.seconds += time.perf_counter() - began
            return None
        modalities: dict[str, ModalityRecord] = {
            m: self._modality_record(m, results[m], encodings[m], queued[m]) for m in results
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
            geometry=geometry,
            hard=hard,
        )

    def _features(self, batch: Split, generator: torch.Generator | None) -> dict[Modality, Tensor]:
        """The features of a batch, with augmentation if a generator is given."""
        return {m: self.model.features[m](batch.values(m), generator) for m in self.model.modalities}

    def _keys(self, modality: Modality, features: Tensor, encoding: Encoding, origin: Origin) -> Keys:
        """The keys of one modality: latents of the momentum encoder, of a second view, or of the batch itself."""
        latents = encoding.latents
        if self.ema is not None:
            with torch.no_grad():
                latents = self.ema[modality](features)
        elif self.config.context.other_view:
            latents = self.model.encode(modality, features)
        return self._keys_of(modality, latents, origin)

    def _keys_of(self, modality: Modality, latents: Tensor, origin: Origin) -> Keys:
        return keys_of(
            modality,
            latents,
            origin.items[modality],
            origin.labels,
            self.config.loss.similarity == "cosine",
            origin.pairs,
            origin.places if modality == "audio" else None,
        )

    def _modality_loss(
        self,
        modality: Modality,
        features: Tensor,
        encoding: Encoding,
        keys: dict[Modality, Keys],
        origin: Origin,
        scale: Tensor,
        record: bool,
    ) -> InfoNCE:
        """The loss of one modality (see docs/method.md#algorithm-2).

        All horizons share one set of in-batch candidates, the keys from the smallest horizon on.
        """
        first = min(encoding.predictions)
        futures = keys[modality].futures(first)
        other = next((keys[m] for m in keys if m != modality), None)
        shuffled_input = None
        if self.config.sampler.shuffled == "input":
            shuffled_input = self._shuffled_input_keys(modality, features, origin)
        candidates = self.samplers[modality].candidates(futures, self.steps_done, other, shuffled_input)
        batch, length, device = len(origin.labels), futures.length, futures.ids.device
        anchors, positives, weights = [], [], []
        for k, predictions in encoding.predictions.items():
            columns = encoding.anchors[k] + (k - first)
            rows = torch.arange(batch, device=device)[:, None] * length + columns
            anchors.append(predictions.reshape(rows.numel(), -1).float())
            positives.append(rows.reshape(-1))
            weight = 1.0 / (len(encoding.predictions) * rows.numel())
            weights.append(torch.full((rows.numel(),), weight, device=device))
        all_anchors = torch.cat(anchors)
        if self.config.loss.similarity == "cosine":
            all_anchors = F.normalize(all_anchors, dim=1)
        columns = torch.cat(positives)
        classes = futures.labels[columns] if record else None
        return info_nce(all_anchors, columns, candidates, scale, torch.cat(weights), classes, self._bound())

    def _shuffled_input_keys(self, modality: Modality, features: Tensor, origin: Origin) -> Keys:
        """Keys of the same items with their spectrogram frames or image tiles in random order."""
        if modality == "audio":
            shuffled = shuffle_frames(features, self.generator)
        else:
            shuffled = shuffle_tiles(features, SHUFFLE_TILE, self.generator)
        if self.ema is not None:
            with torch.no_grad():
                latents = self.ema[modality](shuffled)
        else:
            latents = self.model.encode(modality, shuffled)
        return self._keys_of(modality, latents, origin)

    def _pair_loss(self, encodings: dict[Modality, Encoding], pairs: Tensor) -> Tensor | None:
        """Symmetric InfoNCE between pooled contexts of paired items (see docs/method.md#pair-term); None if λ = 0.

        Args:
            pairs: (B,) int64 pair numbers; items with the same number are not pushed apart.
        """
        if self.config.loss.pair_weight == 0 or len(encodings) < 2:
            return None
        pooled = [F.normalize(e.contexts.float().mean(1), dim=1) for e in encodings.values()]
        logits = pooled[0] @ pooled[1].T / self.config.loss.pair_temperature
        targets = torch.arange(len(logits), device=logits.device)
        copies = (pairs[:, None] == pairs).fill_diagonal_(False)
        logits = logits.masked_fill(copies, -torch.inf)
        return 0.5 * (F.cross_entropy(logits, targets) + F.cross_entropy(logits.T, targets))

    def _bound(self) -> float | None:
        """An upper bound of the logits that needs no synchronization; None unless vectors have unit length."""
        loss = self.config.loss
        if loss.similarity != "cosine":
            return None
        return 1 / (loss.temperature_min if loss.learnable_temperature else loss.temperature)

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

    def _modality_record(self, modality: Modality, result: InfoNCE, encoding: Encoding, queued: int) -> ModalityRecord:
        """The record of one modality; `queued` is the number of latents in its queue before the step."""
        stats = result.stats
        assert stats is not None
        horizons, begin = {}, 0
        for k, predictions in encoding.predictions.items():
            count = predictions.shape[0] * predictions.shape[1]
            horizons[str(k)] = result.losses[begin : begin + count].mean().item()
            begin += count
        return ModalityRecord(
            loss=result.loss.item(),
            accuracy=stats.accuracy,
            positive_mass=stats.positive_mass,
            positive_similarity=stats.positive_similarity,
            queue=queued,
            latents_per_item=encoding.latents.shape[1] - min(encoding.predictions),
            horizons=horizons,
            sources={str(name): source for name, source in stats.sources.items()},
        )

    def state(self) -> dict[str, Tensor]:
        """Return all tensors that are needed to resume the run, in a flat dict, so that no pickle is needed."""
        state = {f"model.{name}": tensor for name, tensor in self.model.weights().items()}
        if self.ema is not None:
            state |= {f"ema.{name}": tensor for name, tensor in self.ema.state_dict().items()}
        for index, moments in self.optimizer.state_dict()["state"].items():
            state |= {f"optimizer.{index}.{name}": torch.as_tensor(value) for name, value in moments.items()}
        for modality, sampler in self.samplers.items():
            state |= {f"queue.{modality}.{name}": tensor for name, tensor in sampler.queue.state().items()}
        state["generator"] = self.generator.get_state()
        state["progress"] = torch.tensor([self.steps_done, self.seconds], dtype=torch.float64)
        return state

    def load(self, state: Mapping[str, Tensor]) -> None:
        """Restore a `state()`; the next step is then the same as in the run that saved it."""
        self.model.load_weights(_with_prefix(state, "model."))
        if self.ema is not None:
            self.ema.load_state_dict(_with_prefix(state, "ema."))
        moments: dict[int, dict[str, Tensor]] = {}
        for name, tensor in _with_prefix(state, "optimizer.").items():
            index, _, moment = name.partition(".")
            moments.setdefault(int(index), {})[moment] = tensor
        self.optimizer.load_state_dict({**self.optimizer.state_dict(), "state": moments})
        for modality, sampler in self.samplers.items():
            sampler.queue.load(_with_prefix(state, f"queue.{modality}."))
        self.generator.set_state(state["generator"].cpu())
        done, seconds = state["progress"].tolist()
        self.steps_done, self.seconds = int(done), seconds


def _with_prefix(state: Mapping[str, Tensor], prefix: str) -> dict[str, Tensor]:
    """The tensors whose name starts with `prefix`, keyed by the rest of the name."""
    return {name[len(prefix) :]: tensor for name, tensor in state.items() if name.startswith(prefix)}
