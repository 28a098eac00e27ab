"""One modality's step at the reference recipe's shape, as tensors, and its exact answer in float64."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Literal

import torch
from torch import Tensor
from torch.nn import functional as F

from cpc_engine.negatives.candidates import Candidates
from cpc_engine.negatives.identity import item_index, pack
from cpc_engine.sources import CandidateSet

TAU = 0.2


@dataclass(frozen=True)
class Shape:
    """B items of T latents of size d: N = B·(T − 1) anchors, and N candidates of each of five sources."""

    batch: int = 64
    length: int = 64
    dim: int = 64

    @classmethod
    def parse(cls, text: str) -> Shape:
        """From "B,T,d"."""
        return cls(*(int(part) for part in text.split(",")))

    @property
    def anchors(self) -> int:
        return self.batch * (self.length - 1)

    def __str__(self) -> str:
        return f"{self.batch},{self.length},{self.dim}"


@dataclass(frozen=True)
class Problem:
    """Unit vectors; anchor i's positive is row i of `futures`, `order` is the permutation of the shuffled source.

    Attributes:
        anchors, futures, perturbed, crossed: (N, d), carry gradients. queue: (Q, d), detached.
        ids, queue_ids, cross_ids: identities; labels: (N,) class of each anchor.
    """

    anchors: Tensor
    futures: Tensor
    perturbed: Tensor
    crossed: Tensor
    queue: Tensor
    order: Tensor
    ids: Tensor
    queue_ids: Tensor
    cross_ids: Tensor
    labels: Tensor
    tau: float = TAU

    @property
    def leaves(self) -> list[Tensor]:
        return [self.anchors, self.futures, self.perturbed, self.crossed]

    @property
    def device(self) -> torch.device:
        return self.anchors.device

    @property
    def scale(self) -> Tensor:
        return torch.tensor(1 / self.tau, device=self.device)

    @property
    def positives(self) -> Tensor:
        return torch.arange(len(self.anchors), device=self.device)

    def everything(self) -> Tensor:
        """(M, d): all five sources in a row, as Algorithm 2 concatenates them."""
        return torch.cat([self.futures, self.queue, self.perturbed, self.futures[self.order], self.crossed])

    def candidates(self, masked: bool = False, constant: bool = False) -> Candidates:
        """For `info_nce`; constant: only the in-batch source carries a gradient."""
        perturbed, crossed = self.perturbed, self.crossed
        if constant:
            perturbed, crossed = perturbed.detach(), crossed.detach()
        queue_labels = torch.arange(len(self.queue), device=self.device) % 2
        sources = [
            CandidateSet("in_batch", self.futures, self.ids, self.labels),
            CandidateSet("queue", self.queue, self.queue_ids, queue_labels),
            CandidateSet("perturbed", perturbed, self.ids, self.labels),
            CandidateSet("cross_modal", crossed, self.cross_ids, self.labels),
        ]
        mode: Literal["reference", "exclude_positives"] = "exclude_positives" if masked else "reference"
        return Candidates([s for s in sources if len(s.ids)], "detached" if constant else "attached", mode)

    def to(self, dtype: torch.dtype) -> Problem:
        """The same numbers, rounded to `dtype`, as new leaves."""
        rounded = {name: getattr(self, name).detach().to(dtype) for name in ("anchors", "futures", "perturbed")}
        rounded |= {"crossed": self.crossed.detach().to(dtype), "queue": self.queue.to(dtype)}
        return replace(self, **{k: v if k == "queue" else v.requires_grad_() for k, v in rounded.items()})


def make_problem(shape: Shape, device: torch.device, tau: float = TAU, queue: int | None = None) -> Problem:
    """The same numbers on every call. queue: latents in it, N when not given."""
    generator = torch.Generator().manual_seed(0)
    n = shape.anchors

    def unit(rows: int) -> Tensor:
        return F.normalize(torch.randn(rows, shape.dim, generator=generator), dim=1)

    futures, noise = unit(n), 0.1 * torch.randn(2, n, shape.dim, generator=generator)
    anchors, perturbed = (F.normalize(futures + part, dim=1) for part in noise)
    items, positions = torch.arange(shape.batch)[:, None], torch.arange(1, shape.length)
    past = n if queue is None else queue
    tensors = {
        "queue": unit(past),
        "order": torch.randperm(n, generator=generator),
        "ids": pack("image", items, positions).reshape(-1),
        "queue_ids": pack("image", shape.batch + torch.arange(past), torch.ones(1).long()),
        "cross_ids": pack("audio", items, positions).reshape(-1),
        "labels": (items * 2 // shape.batch).expand(shape.batch, shape.length - 1).reshape(-1),
    }
    leaves = {"anchors": anchors, "futures": futures, "perturbed": perturbed, "crossed": unit(n)}
    return Problem(
        **{name: tensor.to(device) for name, tensor in tensors.items()},
        **{name: tensor.to(device).requires_grad_() for name, tensor in leaves.items()},
        tau=tau,
    )


def exact(problem: Problem, masked: bool, block: int = 256) -> tuple[float, list[Tensor]]:
    """Loss and gradients in float64 by autograd over a dense matrix, `block` anchors at a time."""
    p = problem.to(torch.float64)
    loss, gradients = 0.0, [torch.zeros_like(leaf) for leaf in p.leaves]
    allowed = _allowed(p) if masked else None
    for first in range(0, len(p.anchors), block):
        rows = torch.arange(first, min(first + block, len(p.anchors)), device=p.device)
        logits = p.anchors[rows] @ p.everything().T / p.tau
        if allowed is not None:
            logits = logits.masked_fill(~allowed(rows), -torch.inf)
        part = F.cross_entropy(logits, rows, reduction="sum") / len(p.anchors)
        loss += part.item()
        for total, new in zip(gradients, torch.autograd.grad(part, p.leaves), strict=True):
            total += new
    return loss, gradients


def _allowed(p: Problem) -> Callable[[Tensor], Tensor]:
    """Which cells of some rows count when copies of the positive are masked: by identity, the paired item's too."""
    same = torch.cat([p.ids, p.queue_ids, p.ids, p.ids[p.order]])

    def rows_allowed(rows: Tensor) -> Tensor:
        own = p.ids[rows, None]
        free = torch.cat([own != same, item_index(own) != item_index(p.cross_ids)], 1)
        free[torch.arange(len(rows), device=rows.device), rows] = True  # the positive itself
        return free

    return rows_allowed
