"""lightly's SimCLR and MoCo v2, as its own CIFAR-10 benchmark trains them, on views from tensors.

Losses, projection heads, momentum update, batch shuffling and the ResNet (3 × 3 stem, no pooling after it) are
lightly's; batch size, learning rate, temperatures and sizes are those of its benchmark. The networks compute in bf16
where ours do, and SimCLR's in the memory layout that convolutions prefer (20 % faster; MoCo's split batch norm cannot).
"""

from __future__ import annotations

import copy
import math
from abc import ABC, abstractmethod
from typing import Any

import torch
from lightly.loss import NTXentLoss
from lightly.models import ResNetGenerator
from lightly.models.modules.heads import MoCoProjectionHead, SimCLRProjectionHead
from lightly.models.utils import batch_shuffle, batch_unshuffle, deactivate_requires_grad, update_momentum
from torch import Tensor, nn
from torch.nn import functional as F
from torch.utils.flop_counter import FlopCounterMode

from cpc_engine.data.dataset import Dataset, Split
from cpc_engine.execution.device import pick_precision
from cpc_engine.training.batches import BatchSampler

from .views import normalized, resized, view

BATCH, RATE, MOMENTUM, DECAY = 128, 6e-2, 0.9, 5e-4  # SGD; the rate is for a batch of 128
SIMCLR_TAU, MOCO_TAU, BANK, KEY_MOMENTUM, SPLITS = 0.5, 0.1, 4096, 0.99, 8
PROJECTED = 128
CELLS = 2  # per side of the pooled features, as in ours
PARAMETERS: dict[str, Any] = {
    "batch_size": BATCH,
    "optimizer": f"SGD {RATE}, momentum {MOMENTUM}, weight decay {DECAY}, cosine to 0",
    "simclr": f"temperature {SIMCLR_TAU}",
    "moco": f"temperature {MOCO_TAU}, bank {BANK}, key momentum {KEY_MOMENTUM}, {SPLITS} splits of batch norm",
    "views": "SimCLR's of lightly for 32 px",
}
# Of a ResNet, as shares of the published one. With a sixteenth it has 1 × 1 convolutions of 4 channels, whose backward
# pass with stride 2 and channels last ends PyTorch 2.14 on processors that have AVX2 and not AVX-512.
WIDTHS = [n / 16 for n in range(2, 17)]


class TwoViews(ABC):
    """What SimCLR and MoCo share: backbone, optimizer, batches and features.

    Args:
        backbone: (B, 3, 32, 32) → (B, C, h, w).
    """

    layout: torch.memory_format = torch.contiguous_format
    backbone: nn.Module
    head: nn.Module

    def __init__(self, data: Dataset, seed: int) -> None:
        assert data.train.image is not None
        self.pixels = resized(data.train.image)
        batch = min(BATCH, len(data.train)) // SPLITS * SPLITS
        self.order = BatchSampler(len(data.train), batch, seed)
        self.generator = torch.Generator().manual_seed(seed)
        self.fast = pick_precision("auto", "cpu") == "bf16-mixed"
        self.done, self.steps = 0, 1
        self.backbone.to(memory_format=self.layout)
        weights = [*self.backbone.parameters(), *self.head.parameters()]
        self.peak = RATE * batch / 128
        self.optimizer = torch.optim.SGD(weights, lr=self.peak, momentum=MOMENTUM, weight_decay=DECAY)

    @property
    def parameters(self) -> int:
        return sum(p.numel() for p in self.backbone.parameters())

    @property
    def rate(self) -> float:
        return self.optimizer.param_groups[0]["lr"] / self.peak

    def plan(self, steps: int) -> None:
        self.steps = steps

    def step(self) -> None:
        share = min(1.0, self.done / max(1, self.steps))
        self.optimizer.param_groups[0]["lr"] = self.peak * 0.5 * (1 + math.cos(math.pi * share))
        picked = self.pixels[self.order.rows(self.done)]
        self.backbone.train()
        loss = self.loss(view(picked, self.generator), view(picked, self.generator))
        self.optimizer.zero_grad(set_to_none=True)
        loss.backward()
        self.optimizer.step()
        self.done += 1

    @abstractmethod
    def loss(self, first: Tensor, second: Tensor) -> Tensor:
        """Return the loss of two views (B, 3, 32, 32) of the same pictures."""

    def projected(self, backbone: nn.Module, head: nn.Module, views: Tensor) -> Tensor:
        """Return the projections (B, 128) of views."""
        with torch.autocast("cpu", torch.bfloat16, enabled=self.fast):
            maps = backbone(views.contiguous(memory_format=self.layout))
        return head(maps.float().mean((2, 3)))

    @torch.no_grad()
    def features(self, split: Split) -> dict[str, Tensor]:
        assert split.image is not None
        self.backbone.eval()
        means, quarters = [], []
        for images in split.image.split(256):
            pixels = normalized(resized(images)).contiguous(memory_format=self.layout)
            with torch.autocast("cpu", torch.bfloat16, enabled=self.fast):
                maps = self.backbone(pixels)
            means.append(maps.float().mean((2, 3)))
            quarters.append(F.adaptive_avg_pool2d(maps.float(), CELLS).flatten(1))
        return {"mean": torch.cat(means), "quarters": torch.cat(quarters)}


