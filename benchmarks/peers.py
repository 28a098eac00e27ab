"""Our loss, its peers and the bare matrix products, each as a function that gives a loss to differentiate.

Peers get what they need outside the timed part where a user could keep it between steps (index pairs, filled
memories), and the same tensors as leaves. `RUNS` says of each which part of the problem it expresses.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import partial
from typing import Literal

import torch
from torch import Tensor
from torch.nn import functional as F

from cpc_engine.negatives.infonce import info_nce
from cpc_engine.negatives.weighting import Weighting

from .problem import Problem

SMALL_TAU = 0.02
CHUNKS = (64, 128, 256, 512, 1024)
Loss = Callable[[], Tensor]
Task = Literal["whole", "constant", "small"]


@dataclass(frozen=True)
class Run:
    """One way to the loss.

    Attributes:
        make: prepares a problem and returns the part that is timed.
        subset: what it expresses of the problem, in words.
        task: whole: all gradients; constant: candidates are constants (ours still gives the in-batch ones theirs);
            small: the whole problem with few anchors.
    """

    make: Callable[[Problem], Loss]
    subset: str
    task: Task = "whole"


def step(loss: Loss, problem: Problem) -> Callable[[], tuple[Tensor | None, ...]]:
    """Forward and backward."""
    return lambda: torch.autograd.grad(loss(), problem.leaves, allow_unused=True)


def ours(
    p: Problem, stats: bool = False, masked: bool = False, constant: bool = False, weighting: Weighting | None = None
) -> Loss:
    positives, scale = p.positives, p.scale
    labels = p.labels if stats else None

    def loss() -> Tensor:
        candidates = replace(p.candidates(masked, constant), weighting=weighting)
        return info_nce(p.anchors, positives, candidates, scale, labels=labels).loss

    return loss


def naive(p: Problem) -> Loss:
    target = p.positives
    return lambda: F.cross_entropy(p.anchors @ p.everything().T / p.tau, target)


def linear(p: Problem, chunk: int) -> Loss:
    target, options = p.positives, torch.nn.LinearCrossEntropyOptions(batch_chunk_size=chunk)
    return lambda: F.linear_cross_entropy(p.anchors / p.tau, p.everything(), target, options=options)


def linear_folded(p: Problem, chunk: int) -> Loss:
    """Without the permuted copy: a bias of log 2 doubles the in-batch columns, and adds −log 2 to the loss."""
    target, options = p.positives, torch.nn.LinearCrossEntropyOptions(batch_chunk_size=chunk)
    rest = len(p.queue) + len(p.perturbed) + len(p.crossed)
    bias = F.pad(torch.full((len(p.futures),), math.log(2.0), device=p.device), (0, rest))

    def loss() -> Tensor:
        weight = torch.cat([p.futures, p.queue, p.perturbed, p.crossed])
        return F.linear_cross_entropy(p.anchors / p.tau, weight, target, linear_bias=bias, options=options)

    return loss


def info_nce_pytorch(p: Problem) -> Loss:
    from info_nce import InfoNCE

    criterion = InfoNCE(temperature=p.tau, negative_mode="unpaired")
    return lambda: criterion(p.anchors, p.futures, p.everything())


def lightly_bank(p: Problem) -> Loss:
    from lightly.loss import NTXentLoss

    contents = p.everything().detach()
    criterion = NTXentLoss(temperature=p.tau, memory_bank_size=tuple(contents.shape)).to(p.device)
    criterion.memory_bank.bank = contents.clone()

    def loss() -> Tensor:
        criterion.memory_bank.bank_ptr.zero_()  # the positives replace themselves, so every call sees the same bank
        return criterion(p.anchors, p.futures)

    return loss


def metric_learning(p: Problem, name: Literal["NTXentLoss", "SupConLoss"]) -> Loss:
    from pytorch_metric_learning import losses

    criterion = getattr(losses, name)(temperature=p.tau)
    n, m = len(p.anchors), len(p.everything())
    own = p.positives
    columns = torch.arange(m, device=p.device).expand(n, m)
    negative = columns[columns != own[:, None]]
    pairs = (own, own, own.repeat_interleave(m - 1), negative)
    return lambda: criterion(p.anchors, None, pairs, p.everything())


def cross_batch_memory(p: Problem) -> Loss:
    from pytorch_metric_learning import losses

    n, m = len(p.anchors), len(p.everything())
    own = p.positives
    memory = losses.CrossBatchMemory(losses.NTXentLoss(temperature=p.tau), p.anchors.shape[1], memory_size=m)
    memory.embedding_memory = p.everything().detach()
    memory.label_memory = torch.arange(m, device=p.device)
    memory.has_been_filled = True
    enqueued = torch.cat([torch.zeros_like(own), torch.ones_like(own)]).bool()
    labels = own.repeat(2)

    def loss() -> Tensor:
        memory.queue_idx = 0  # the positives replace themselves, so every call sees the same memory
        return memory(torch.cat([p.anchors, p.futures]), labels, enqueue_mask=enqueued)

    assert n < m
    return loss


def products(p: Problem, rows: int) -> Callable[[], None]:
    """Nothing but the matrix products that the gradients need, `rows` anchors at a time in one reused buffer."""
    anchors = p.anchors.detach()
    moving = torch.cat([p.futures, p.perturbed, p.crossed]).detach()
    every = torch.cat([moving, p.queue])
    buffer = anchors.new_empty(rows * len(every))
    toward, gradient = torch.empty_like(anchors), torch.zeros_like(moving)

    def run() -> None:
        for first in range(0, len(anchors), rows):
            a = anchors[first : first + rows]
            scores = torch.mm(a, every.T, out=buffer[: len(a) * len(every)].view(len(a), -1))
            torch.mm(scores, every, out=toward[first : first + rows])
            gradient.addmm_(scores[:, : len(moving)].T, a)

    return run


_EXTRA_COPY = "the anchor's own positive counts once more, as explicit negatives replace the in-batch ones"
_NO_EXTRAS = "no masks, no source statistics"

OURS = {
    "ours": Run(ours, "everything (seed mode)"),
    "ours_stats": Run(lambda p: ours(p, stats=True), "everything, with source statistics"),
    "ours_masked": Run(
        lambda p: ours(p, stats=True, masked=True), "copies of the positive masked, with source statistics"
    ),
    "ours_weighted": Run(
        lambda p: ours(p, stats=True, masked=True, weighting=Weighting(hardness=0.5, class_prior=0.1)),
        "the same, with hardness weights and debiased",
    ),
    "ours_shifted": Run(
        lambda p: ours(replace(p, tau=SMALL_TAU)), f"τ = {SMALL_TAU}: logits too large for exponentials without a shift"
    ),
}
LINEAR = {
    f"linear_cross_entropy_{c}": Run(partial(linear, chunk=c), f"all candidates; {_NO_EXTRAS}; chunks of {c}")
    for c in CHUNKS
}
FOLDED = {
    f"linear_cross_entropy_folded_{c}": Run(
        partial(linear_folded, chunk=c), f"the permuted copy folded by hand into a bias of log 2; {_NO_EXTRAS}"
    )
    for c in CHUNKS
}
PEERS = {
    "naive": Run(naive, f"all candidates; {_NO_EXTRAS}"),
    "pytorch_metric_learning_supcon": Run(
        lambda p: metric_learning(p, "SupConLoss"),
        f"all candidates (SupConLoss: with one positive per anchor the same loss as NTXentLoss); {_NO_EXTRAS}",
    ),
    "info_nce_pytorch": Run(info_nce_pytorch, f"all candidates, but {_EXTRA_COPY}; {_NO_EXTRAS}"),
    "lightly": Run(
        lightly_bank,
        f"all candidates in the memory bank: no gradient to them, and {_EXTRA_COPY}; {_NO_EXTRAS}",
        "constant",
    ),
    "pytorch_metric_learning_ntxent": Run(
        lambda p: metric_learning(p, "NTXentLoss"),
        f"a part of the anchors and candidates (it holds N²·M numbers); {_NO_EXTRAS}",
        "small",
    ),
    "pytorch_metric_learning_memory": Run(
        cross_batch_memory,
        f"CrossBatchMemory of NTXentLoss: a part of the anchors and candidates, no gradient to these; {_NO_EXTRAS}",
        "small",
    ),
}
CONTRASTIVE = [name for name in PEERS if name != "naive"]
RUNS: dict[str, Run] = {**OURS, **LINEAR, **FOLDED, **PEERS}
