"""CPC of waveforms in the shape of facebookresearch/CPC_audio, written from the papers.

van den Oord et al. 2018 (arXiv 1807.03748) and Rivière et al. 2020 (arXiv 2002.02848): five strided convolutions that
make one latent of 160 samples, normalized over channels, a GRU of 256 units, a linear predictor for each of 12 steps,
and 128 negatives that are drawn uniformly from the other latents of the batch. Windows of 20,480 samples, 8 a batch,
Adam at 2e-4: the published defaults. Two choices are ours: a positive is never drawn as its own negative, and the
learning rate ends in a cosine, as all methods here have it.
"""

from __future__ import annotations

import math
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from cpc_engine.data.dataset import Dataset, Split
from cpc_engine.training.batches import BatchSampler

KERNELS, STRIDES, PADDINGS = (10, 8, 4, 4, 4), (5, 4, 2, 2, 2), (3, 2, 1, 1, 1)
WIDTH, STEPS, NEGATIVES = 256, 12, 128
WINDOW, BATCH, RATE = 20_480, 8, 2e-4
SEGMENTS = 8  # equal stretches of time of the pooled features, as in ours
PARAMETERS: dict[str, Any] = {
    "batch_size": BATCH,
    "optimizer": f"Adam {RATE}, cosine to 0",
    "cpc_audio": f"{WIDTH} channels, {STEPS} steps, {NEGATIVES} negatives, windows of {WINDOW} samples",
}


class ChannelNorm(nn.Module):
    """Normalize every position of (B, C, T) over its channels, with a learned scale and offset."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.scale = nn.Parameter(torch.ones(channels, 1))
        self.offset = nn.Parameter(torch.zeros(channels, 1))

    def forward(self, x: Tensor) -> Tensor:
        variance, mean = torch.var_mean(x, 1, keepdim=True)
        return (x - mean) * torch.rsqrt(variance + 1e-5) * self.scale + self.offset


class Network(nn.Module):
    """(B, L) waveforms within ±1 to latents and contexts, (B, L / 160, 256) each."""

    def __init__(self) -> None:
        super().__init__()
        layers: list[nn.Module] = []
        for number, (kernel, stride, padding) in enumerate(zip(KERNELS, STRIDES, PADDINGS, strict=True)):
            layers += [nn.Conv1d(1 if number == 0 else WIDTH, WIDTH, kernel, stride, padding), ChannelNorm(WIDTH)]
            layers += [nn.ReLU()]
        self.encoder = nn.Sequential(*layers)
        self.gru = nn.GRU(WIDTH, WIDTH, batch_first=True)

    def forward(self, waves: Tensor) -> tuple[Tensor, Tensor]:
        latents = self.encoder(waves[:, None]).transpose(1, 2)
        return latents, self.gru(latents)[0]


def negatives(positives: Tensor, latents: int, generator: torch.Generator) -> Tensor:
    """Draw (n, 128) numbers of latents below `latents` uniformly, none of them the positive (n,) of its row."""
    drawn = torch.randint(latents - 1, (len(positives), NEGATIVES), generator=generator)
    return drawn + (drawn >= positives[:, None])


def criterion(latents: Tensor, contexts: Tensor, predictors: nn.ModuleList, generator: torch.Generator) -> Tensor:
    """Return the mean cross-entropy of the positive among its negatives over steps, positions and items.

    The score of a latent z at step k is zᵀ W_k c. Positions are those from which the last step can be seen.

    Args:
        latents, contexts: (B, T, D), T > number of steps. predictors: W_k for k = 1, 2, ….
    """
    batch, length, width = latents.shape
    steps = len(predictors)
    everything = latents.reshape(-1, width)
    here = contexts[:, : length - steps].reshape(-1, width)
    places = torch.arange(batch)[:, None] * length + torch.arange(length - steps)
    losses = []
    for k, predictor in enumerate(predictors, 1):
        own = places.flatten() + k
        scores = predictor(here) @ everything.T
        chosen = torch.cat([own[:, None], negatives(own, len(everything), generator)], 1)
        losses.append(F.cross_entropy(scores.gather(1, chosen), torch.zeros_like(own)))
    return torch.stack(losses).mean()


class CpcAudio:
    """CPC of waveforms as a `clock.Learner`."""

    def __init__(self, data: Dataset, seed: int) -> None:
        assert data.train.audio is not None
        torch.manual_seed(seed)
        self.split = data.train
        self.window = min(WINDOW, int(_lengths(self.split).min()))
        self.network = Network()
        with torch.no_grad():
            positions = self.network(torch.zeros(1, self.window))[0].shape[1]
        self.predictors = nn.ModuleList(nn.Linear(WIDTH, WIDTH, bias=False) for _ in range(min(STEPS, positions - 1)))
        self.order = BatchSampler(len(self.split), BATCH, seed)
        self.generator = torch.Generator().manual_seed(seed)
        self.optimizer = torch.optim.Adam([*self.network.parameters(), *self.predictors.parameters()], lr=RATE)
        self.done, self.steps = 0, 1

    @property
    def parameters(self) -> int:
        return sum(p.numel() for p in self.network.parameters())

    @property
    def rate(self) -> float:
        return self.optimizer.param_groups[0]["lr"] / RATE

    def plan(self, steps: int) -> None:
        self.steps = steps

    def step(self) -> None:
        share = min(1.0, self.done / max(1, self.steps))
        self.optimizer.param_groups[0]["lr"] = RATE * 0.5 * (1 + math.cos(math.pi * share))
        latents, contexts = self.network(self._windows(self.order.rows(self.done)))
        loss = criterion(latents, contexts, self.predictors, self.generator)
        self.optimizer.zero_grad(set_to_none=True)
        loss.backward()
        self.optimizer.step()
        self.done += 1

    def _windows(self, rows: Tensor) -> Tensor:
        """One random window (n, L) of each recording."""
        room = _lengths(self.split)[rows] - self.window
        starts = (torch.rand(len(rows), generator=self.generator) * (room + 1)).long()
        assert self.split.audio is not None
        return _waves(self.split.audio[rows[:, None], starts[:, None] + torch.arange(self.window)])

    @torch.no_grad()
    def features(self, split: Split) -> dict[str, Tensor]:
        """The forms of features that ours have, over whole recordings."""
        found: dict[str, list[Tensor]] = {}
        for block in _blocks(split):
            latents, contexts = self.network(_waves(block))
            pooled = F.adaptive_avg_pool1d(contexts.transpose(1, 2), SEGMENTS).flatten(1)
            spread = torch.cat([contexts.mean(1), contexts.std(1, correction=0)], 1)
            forms = {"mean_latent": latents.mean(1), "mean_context": contexts.mean(1)}
            for name, values in {**forms, "pooled_context": pooled, "mean_std_context": spread}.items():
                found.setdefault(name, []).append(values)
        return {name: torch.cat(parts) for name, parts in found.items()}


def _blocks(split: Split) -> list[Tensor]:
    """Recordings (n, L) in their order, without padding."""
    assert split.audio is not None
    if split.lengths is None:
        return list(split.audio.split(16))
    return [split.recording(row)[None] for row in range(len(split))]


def _lengths(split: Split) -> Tensor:
    """(N,) samples of each recording."""
    assert split.audio is not None
    return torch.full((len(split),), split.audio.shape[1]) if split.lengths is None else split.lengths


def _waves(samples: Tensor) -> Tensor:
    return samples.float() / 32768
