"""InfoNCE over hybrid negatives, block by block: exact values and gradients without an (N, M) matrix.

Letters in names and comments: N anchors, M candidates, n candidates of one source, d their size, b anchors of a block.

    loss_i = log Σ_j exp(l_ij) − l_ip,   l_ij = a_i · c_j / τ

How one block of b anchors is done, forward and backward at once:
  1. l = a cᵀ per source (a is divided by τ beforehand), masked cells and the positive's own cell set to −inf (the positive is carried beside it);
  2. e = exp(l − m) in place. m is the row's largest logit, or 0 where Cauchy-Schwarz bounds |l| so far below
     overflow that the shift would change nothing but cost two passes over the largest matrix;
  3. e [c | 1] gives the unnormalised anchor gradient and the row's sum in one product;
  4. eᵀ (a / sum) is added to the candidates' gradient, for sources that carry one.
A permuted copy of the in-batch latents (`Candidates.mirror`) has the same multiset of logits, so it is a factor 2 on
the in-batch sums less its own copy of the positive: no product, no memory.
Source: seed.md, Algorithm 2; van den Oord et al. 2018 (arXiv 1807.03748).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from .account import Account, Tally
from .candidates import Candidates
from .identity import Pairs

SAFE_LOGIT = 40.0  # exp(±40) times 10⁶ candidates stays far inside float32
BLOCK_BYTES = {"cpu": 32 << 20, "cuda": 512 << 20}  # of logits held at a time; measured by benchmarks/loss.py


@dataclass(frozen=True)
class InfoNCE:
    """What one call gives.

    Attributes:
        loss: scalar, carries the gradient.
        losses: (N,) float32 loss of each anchor, detached.
        account: per-source statistics from the same logits; None unless asked for.
    """

    loss: Tensor
    losses: Tensor
    account: Account | None


def info_nce(
    anchors: Tensor,
    positives: Tensor,
    candidates: Candidates,
    scale: Tensor,
    weights: Tensor | None = None,
    labels: Tensor | None = None,
) -> InfoNCE:
    """Weighted InfoNCE of anchors against candidates, in float32.

    Args:
        anchors: (N, d) predictions.
        positives: (N,) int64, each anchor's positive as a column of the in-batch source.
        candidates: everything the anchors are scored against.
        scale: scalar 1/τ; a learned one gets its gradient.
        weights: (N,), 1/N each when not given.
        labels: (N,) int64, the anchors' classes; asks for the per-source account.

    Raises:
        ValueError: no anchors, or sizes that do not fit.
    """
    n = len(anchors)
    if n == 0 or len(positives) != n or anchors.shape[1] != candidates.sources[0].vectors.shape[1]:
        raise ValueError(f"anchors {tuple(anchors.shape)} do not fit positives {tuple(positives.shape)} or candidates")
    if weights is None:
        weights = anchors.new_full((n,), 1.0 / n, dtype=torch.float32)
    vectors = [source.vectors.float() for source in candidates.sources]
    masks = candidates.masked(positives)
    tally = None if labels is None else Tally(candidates, labels, masks, positives)
    scaled = anchors.float() * scale  # divided by τ before anything is masked: −inf never meets a product
    loss, losses = _BlockInfoNCE.apply(scaled, positives, weights, candidates, masks, tally, *vectors)
    if tally is None:
        return InfoNCE(loss, losses, None)
    with torch.no_grad():
        return InfoNCE(loss, losses, tally.account(anchors.float(), vectors, scale))


class _BlockInfoNCE(torch.autograd.Function):
    """Gradients are made in the forward pass, while a block's exponentials are at hand, and scaled in the backward."""

    @staticmethod
    def forward(
        ctx: Any,
        anchors: Tensor,
        positives: Tensor,
        weights: Tensor,
        candidates: Candidates,
        masks: list[Pairs | None],
        tally: Tally | None,
        *vectors: Tensor,
    ) -> tuple[Tensor, Tensor]:
        needs = [ctx.needs_input_grad[0], *ctx.needs_input_grad[6:]]
        walk = _Walk(anchors, positives, weights, candidates, masks, tally, vectors, needs)
        with torch.no_grad(), torch.autocast(anchors.device.type, enabled=False):
            losses = torch.cat([walk.block(first) for first in range(0, len(anchors), walk.rows)])
        ctx.save_for_backward(*(g for g in walk.gradients if g is not None))
        ctx.present = [g is not None for g in walk.gradients]
        ctx.mark_non_differentiable(losses)
        return torch.dot(losses, weights), losses

    @staticmethod
    def backward(ctx: Any, *outputs: Tensor) -> tuple[Tensor | None, ...]:
        saved = iter(ctx.saved_tensors)
        gradients = [outputs[0] * next(saved) if present else None for present in ctx.present]
        return gradients[0], None, None, None, None, None, *gradients[1:]


