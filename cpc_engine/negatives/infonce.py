"""InfoNCE over hybrid negatives, tile by tile: exact values and gradients without an (N, M) matrix.

Letters in names and comments: N anchors, M candidates, n candidates of one source, d their size, b anchors of a block.

    loss_i = log Σ_j exp(l_ij) − l_ip,   l_ij = a_i · c_j / τ

A block of b anchors meets the candidates in tiles that fit the cache. For one tile:
  1. l = a cᵀ (a is divided by τ beforehand); cells that are no negatives, the positive's own among them, become −inf;
  2. e = exp(l − m) in place. m is the row's largest logit so far (what was summed before is rescaled when it grows),
     or 0 for good where Cauchy-Schwarz bounds |l| so far below overflow that a shift would change nothing;
  3. e c and e's row sums are added up: the anchors' gradient and the loss, both still to be divided by the total.
When all tiles are done the total is known, and eᵀ (a / total) is the candidates' gradient: only tiles of sources that
carry one are kept until then, so a longer queue takes time but no memory.
A permuted copy of the in-batch latents (`Candidates.mirror`) has the same multiset of logits, so it is a factor 2 on
the in-batch sums less its own copy of the positive: no product, no memory.
Source: seed.md, Algorithm 2; van den Oord et al. 2018 (arXiv 1807.03748).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor
from torch.nn import functional as F

from .account import Account, Tally
from .candidates import Candidates, by_class
from .identity import Mask

SAFE_LOGIT = 40.0  # exp(±40) times 10⁶ candidates stays far inside float32


@dataclass(frozen=True)
class Shape:
    """How a device likes its work cut.

    Attributes:
        rows: anchors per block. tile: logits per tile. kept: logits kept per block.
        dense: find masked cells by comparing all keys of a tile, which asks the host for nothing; or by sorting them,
            which compares far less.
    """

    rows: int
    tile: int
    kept: int
    dense: bool


SHAPES = {
    "cpu": Shape(rows=512, tile=2 << 20, kept=8 << 20, dense=False),  # a tile of 8 MB stays in a shared cache
    "cuda": Shape(rows=4096, tile=64 << 20, kept=256 << 20, dense=True),
}


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
    bound: float | None = None,
) -> InfoNCE:
    """Weighted InfoNCE of anchors against candidates, in float32.

    Args:
        anchors: (N, d) predictions.
        positives: (N,) int64, each anchor's positive as a column of the in-batch source.
        candidates: everything the anchors are scored against.
        scale: scalar 1/τ; a learned one gets its gradient.
        weights: (N,), 1/N each when not given.
        labels: (N,) int64, the anchors' classes; asks for the per-source account.
        bound: no logit's absolute value exceeds it (1/τ for unit vectors); where not given, a CPU measures it.

    Raises:
        ValueError: no anchors, or sizes that do not fit.
    """
    n = len(anchors)
    if n == 0 or len(positives) != n or anchors.shape[1] != candidates.sources[0].vectors.shape[1]:
        raise ValueError(f"anchors {tuple(anchors.shape)} do not fit positives {tuple(positives.shape)} or candidates")
    if weights is None:
        weights = anchors.new_full((n,), 1.0 / n, dtype=torch.float32)
    if labels is not None:
        candidates, positives = by_class(candidates, positives)
    vectors = [source.vectors.float() for source in candidates.sources]
    tally = None if labels is None else Tally(candidates, labels)
    scaled = anchors.float() * scale  # divided by τ before anything is masked: −inf never meets a product
    if bound is None:  # a GPU is not asked: waiting for its answer costs more than shifting
        bound = _largest_logit(scaled, vectors) if scaled.device.type == "cpu" else float("inf")
    loss, losses = _BlockInfoNCE.apply(scaled, positives, weights, candidates, tally, bound <= SAFE_LOGIT, *vectors)
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
        tally: Tally | None,
        bounded: bool,
        *vectors: Tensor,
    ) -> tuple[Tensor, Tensor]:
        needs = [ctx.needs_input_grad[0], *ctx.needs_input_grad[6:]]
        walk = _Walk(anchors, positives, weights, candidates, tally, bounded, vectors, needs)
        with torch.no_grad(), torch.autocast(anchors.device.type, enabled=False):
            losses = torch.cat([walk.block(number) for number in range(-(-len(anchors) // walk.rows))])
            walk.finish()
        ctx.save_for_backward(*(g for g in walk.gradients if g is not None))
        ctx.present = [g is not None for g in walk.gradients]
        ctx.mark_non_differentiable(losses)
        return torch.dot(losses, weights), losses

    @staticmethod
    def backward(ctx: Any, *outputs: Tensor) -> tuple[Tensor | None, ...]:
        saved = iter(ctx.saved_tensors)
        gradients = [outputs[0] * next(saved) if present else None for present in ctx.present]
        return gradients[0], None, None, None, None, None, *gradients[1:]


@dataclass
class _Tile:
    """Some columns of one source.

    Attributes:
        runs: class and columns of each stretch of one class; all columns as one where there is no account.
        mask: keys that tell which cells are no negatives; None where all are.
        cells: rows and columns of those cells, sorted by row, where they were looked up beforehand; those of block k
            are start[k] to start[k + 1].
    """

    source: int
    span: slice
    runs: list[tuple[int, slice]]
    mask: Mask | None
    cells: tuple[Tensor, Tensor] | None
    start: list[int]


class _Walk:
    """One pass over the anchors; holds what all blocks share."""

    def __init__(
        self,
        anchors: Tensor,
        positives: Tensor,
        weights: Tensor,
        candidates: Candidates,
        tally: Tally | None,
        bounded: bool,
        vectors: tuple[Tensor, ...],
        needs: list[bool],
    ) -> None:
        self.anchors, self.positives, self.weights = anchors, positives, weights
        self.tally, self.bounded, self.vectors = tally, bounded, vectors
        mirrored = candidates.mirror != "absent"
        self.copies = 2.0 if mirrored else 1.0  # of every in-batch negative
        self.copies_grad = 2.0 if candidates.mirror == "attached" else 1.0
        keeps_own = mirrored and candidates.mode == "seed"  # the mirror's copy of the positive stays unmasked
        self.own = 2.0 if keeps_own else 1.0
        self.own_grad = 2.0 if keeps_own and candidates.mirror == "attached" else 1.0
        wanted = (anchors, *vectors)
        self.gradients = [torch.zeros_like(x) if need else None for x, need in zip(wanted, needs, strict=True)]

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
        self.pulls = torch.empty_like(weights)  # (N,) gradient on each positive's logit
        self.scratch = anchors.new_empty(self.rows * min(width, max(len(v) for v in vectors)))

    def _tile(self, source: int, span: slice, mask: Mask | None, cells: tuple[Tensor, Tensor] | None) -> _Tile:
        runs = [(0, slice(None))] if self.tally is None else self.tally.runs(source, span)
        if cells is None:
            return _Tile(source, span, runs, mask, None, [])
        rows, columns = cells
        if span != slice(0, len(self.vectors[source])):
            inside = (columns >= span.start) & (columns < span.stop)
            rows, columns = rows[inside], columns[inside] - span.start
        edges = torch.arange(-(-len(self.anchors) // self.rows) + 1, device=rows.device) * self.rows
        return _Tile(source, span, runs, mask, (rows, columns), torch.searchsorted(rows, edges).tolist())

    def block(self, number: int) -> Tensor:
        """Losses (b,) of block `number` of the anchors; gradients are added to `self.gradients`."""
        rows = slice(number * self.rows, min((number + 1) * self.rows, len(self.anchors)))
        a, weights = self.anchors[rows], self.weights[rows]
        own = self.vectors[0][self.positives[rows]]
        own_logit = (a * own).sum(1)
        top = torch.zeros_like(own_logit) if self.bounded else own_logit
        highest = a.new_full((len(self.vectors), len(a)), -torch.inf)
        pull = a.new_zeros(len(self.vectors), len(a), a.shape[1])
        mass = a.new_zeros(len(self.vectors), 1 if self.tally is None else self.tally.classes, len(a))
        kept, used = [], 0
        for tile in self.tiles:
            vectors, source = self.vectors[tile.source][tile.span], tile.source
            size = len(a) * len(vectors)
            carries = self.gradients[1 + source] is not None
            store = self.buffer[used : used + size] if carries else self.scratch[:size]
            l = torch.mm(a, vectors.T, out=store.view(len(a), len(vectors)))
            self._mask(tile, l, number, rows)
            if self.tally is not None and number == 0:
                self.tally.watch(source, tile.span, l)
            if self.tally is not None or not self.bounded:
                highest[source] = torch.maximum(highest[source], l.amax(1))
            if not self.bounded:
                higher = torch.maximum(top, highest[source])
                shrink = (top - higher).exp()
                pull *= shrink[:, None]
                mass *= shrink
                top = higher
                l.sub_(top[:, None])
            pull[source].addmm_(l.exp_(), vectors)
            for label, columns in tile.runs:
                mass[source, label] += l[:, columns].sum(1)
            if carries:
                kept.append((tile, l, top))
                used += size
        own_exp = (own_logit - top).exp()
        negatives = (self.copies - 1) * mass[0].sum(0) + mass.sum((0, 1))
        total = self.own * own_exp + negatives
        log_total = total.log() + top
        if self.tally is not None:
            self.tally.add(rows, own_logit, log_total, total, mass, highest)
        share = weights / total
        # p₊ − 1 from what is not the positive: p₊ itself rounds to 1 where an anchor is all but solved
        self.pulls[rows] = -share * (negatives + (self.own - self.own_grad) * own_exp)
        if self.gradients[0] is not None:
            towards = (self.copies - 1) * pull[0] + pull.sum(0)
            self.gradients[0][rows] = share[:, None] * (towards - negatives[:, None] * own)
        scaled = a * share[:, None]
        for tile, e, seen in kept:
            part = scaled if self.bounded else scaled * (seen - top).exp()[:, None]
            gradient = self.gradients[1 + tile.source]
            assert gradient is not None
            gradient[tile.span].addmm_(e.T, part, alpha=self.copies_grad if tile.source == 0 else 1.0)
        return log_total - own_logit

    def _mask(self, tile: _Tile, logits: Tensor, number: int, block: slice) -> None:
        """Set this block's cells that are no negatives to −inf; the account sees them before."""
        if tile.mask is None:
            return
        if tile.cells is not None:
            mine = slice(tile.start[number], tile.start[number + 1])
            rows, columns = tile.cells[0][mine] - block.start, tile.cells[1][mine]
        else:
            equal = tile.mask.anchors[block, None] == tile.mask.candidates[tile.span]
            if self.tally is None:
                logits.masked_fill_(equal, -torch.inf)
                return
            rows, columns = equal.nonzero().unbind(1)
        if self.tally is not None:
            self.tally.leave_out(tile.source, logits[rows, columns], rows + block.start, columns + tile.span.start)
        logits[rows, columns] = -torch.inf

    def finish(self) -> None:
        """What every anchor does to its own positive, for all blocks at once: the anchors of one positive are a bag."""
        grad_in_batch = self.gradients[1]
        if grad_in_batch is not None:
            counts = torch.bincount(self.positives, minlength=len(grad_in_batch))
            begin = counts.cumsum(0) - counts
            pulled = self.pulls[:, None] * self.anchors
            grad_in_batch += F.embedding_bag(self.positives.argsort(), pulled, begin, mode="sum")


def _largest_logit(anchors: Tensor, vectors: list[Tensor]) -> float:
    """An upper bound of |a · c| (Cauchy-Schwarz)."""
    longest = torch.stack([v.detach().norm(dim=1).amax() for v in vectors]).amax()
    return float(anchors.detach().norm(dim=1).amax() * longest)
