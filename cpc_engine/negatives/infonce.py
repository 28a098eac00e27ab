"""Block-wise InfoNCE over hybrid negatives: exact loss and gradients without an (N, M) matrix.

Notation: N anchors, M candidates, n candidates of one source, d their size, b anchors of a block.

    loss_i = log Σ_j exp(l_ij) − l_ip,   l_ij = a_i · c_j / τ,   p: the positive

For a block of b anchors, the candidates are processed in tiles that fit the cache. For one tile:

1. l = a cᵀ, where a is already divided by τ. Cells that are not negatives, among them the positive's own, become −inf.
2. e = exp(l − m) in place. m is the largest logit of the row so far; earlier sums are rescaled when it grows. If the
   Cauchy-Schwarz inequality bounds |l| far below overflow, m is 0 throughout.
3. e c and the row sums of e are accumulated. They give the gradient of the anchors and the loss after division by the
   total of the row.

After the last tile the total is known, and eᵀ (a / total) is the gradient of the candidates. Only tiles of sources that
require a gradient are kept until then, so a longer queue costs time but no memory. A permuted copy of the in-batch
latents (`Candidates.permuted`) has the same logits in another order. It is a factor of 2 on the in-batch sums, with a
correction for its copy of the positive, and needs no matrix product and no memory.

With weights (`weighting`), step 2 gives one e for each of their powers, and the derivatives by the sums of e, which are
1 / total here, are those of `Weighting.weigh`. The pass is in `block_pass`.

References: docs/method.md#algorithm-2 and docs/method.md#block-wise-loss; van den Oord et al. 2018 (arXiv 1807.03748).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from .block_pass import BlockPass
from .candidates import Candidates, by_class
from .source_stats import LossStats, StatsCollector

SAFE_LOGIT = 40.0  # exp(±40) times 10⁶ candidates is far within the range of float32


@dataclass(frozen=True)
class InfoNCE:
    """The result of `info_nce`.

    Attributes:
        loss: scalar with gradient, the weighted sum of the losses.
        losses: (N,) float32 loss of each anchor in nats, without gradient.
        stats: source statistics from the same logits; None if no labels were given.
    """

    loss: Tensor
    losses: Tensor
    stats: LossStats | None


def info_nce(
    anchors: Tensor,
    positives: Tensor,
    candidates: Candidates,
    scale: Tensor,
    weights: Tensor | None = None,
    labels: Tensor | None = None,
    bound: float | None = None,
) -> InfoNCE:
    """Compute the weighted InfoNCE loss of anchors against candidates, in float32.

    Args:
        anchors: (N, d) predictions.
        positives: (N,) int64, column of each anchor's positive in the in-batch source.
        candidates: candidates of all sources.
        scale: scalar 1/τ; receives a gradient if it requires one.
        weights: (N,) weights of the anchors; 1/N if not given.
        labels: (N,) int64 classes of the anchors. If given, source statistics are computed.
        bound: upper bound of the logits' absolute values (1/τ for unit vectors). If not given, it is computed on a CPU,
            and on a GPU the logits are always shifted.

    Raises:
        ValueError: there are no anchors, or the shapes do not match.

    Example:
        >>> from cpc_engine.sources import CandidateSet
        >>> keys = torch.eye(3)
        >>> candidates = Candidates([CandidateSet("in_batch", keys, ids=torch.arange(3), labels=torch.arange(3))])
        >>> loss = info_nce(keys, torch.arange(3), candidates, scale=torch.tensor(5.0)).loss
        >>> loss.allclose(torch.nn.functional.cross_entropy(5 * keys @ keys.T, torch.arange(3)))
        True
    """
    n = len(anchors)
    if n == 0 or len(positives) != n or anchors.shape[1] != candidates.sources[0].vectors.shape[1]:
        raise ValueError(f"anchors {tuple(anchors.shape)} do not fit positives {tuple(positives.shape)} or candidates")
    if weights is None:
        weights = anchors.new_full((n,), 1.0 / n, dtype=torch.float32)
    if labels is not None:
        candidates, positives = by_class(candidates, positives)
    vectors = [source.vectors.float() for source in candidates.sources]
    collector = None if labels is None else StatsCollector(candidates, labels)
    scaled = anchors.float() * scale  # divide by τ before masking, so that −inf is never multiplied
    if bound is None:  # not computed on a GPU: the synchronization would cost more than shifting the logits
        bound = _largest_logit(scaled, vectors) if scaled.device.type == "cpu" else float("inf")
    weighting = candidates.weighting
    bounded = bound * (1.0 if weighting is None else weighting.powers[0]) <= SAFE_LOGIT
    floor = None if weighting is None else weighting.floor(scale.float())
    loss, losses = _BlockInfoNCE.apply(scaled, positives, weights, candidates, collector, bounded, floor, *vectors)
    if collector is None:
        return InfoNCE(loss, losses, None)
    with torch.no_grad():
        return InfoNCE(loss, losses, collector.stats(anchors.float(), vectors, scale))


class _BlockInfoNCE(torch.autograd.Function):
    """The loss as an autograd function.

    Gradients are computed in the forward pass, while the exponentials of a block are available, and scaled in the
    backward pass.
    """

    @staticmethod
    def forward(
        ctx: Any,
        anchors: Tensor,
        positives: Tensor,
        weights: Tensor,
        candidates: Candidates,
        collector: StatsCollector | None,
        bounded: bool,
        floor: Tensor | None,
        *vectors: Tensor,
    ) -> tuple[Tensor, Tensor]:
        needs = [ctx.needs_input_grad[0], *ctx.needs_input_grad[7:]]
        blocks = BlockPass(anchors, positives, weights, candidates, collector, bounded, floor, vectors, needs)
        with torch.no_grad(), torch.autocast(anchors.device.type, enabled=False):
            losses = torch.cat([blocks.block(number) for number in range(-(-len(anchors) // blocks.rows))])
            blocks.finish()
        found = [*blocks.gradients, blocks.floor_gradient]
        ctx.save_for_backward(*(g for g in found if g is not None))
        ctx.present = [g is not None for g in found]
        ctx.mark_non_differentiable(losses)
        return torch.dot(losses, weights), losses

    @staticmethod
    def backward(ctx: Any, *outputs: Tensor) -> tuple[Tensor | None, ...]:
        saved = iter(ctx.saved_tensors)
        gradients = [outputs[0] * next(saved) if present else None for present in ctx.present]
        return gradients[0], None, None, None, None, None, gradients[-1], *gradients[1:-1]


def _largest_logit(anchors: Tensor, vectors: list[Tensor]) -> float:
    """An upper bound of |a · c| by the Cauchy-Schwarz inequality."""
    longest = torch.stack([v.detach().norm(dim=1).amax() for v in vectors]).amax()
    return float(anchors.detach().norm(dim=1).amax() * longest)
