"""One run's learning, step by step (seed.md, Algorithm 1).

A batch travels straight through `Trainer.step`: rows → features → latents, contexts, predictions → keys → candidates
→ InfoNCE → optimiser → record. Everything that a resumed run needs is in `state()`.
"""

from __future__ import annotations

import copy
import threading
import time
from collections.abc import Mapping

import torch
from lightning_fabric import Fabric
from torch import Tensor, nn
from torch.nn import functional as F

from ..config import RunConfig
from ..data.items import Dataset, Modality, Split
from ..errors import ConfigError
from ..features import shuffle_frames, shuffle_tiles
from ..model import Encoding, MultiModalCPC
from ..negatives.infonce import InfoNCE, info_nce
from ..negatives.sampler import HybridSampler, Keys
from .records import ModalityRecord, StepRecord
from .schedule import DataOrder, learning_rate

SHUFFLE_TILE = 8  # px; finer than a patch, so that shuffled input is new to the encoder
_SEEDING = threading.Lock()  # weights are drawn from the global generator, which threads share


def new_model(config: RunConfig, data: Dataset) -> MultiModalCPC:
    """An untrained network whose weights follow from the run's seed alone; audio scale measured on training clips."""
    with _SEEDING, torch.random.fork_rng():
        torch.manual_seed(config.run.seed)
        model = MultiModalCPC(config, data.modalities).to(data.train.labels.device)
    if data.train.audio is not None:
        model.audio_features.calibrate(data.train.audio[:512])
    return model


