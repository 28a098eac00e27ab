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

References: docs/method.md#algorithm-2 and docs/method.md#block-wise-loss; van den Oord et al. 2018 (arXiv 1807.03748).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor
from torch.nn import functional as F

from .candidates import Candidates, by_class
from .identity import Mask
from .source_stats import LossStats, StatsCollector

SAFE_LOGIT = 40.0  # exp(±40) times 10⁶ candidates is far within the range of float32


@dataclass(frozen=True)
class Shape:
    """Block and tile sizes for one type of device.

    Attributes:
        rows: largest number of anchors per block.
        tile: largest number of logits per tile.
        kept: largest number of logits kept per block for the gradient of the candidates.
        dense: find masked cells by comparing all keys of a tile, which needs no synchronization with the host, instead
            of sorting the keys, which needs far fewer comparisons.
    """

    rows: int
    tile: int
    kept: int
    dense: bool


SHAPES = {
    "cpu": Shape(rows=512, tile=2 << 20, kept=8 << 20, dense=False),  # a tile of 8 MB fits in a shared cache
    "cuda": Shape(rows=4096, tile=64 << 20, kept=256 << 20, dense=True),
}


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
        >>> loss.allclose(F.cross_entropy(5 * keys @ keys.T, torch.arange(3)))
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
    loss, losses = _BlockInfoNCE.apply(scaled, positives, weights, candidates, collector, bound <= SAFE_LOGIT, *vectors)
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
        *vectors: Tensor,
    ) -> tuple[Tensor, Tensor]:
        needs = [ctx.needs_input_grad[0], *ctx.needs_input_grad[6:]]
        blocks = _BlockPass(anchors, positives, weights, candidates, collector, bounded, vectors, needs)
        with torch.no_grad(), torch.autocast(anchors.device.type, enabled=False):
            losses = torch.cat([blocks.block(number) for number in range(-(-len(anchors) // blocks.rows))])
            blocks.finish()
        ctx.save_for_backward(*(g for g in blocks.gradients if g is not None))
        ctx.present = [g is not None for g in blocks.gradients]
        ctx.mark_non_differentiable(losses)
        return torch.dot(losses, weights), losses

    @staticmethod
    def backward(ctx: Any, *outputs: Tensor) -> tuple[Tensor | None, ...]:
        saved = iter(ctx.saved_tensors)
        gradients = [outputs[0] * next(saved) if present else None for present in ctx.present]
        return gradients[0], None, None, None, None, None, *gradients[1:]


@dataclass
class _Tile:
    """A range of columns of one source.

    Attributes:
        source: index of the source.
        span: columns of the tile within the source.
        runs: (class, columns within the tile) of each run of one class; a single run without statistics.
        mask: which cells are not negatives; None if all cells are negatives.
        cells: rows and columns (within the tile) of the masked cells, sorted by row, if they were found beforehand;
            otherwise None.
        start: the masked cells of block k are those from start[k] to start[k + 1].
    """

    source: int
    span: slice
    runs: list[tuple[int, slice]]
    mask: Mask | None
    cells: tuple[Tensor, Tensor] | None
    start: list[int]


class _BlockPass:
    """One pass over all blocks of anchors, with the buffers that the blocks share."""

    def __init__(
        self,
        anchors: Tensor,
        positives: Tensor,
        weights: Tensor,
        candidates: Candidates,
        collector: StatsCollector | None,
        bounded: bool,
        vectors: tuple[Tensor, ...],
        needs: list[bool],
    ) -> None:
        self.anchors, self.positives, self.weights = anchors, positives, weights
        self.collector, self.bounded, self.vectors = collector, bounded, vectors
        has_permuted = candidates.permuted != "absent"
        self.copies = 2.0 if has_permuted else 1.0  # copies of every in-batch negative
        self.copies_grad = 2.0 if candidates.permuted == "attached" else 1.0  # those that carry a gradient
        keeps_positive = has_permuted and candidates.mode == "reference"  # the permuted copy of the positive counts
        self.positive_copies = 2.0 if keeps_positive else 1.0
        self.positive_copies_grad = 2.0 if keeps_positive and candidates.permuted == "attached" else 1.0
        inputs = (anchors, *vectors)
        self.gradients = [torch.zeros_like(x) if need else None for x, need in zip(inputs, needs, strict=True)]

        shape = SHAPES.get(anchors.device.type, SHAPES["cuda"])
        kept = sum(len(v) for v, g in zip(vectors, self.gradients[1:], strict=True) if g is not None)
        self.rows = max(16, min(len(anchors), shape.rows, shape.kept // max(kept, 1)))
        width = max(1, shape.tile // self.rows)
        self.tiles: list[_Tile] = []
        for source, mask in enumerate(candidates.masks(positives)):
            cells = None if mask is None or shape.dense else mask.cells()
            for begin in range(0, len(vectors[source]), width):
                span = slice(begin, min(begin + width, len(vectors[source])))
                self.tiles.append(self._tile(source, span, mask, cells))
        self.buffer = anchors.new_empty(self.rows * kept)
        self.positive_grads = torch.empty_like(weights)  # (N,) gradient on the logit of each positive
        self.scratch = anchors.new_empty(self.rows * min(width, max(len(v) for v in vectors)))

    def _tile(self, source: int, span: slice, mask: Mask | None, cells: tuple[Tensor, Tensor] | None) -> _Tile:
        """One tile; `cells` are the masked cells of the whole source, or None if they are found per block."""
        runs = [(0, slice(None))] if self.collector is None else self.collector.runs(source, span)
        if cells is None:
            return _Tile(source, span, runs, mask, None, [])
        rows, columns = cells
        if span != slice(0, len(self.vectors[source])):
            inside = (columns >= span.start) & (columns < span.stop)
            rows, columns = rows[inside], columns[inside] - span.start
        edges = torch.arange(-(-len(self.anchors) // self.rows) + 1, device=rows.device) * self.rows
        return _Tile(source, span, runs, mask, (rows, columns), torch.searchsorted(rows, edges).tolist())

    def block(self, number: int) -> Tensor:
        """Process block `number` of the anchors and add its gradients to `self.gradients`.

        Returns:
            (b,) losses.
        """
        rows = slice(number * self.rows, min((number + 1) * self.rows, len(self.anchors)))
        a, weights = self.anchors[rows], self.weights[rows]
        positive = self.vectors[0][self.positives[rows]]
        positive_logit = (a * positive).sum(1)
        # S: number of sources
        shift = torch.zeros_like(positive_logit) if self.bounded else positive_logit  # (b,) m of the module docstring
        highest = a.new_full((len(self.vectors), len(a)), -torch.inf)  # (S, b) largest logits
        weighted = a.new_zeros(len(self.vectors), len(a), a.shape[1])  # (S, b, d) Σ_j exp(l_j − m) c_j
        mass = a.new_zeros(len(self.vectors), 1 if self.collector is None else self.collector.classes, len(a))
        kept, used = [], 0
        for tile in self.tiles:
            vectors, source = self.vectors[tile.source][tile.span], tile.source
            size = len(a) * len(vectors)
            needs_grad = self.gradients[1 + source] is not None
            store = self.buffer[used : used + size] if needs_grad else self.scratch[:size]
            l = torch.mm(a, vectors.T, out=store.view(len(a), len(vectors)))
            self._mask(tile, l, number, rows)
            if self.collector is not None and number == 0:
                self.collector.add_hardest(source, tile.span, l)
            if self.collector is not None or not self.bounded:
                highest[source] = torch.maximum(highest[source], l.amax(1))
            if not self.bounded:
                new_shift = torch.maximum(shift, highest[source])
                rescale = (shift - new_shift).exp()
                weighted *= rescale[:, None]
                mass *= rescale
                shift = new_shift
                l.sub_(shift[:, None])
            weighted[source].addmm_(l.exp_(), vectors)
            for label, columns in tile.runs:
                mass[source, label] += l[:, columns].sum(1)
            if needs_grad:
                kept.append((tile, l, shift))
                used += size
        positive_exp = (positive_logit - shift).exp()
        negatives = (self.copies - 1) * mass[0].sum(0) + mass.sum((0, 1))
        total = self.positive_copies * positive_exp + negatives
        log_total = total.log() + shift
        if self.collector is not None:
            self.collector.add(rows, positive_logit, log_total, total, mass, highest)
        factor = weights / total
        # The gradient p₊ − 1 is computed from the negatives' mass: where p₊ rounds to 1, the difference would be noise.
        detached_copies = self.positive_copies - self.positive_copies_grad
        self.positive_grads[rows] = -factor * (negatives + detached_copies * positive_exp)
        if self.gradients[0] is not None:
            negatives_sum = (self.copies - 1) * weighted[0] + weighted.sum(0)
            self.gradients[0][rows] = factor[:, None] * (negatives_sum - negatives[:, None] * positive)
        scaled = a * factor[:, None]
        for tile, e, tile_shift in kept:
            part = scaled if self.bounded else scaled * (tile_shift - shift).exp()[:, None]
            gradient = self.gradients[1 + tile.source]
            assert gradient is not None
            gradient[tile.span].addmm_(e.T, part, alpha=self.copies_grad if tile.source == 0 else 1.0)
        return log_total - positive_logit

    def _mask(self, tile: _Tile, logits: Tensor, number: int, block: slice) -> None:
        """Set the cells of a block that are not negatives to −inf, after passing their logits to the collector.

        Args:
            logits: (b, n) of the tile, changed in place.
            number: of the block.
            block: anchors of the block.
        """
        if tile.mask is None:
            return
        if tile.cells is not None:
            in_block = slice(tile.start[number], tile.start[number + 1])
            rows, columns = tile.cells[0][in_block] - block.start, tile.cells[1][in_block]
        else:
            equal = tile.mask.anchors[block, None] == tile.mask.candidates[tile.span]
            if self.collector is None:
                logits.masked_fill_(equal, -torch.inf)
                return
            rows, columns = equal.nonzero().unbind(1)
        if self.collector is not None:
            self.collector.add_masked(tile.source, logits[rows, columns], rows + block.start, columns + tile.span.start)
        logits[rows, columns] = -torch.inf

    def finish(self) -> None:
        """Add the gradient of every anchor on its own positive, for all blocks at once.

        `embedding_bag` sums over the anchors of each positive: they form one bag.
        """
        grad_in_batch = self.gradients[1]
        if grad_in_batch is not None:
            counts = torch.bincount(self.positives, minlength=len(grad_in_batch))
            begin = counts.cumsum(0) - counts
            contributions = self.positive_grads[:, None] * self.anchors
            grad_in_batch += F.embedding_bag(self.positives.argsort(), contributions, begin, mode="sum")


def _largest_logit(anchors: Tensor, vectors: list[Tensor]) -> float:
    """An upper bound of |a · c| by the Cauchy-Schwarz inequality."""
    longest = torch.stack([v.detach().norm(dim=1).amax() for v in vectors]).amax()
    return float(anchors.detach().norm(dim=1).amax() * longest)