class _Walk:
    """One pass over the anchors; holds what all blocks share."""

    def __init__(
        self,
        anchors: Tensor,
        positives: Tensor,
        weights: Tensor,
        candidates: Candidates,
        masks: list[Pairs | None],
        tally: Tally | None,
        vectors: tuple[Tensor, ...],
        needs: list[bool],
    ) -> None:
        self.anchors, self.positives, self.weights = anchors, positives, weights
        self.masks, self.tally, self.vectors = masks, tally, vectors
        mirrored = candidates.mirror != "absent"
        self.copies = 2.0 if mirrored else 1.0  # of every in-batch negative
        self.copies_grad = 2.0 if candidates.mirror == "attached" else 1.0
        keeps_own = mirrored and candidates.mode == "seed"  # the mirror's copy of the positive stays unmasked
        self.own = 2.0 if keeps_own else 1.0
        self.own_grad = 2.0 if keeps_own and candidates.mirror == "attached" else 1.0
        total = sum(len(v) for v in vectors)
        budget = BLOCK_BYTES.get(anchors.device.type, BLOCK_BYTES["cuda"])
        self.rows = max(16, min(len(anchors), budget // (4 * total)))
        self.buffer = anchors.new_empty(min(self.rows, len(anchors)) * total)
        self.shift = not _bounded(anchors, vectors)
        self.values = [self._values(index, v) for index, v in enumerate(vectors)]
        wanted = (anchors, *vectors)
        self.gradients = [torch.zeros_like(x) if need else None for x, need in zip(wanted, needs, strict=True)]

    def _values(self, index: int, vectors: Tensor) -> Tensor:
        """(n, d + 1) or, with an account, (n, d + classes): one product gives gradients and sums."""
        if self.tally is None:
            return torch.cat([vectors, vectors.new_ones(len(vectors), 1)], 1)
        return torch.cat([vectors, self.tally.one_hot(index)], 1)

    def block(self, first: int) -> Tensor:
        """Losses (b,) of the anchors from `first` on; gradients are added to `self.gradients`."""
        rows = slice(first, min(first + self.rows, len(self.anchors)))
        a, positives, weights = self.anchors[rows], self.positives[rows], self.weights[rows]
        own = self.vectors[0][positives]
        own_logit = (a * own).sum(1)
        logits = self._logits(a, rows)
        logits[0].scatter_(1, positives[:, None], -torch.inf)
        shift = torch.zeros_like(own_logit)
        if self.shift:
            shift = torch.stack([own_logit, *(l.amax(1) for l in logits)]).amax(0)
            for l in logits:
                l.sub_(shift[:, None])
        exps = [l.exp_() for l in logits]
        own_exp = (own_logit - shift).exp()

        d = a.shape[1]
        sums = [e @ v for e, v in zip(exps, self.values, strict=True)]
        masses = [s[:, d:].sum(1) for s in sums]
        total = self.own * own_exp + self.copies * masses[0] + sum(masses[1:])
        if self.tally is not None:
            self.tally.add(rows, own_logit, shift, own_exp, total, [s[:, d:] for s in sums], exps)

        grad_a, grad_in, *grad_rest = self.gradients
        share = weights / total
        if grad_a is not None:
            pull = self.copies * sums[0][:, :d]
            for s in sums[1:]:
                pull += s[:, :d]
            grad_a[rows] = share[:, None] * pull + (share * self.own * own_exp - weights)[:, None] * own
        scaled = a * share[:, None]
        if grad_in is not None:
            grad_in.addmm_(exps[0].T, scaled, alpha=self.copies_grad)
            grad_in.index_add_(0, positives, (share * self.own_grad * own_exp - weights)[:, None] * a)
        for grad, e in zip(grad_rest, exps[1:], strict=True):
            if grad is not None:
                grad.addmm_(e.T, scaled)
        return total.log() + shift - own_logit

    def _logits(self, a: Tensor, rows: slice) -> list[Tensor]:
        """Per source (b, n) logits in the shared buffer, masked cells −inf."""
        logits, begin = [], 0
        for vectors, mask in zip(self.vectors, self.masks, strict=True):
            size = len(a) * len(vectors)
            out = self.buffer[begin : begin + size].view(len(a), len(vectors))
            begin += size
            torch.mm(a, vectors.T, out=out)
            if mask is not None:
                cells = slice(int(mask.start[rows.start]), int(mask.start[rows.stop]))
                out[mask.rows[cells] - rows.start, mask.columns[cells]] = -torch.inf
            logits.append(out)
        return logits


def _bounded(anchors: Tensor, vectors: tuple[Tensor, ...]) -> bool:
    """Whether no logit can leave ±SAFE_LOGIT (Cauchy-Schwarz), so that exp needs no shift."""
    longest = torch.stack([v.norm(dim=1).amax() for v in vectors]).amax()
    return bool(anchors.norm(dim=1).amax() * longest <= SAFE_LOGIT)