class Trainer:
    """Holds a run's network, queues and optimiser; `step` advances them by one batch.

    Raises:
        ConfigError: the sequence is too short for every horizon, or knobs ask for a modality the data lack.
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
        self.order = DataOrder(len(data.train), config.optimiser.batch_size, config.run.seed, groups)
        optimiser = torch.optim.AdamW(
            [p for p in self.model.parameters() if p.requires_grad],
            lr=config.optimiser.learning_rate,
            weight_decay=config.optimiser.weight_decay,
            fused=True,
        )
        self.network, self.optimiser = fabric.setup(self.model, optimiser, move_to_device=False)
        self._labels = data.train.labels.cpu()
        self.steps_done = 0
        self.seconds = 0.0
        self._check()

    def _check(self) -> None:
        if len(self.model.modalities) < 2 and (self.config.sampler.cross_modal or self.config.loss.pair_weight > 0):
            raise ConfigError(
                f"cross-modal negatives and the pair term need sound and pictures; {self.data.name} has one"
            )
        one_item = self.data.train.take(torch.zeros(1, dtype=torch.int64))
        with torch.no_grad():
            for modality, encoding in self.model(self._features(one_item.to(self.generator.device), None)).items():
                if not encoding.predictions:
                    length = encoding.latents.shape[1]
                    raise ConfigError(f"{modality} gives {length} latents: no horizon of {self.model.horizons} fits")

    def change(self, config: RunConfig) -> None:
        """Go on with other live knobs (see `knobs.Knob.live`)."""
        if config.loss.temperature != self.config.loss.temperature:
            with torch.no_grad():
                self.model.log_scale.fill_(-torch.tensor(config.loss.temperature).log())
        self.config = config
        for sampler in self.samplers.values():
            sampler.config = config.sampler

    def step(self, record: bool = True) -> StepRecord | None:
        """One optimiser step. A loss or gradient that is not finite leaves the weights as they were.

        Args:
            record: make the per-source account and read the device; without it nothing waits for the device.
        """
        began = time.perf_counter()
        step, config = self.steps_done, self.config
        rate = learning_rate(config.optimiser, step)
        for group in self.optimiser.param_groups:
            group["lr"] = rate
        self.network.train()
        rows = self.order.rows(step)
        rows = rows[self._labels[rows].argsort(stable=True)]  # by class, as the account wants candidates
        items = rows.to(self.generator.device)
        batch = self.data.train.take(rows)
        inputs = self._features(batch, self.generator)
        encodings: dict[Modality, Encoding] = self.network(inputs)
        views = self._features(batch, self.generator) if config.context.other_view else inputs
        keys = {m: self._keys(m, views[m], encodings[m], items, batch.labels) for m in encodings}
        scale = self._scale()
        results, queued = {}, {m: len(self.samplers[m].queue) for m in keys}
        for m in keys:
            results[m] = self._modality_loss(m, inputs[m], encodings[m], keys, items, batch.labels, scale, record)
        loss = torch.stack([result.loss for result in results.values()]).mean()
        pair = self._pair_loss(encodings)
        if pair is not None:
            loss = loss + config.loss.pair_weight * pair
        self.optimiser.zero_grad(set_to_none=True)
        self.fabric.backward(loss)
        norm = self._clip()
        waits = record or self.generator.device.type == "cpu"
        if not waits or bool(torch.isfinite(loss) & torch.isfinite(norm)):
            self.optimiser.step()
            self._follow()
            first = min(self.model.horizons)
            for m in keys:
                self.samplers[m].enqueue(keys[m].futures(first), step)
        self.steps_done += 1
        done = None
        if record:
            done = StepRecord(
                step=self.steps_done,
                seconds=self.seconds + time.perf_counter() - began,
                loss=loss.item(),
                learning_rate=rate,
                temperature=1.0 / scale.item(),
                gradient_norm=norm.item(),
                pair_loss=0.0 if pair is None else pair.item(),
                hard={m: result.account.hard for m, result in results.items() if result.account is not None},
                modalities={m: self._modality_record(m, results[m], encodings[m], queued[m]) for m in results},
            )
        self.seconds += time.perf_counter() - began
        return done

    def _features(self, batch: Split, generator: torch.Generator | None) -> dict[Modality, Tensor]:
        return {m: self.model.features[m](batch.values(m), generator) for m in self.model.modalities}

    def _keys(self, modality: Modality, features: Tensor, encoding: Encoding, items: Tensor, labels: Tensor) -> Keys:
        """What predictions are scored against: the latents themselves, those of another view, of the slower encoder."""
        latents = encoding.latents
        if self.ema is not None:
            with torch.no_grad():
                latents = self.ema[modality](features)
        elif self.config.context.other_view:
            latents = self.model.encode(modality, features)
        return Keys.of(modality, latents, items, labels, self.config.loss.similarity == "cosine")

    def _modality_loss(
        self,
        modality: Modality,
        features: Tensor,
        encoding: Encoding,
        keys: dict[Modality, Keys],
        items: Tensor,
        labels: Tensor,
        scale: Tensor,
        record: bool,
    ) -> InfoNCE:
        """Algorithm 2, all horizons against one set of candidates: positions from the smallest horizon on."""
        first = min(encoding.predictions)
        futures = keys[modality].futures(first)
        other = next((keys[m] for m in keys if m != modality), None)
        scrambled = None
        if self.config.sampler.shuffled == "input":
            scrambled = self._scrambled(modality, features, items, labels)
        candidates = self.samplers[modality].candidates(futures, self.steps_done, other, scrambled)
        batch, length = len(items), futures.length
        anchors, positives, weights = [], [], []
        for k, predictions in encoding.predictions.items():
            columns = torch.arange(k - first, length, device=items.device)
            rows = torch.arange(batch, device=items.device)[:, None] * length + columns
            anchors.append(predictions.reshape(rows.numel(), -1).float())
            positives.append(rows.reshape(-1))
            share = 1.0 / (len(encoding.predictions) * rows.numel())
            weights.append(torch.full((rows.numel(),), share, device=items.device))
        joined = torch.cat(anchors)
        if self.config.loss.similarity == "cosine":
            joined = F.normalize(joined, dim=1)
        columns = torch.cat(positives)
        classes = futures.labels[columns] if record else None
        return info_nce(joined, columns, candidates, scale, torch.cat(weights), classes, self._bound())

    def _scrambled(self, modality: Modality, features: Tensor, items: Tensor, labels: Tensor) -> Keys:
        """Keys of the same clips and pictures with their frames or tiles in random order."""
        if modality == "audio":
            shuffled = shuffle_frames(features, self.generator)
        else:
            shuffled = shuffle_tiles(features, SHUFFLE_TILE, self.generator)
        if self.ema is not None:
            with torch.no_grad():
                latents = self.ema[modality](shuffled)
        else:
            latents = self.model.encode(modality, shuffled)
        return Keys.of(modality, latents, items, labels, self.config.loss.similarity == "cosine")

    def _pair_loss(self, encodings: dict[Modality, Encoding]) -> Tensor | None:
        """Symmetric InfoNCE between the pooled contexts of both halves of a pair; None for λ = 0 (design.md §2)."""
        if self.config.loss.pair_weight == 0 or len(encodings) < 2:
            return None
        pooled = [F.normalize(e.contexts.float().mean(1), dim=1) for e in encodings.values()]
        logits = pooled[0] @ pooled[1].T / self.config.loss.pair_temperature
        own = torch.arange(len(logits), device=logits.device)
        return 0.5 * (F.cross_entropy(logits, own) + F.cross_entropy(logits.T, own))

    def _scale(self) -> Tensor:
        """1/τ; a learned one is kept between its bounds."""
        bounds = self.config.loss
        if not bounds.learnable_temperature:
            return self.model.log_scale.detach().exp()
        return self.model.log_scale.exp().clamp(1 / bounds.temperature_max, 1 / bounds.temperature_min)

    def _bound(self) -> float | None:
        """The largest logit there can be, known without asking the device where vectors have unit length."""
        loss = self.config.loss
        if loss.similarity != "cosine":
            return None
        return 1 / (loss.temperature_min if loss.learnable_temperature else loss.temperature)

    def _clip(self) -> Tensor:
        """Norm of the gradient before it is clipped."""
        limit = self.config.optimiser.clip_norm or float("inf")
        return nn.utils.clip_grad_norm_(self.model.parameters(), limit)

    @torch.no_grad()
    def _follow(self) -> None:
        """Move the momentum encoders a little towards the trained ones."""
        if self.ema is None:
            return
        slow: list[Tensor] = list(self.ema.parameters())
        fast: list[Tensor] = list(self.model.encoders.parameters())
        torch._foreach_lerp_(slow, fast, 1 - self.config.sampler.key_momentum)

    def _modality_record(self, modality: Modality, result: InfoNCE, encoding: Encoding, queued: int) -> ModalityRecord:
        account = result.account
        assert account is not None
        horizons, begin = {}, 0
        for k, predictions in encoding.predictions.items():
            count = predictions.shape[0] * predictions.shape[1]
            horizons[str(k)] = result.losses[begin : begin + count].mean().item()
            begin += count
        return ModalityRecord(
            loss=result.loss.item(),
            accuracy=account.accuracy,
            positive_mass=account.positive_mass,
            positive_similarity=account.positive_similarity,
            queue=queued,
            latents_per_item=encoding.latents.shape[1] - min(encoding.predictions),
            horizons=horizons,
            sources={str(name): source for name, source in account.sources.items()},
        )

    def state(self) -> dict[str, Tensor]:
        """All tensors that a resumed run needs, flat, by name: no pickle anywhere."""
        state = {f"model.{name}": tensor for name, tensor in self.model.weights().items()}
        if self.ema is not None:
            state |= {f"ema.{name}": tensor for name, tensor in self.ema.state_dict().items()}
        for index, moments in self.optimiser.state_dict()["state"].items():
            state |= {f"optimiser.{index}.{name}": torch.as_tensor(value) for name, value in moments.items()}
        for modality, sampler in self.samplers.items():
            state |= {f"queue.{modality}.{name}": tensor for name, tensor in sampler.queue.state().items()}
        state["generator"] = self.generator.get_state()
        state["progress"] = torch.tensor([self.steps_done, self.seconds], dtype=torch.float64)
        return state

    def load(self, state: Mapping[str, Tensor]) -> None:
        """The inverse of `state`; the next step is the one the saved run would have taken."""
        self.model.load_weights(_below(state, "model."))
        if self.ema is not None:
            self.ema.load_state_dict(_below(state, "ema."))
        moments: dict[int, dict[str, Tensor]] = {}
        for name, tensor in _below(state, "optimiser.").items():
            index, _, moment = name.partition(".")
            moments.setdefault(int(index), {})[moment] = tensor
        self.optimiser.load_state_dict({**self.optimiser.state_dict(), "state": moments})
        for modality, sampler in self.samplers.items():
            sampler.queue.load(_below(state, f"queue.{modality}."))
        self.generator.set_state(state["generator"].cpu())
        done, seconds = state["progress"].tolist()
        self.steps_done, self.seconds = int(done), seconds


def _below(state: Mapping[str, Tensor], prefix: str) -> dict[str, Tensor]:
    return {name[len(prefix) :]: tensor for name, tensor in state.items() if name.startswith(prefix)}