class SimCLR(TwoViews):
    """lightly's SimCLR: both views through one network, NT-Xent between them."""

    layout = torch.channels_last

    def __init__(self, name: str, width: float, data: Dataset, seed: int) -> None:
        torch.manual_seed(seed)
        self.backbone, channels = backbone(name, width)
        self.head = SimCLRProjectionHead(channels, channels, PROJECTED)
        self.criterion = NTXentLoss(temperature=SIMCLR_TAU)
        super().__init__(data, seed)

    def loss(self, first: Tensor, second: Tensor) -> Tensor:
        projected = (self.projected(self.backbone, self.head, views) for views in (first, second))
        return self.criterion(*projected)


class MoCo(TwoViews):
    """lightly's MoCo v2: keys from a momentum encoder, negatives from a memory bank, both directions."""

    def __init__(self, name: str, width: float, data: Dataset, seed: int) -> None:
        torch.manual_seed(seed)
        self.backbone, channels = backbone(name, width, SPLITS)
        self.head = MoCoProjectionHead(channels, channels, PROJECTED)
        self.slow_backbone, self.slow_head = copy.deepcopy(self.backbone), copy.deepcopy(self.head)
        for slow in (self.slow_backbone, self.slow_head):
            deactivate_requires_grad(slow)
        self.criterion = NTXentLoss(temperature=MOCO_TAU, memory_bank_size=(BANK, PROJECTED))
        super().__init__(data, seed)

    def loss(self, first: Tensor, second: Tensor) -> Tensor:
        update_momentum(self.backbone, self.slow_backbone, KEY_MOMENTUM)
        update_momentum(self.head, self.slow_head, KEY_MOMENTUM)
        return 0.5 * (self._one_way(first, second) + self._one_way(second, first))

    def _one_way(self, queries: Tensor, keys: Tensor) -> Tensor:
        asked = self.projected(self.backbone, self.head, queries)
        with torch.no_grad():
            mixed, order = batch_shuffle(keys)
            found = batch_unshuffle(self.projected(self.slow_backbone, self.slow_head, mixed), order)
        return self.criterion(asked, found)


def backbone(name: str, width: float, splits: int = 0) -> tuple[nn.Sequential, int]:
    """Return lightly's ResNet for small pictures without its classifier, and the channels of its maps."""
    network = ResNetGenerator(name, width=width, num_splits=splits)
    layers = (network.layer1, network.layer2, network.layer3, network.layer4)
    return nn.Sequential(network.conv1, network.bn1, nn.ReLU(), *layers), network.linear.in_features


def width_of_equal_cost(name: str, operations: float) -> float:
    """Return the width at which one picture costs a ResNet about so many operations, on a scale of ratios."""
    pictures = torch.zeros(1, 3, 32, 32)

    def distance(width: float) -> float:
        with torch.no_grad(), FlopCounterMode(display=False) as counter:
            backbone(name, width)[0].eval()(pictures)
        return abs(math.log(counter.get_total_flops() / operations))

    return min(WIDTHS, key=distance)
