"""The pass over blocks of anchors and tiles of candidates that `infonce` describes: losses, gradients, statistics."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor
from torch.nn import functional as F

from .candidates import Candidates
from .identity import Mask
from .source_stats import StatsCollector


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


class BlockPass:
    """One pass over all blocks of anchors, with the buffers that the blocks share."""

    def __init__(
        self,
        anchors: Tensor,
        positives: Tensor,
        weights: Tensor,
        candidates: Candidates,
        collector: StatsCollector | None,
        bounded: bool,
        floor: Tensor | None,
        vectors: tuple[Tensor, ...],
        needs: list[bool],
    ) -> None:
        self.anchors, self.positives, self.weights = anchors, positives, weights
        self.collector, self.bounded, self.vectors = collector, bounded, vectors
        self.weighting, self.floor = candidates.weighting, floor
        self.powers = (1.0,) if self.weighting is None else self.weighting.powers
        self.floor_gradient = None if floor is None else torch.zeros_like(floor)
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
        kept *= len(self.powers)
        self.rows = max(16, min(len(anchors), shape.rows, shape.kept // max(kept, 1)))
        width = max(1, shape.tile // self.rows)
        self.tiles: list[_Tile] = []
        masks = candidates.masks(positives)
        for source, mask in enumerate(masks):
            cells = None if mask is None or shape.dense or mask.dense else mask.cells()
            for begin in range(0, len(vectors[source]), width):
                span = slice(begin, min(begin + width, len(vectors[source])))
                self.tiles.append(self._tile(source, span, mask, cells))
        self.buffer = anchors.new_empty(self.rows * kept)
        self.positive_grads = torch.empty_like(weights)  # (N,) gradient on the logit of each positive
        self.scratch = anchors.new_empty(len(self.powers) * self.rows * min(width, max(len(v) for v in vectors)))
        self.count = None if self.weighting is None else candidates.negatives(masks, len(anchors))

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
        a = self.anchors[rows]
        positive = self.vectors[0][self.positives[rows]]
        positive_logit = (a * positive).sum(1)
        shift = self._first_shift(positive_logit)  # (b,) m of the description in `infonce`
        # K: number of powers (1 without hardness weights), S: number of sources
        highest = a.new_full((len(self.vectors), len(a)), -torch.inf)  # (S, b) largest logits
        weighted = a.new_zeros(len(self.powers), len(self.vectors), len(a), a.shape[1])  # (K, S, b, d) Σ_j e_j c_j
        classes = 1 if self.collector is None else self.collector.classes
        mass = a.new_zeros(len(self.powers), len(self.vectors), classes, len(a))  # (K, S, classes, b) Σ_j e_j
        kept, used, several = [], 0, len(self.powers) > 1
        for tile in self.tiles:
            vectors, source = self.vectors[tile.source][tile.span], tile.source
            size = len(self.powers) * len(a) * len(vectors)
            needs_grad = self.gradients[1 + source] is not None
            store = self.buffer[used : used + size] if needs_grad else self.scratch[:size]
            e = store.view(len(self.powers), len(a), len(vectors))
            l = torch.mm(a, vectors.T, out=e[0])
            self._mask(tile, l, number, rows)
            if self.collector is not None and number == 0:
                self.collector.add_hardest(source, tile.span, l)
            if self.collector is not None or not self.bounded:
                highest[source] = torch.maximum(highest[source], l.amax(1))
            if not self.bounded:
                new_shift = torch.maximum(shift, highest[source])
                for k, rescale in enumerate(self._rescale(shift, new_shift)):
                    weighted[k] *= rescale[:, None]
                    mass[k] *= rescale
                shift = new_shift
                l.sub_(shift[:, None])
            for k in range(len(self.powers) - 1, -1, -1):  # the first last, because it overwrites the logits
                powered = l if self.powers == (1.0,) else torch.mul(l, self.powers[k], out=e[k])
                powered.exp_()
                if not (needs_grad and several):  # of these tiles, only the combined exponentials are multiplied
                    weighted[k, source].addmm_(powered, vectors)
                for label, columns in tile.runs:
                    mass[k, source, label] += e[k][:, columns].sum(1)
            if needs_grad:
                kept.append((tile, e, shift))
                used += size
        negatives = [(self.copies - 1) * m[0].sum(0) + m.sum((0, 1)) for m in mass]  # (b,) for each power
        losses, factors, copies, floor_pull = self._derivatives(rows, positive_logit, shift, negatives, mass, highest)
        # The gradient p₊ − 1 is computed from the negatives' mass: where p₊ rounds to 1, the difference would be noise.
        detached = self.positive_copies - self.positive_copies_grad
        pulls = [f * (sums + detached * copy) for f, sums, copy in zip(factors, negatives, copies, strict=True)]
        self.positive_grads[rows] = -sum(pulls[1:], pulls[0])
        if self.gradients[0] is not None:
            parts = []
            for factor, sums, of_sources in zip(factors, negatives, weighted, strict=True):
                negatives_sum = (self.copies - 1) * of_sources[0] + of_sources.sum(0)
                parts.append(factor[:, None] * (negatives_sum - sums[:, None] * positive))
            self.gradients[0][rows] = sum(parts[1:], parts[0])
        if floor_pull is not None:
            self.positive_grads[rows] -= floor_pull
            if self.gradients[0] is not None:
                self.gradients[0][rows] -= floor_pull[:, None] * positive
        scaled = a if several else a * factors[0][:, None]
        for tile, e, tile_shift in kept:
            rescales = None if self.bounded else self._rescale(tile_shift, shift)
            part = scaled if several or rescales is None else scaled * rescales[0][:, None]
            if several:
                self._combine(tile, e, factors, rescales, rows)
            gradient = self.gradients[1 + tile.source]
            assert gradient is not None
            gradient[tile.span].addmm_(e[0].T, part, alpha=self.copies_grad if tile.source == 0 else 1.0)
        return losses

    def _combine(
        self, tile: _Tile, e: Tensor, factors: list[Tensor], rescales: list[Tensor] | None, rows: slice
    ) -> None:
        """Turn `e[0]` of a kept tile into the derivatives by the logits, and add their part of the anchors' gradient.

        Args:
            e: (K, b, n) exponentials. factors: for each power (b,) the derivative of the weighted loss by a sum.
            rescales: for each power (b,) factors of the tile's exponentials; None where nothing was shifted since.
            rows: anchors of the block.
        """
        by_sum = factors if rescales is None else [f * r for f, r in zip(factors, rescales, strict=True)]
        e[0].mul_(by_sum[0][:, None]).addcmul_(e[1], by_sum[1][:, None])
        if self.gradients[0] is not None:
            copies = self.copies if tile.source == 0 else 1.0
            self.gradients[0][rows].addmm_(e[0], self.vectors[tile.source][tile.span], alpha=copies)

    def _first_shift(self, positive_logit: Tensor) -> Tensor:
        """(b,) the shift before the first tile: a logit that counts, or one below all of them."""
        if self.bounded:
            return torch.zeros_like(positive_logit)
        if self.weighting is None or self.positive_copies > 1:
            return positive_logit
        # The positive is not in the sums, which would all be 0 if it were far above the negatives.
        return torch.full_like(positive_logit, -1e30)

    def _rescale(self, old: Tensor, new: Tensor) -> list[Tensor]:
        """For each power (b,) what exponentials of logits − old become those of logits − new by."""
        return [(power * (old - new)).exp() for power in self.powers]

    def _derivatives(
        self, rows: slice, positive_logit: Tensor, shift: Tensor, negatives: list[Tensor], mass: Tensor, highest: Tensor
    ) -> tuple[Tensor, list[Tensor], list[Tensor], Tensor | None]:
        """What the gradients of a block are made of; passes what was summed to the collector.

        Args:
            rows: anchors of the block. positive_logit: (b,). shift: (b,).
            negatives: for each power (b,) sums of the exponentials of the negatives but the positive's permuted copy.
            mass: (K, S, classes, b) the same per source and class, each in-batch negative once.
            highest: (S, b) largest logits.

        Returns:
            (b,) losses; for each power (b,) the derivative of the weighted loss by a sum, and the exponential of the
            positive's permuted copy; (b,) the pull of the positive by the floor of the negatives' mass.
        """
        weights = self.weights[rows]
        if self.weighting is None:
            positive_exp = (positive_logit - shift).exp()
            total = self.positive_copies * positive_exp + negatives[0]
            log_total = total.log() + shift
            if self.collector is not None:
                self.collector.add(rows, positive_logit, log_total, mass[0] / total, highest)
            return log_total - positive_logit, [weights / total], [positive_exp], None
        assert self.count is not None
        assert self.floor is not None
        copies = [torch.zeros_like(shift) for _ in self.powers]
        if self.positive_copies > 1:
            copies = self._rescale(positive_logit, shift)
        sums = [n + copy for n, copy in zip(negatives, copies, strict=True)]
        weighed = self.weighting.weigh(positive_logit, shift, sums, self.count[rows], self.floor)
        if self.collector is not None:
            self.collector.add(rows, positive_logit, weighed.log_total, mass[0] * weighed.mass, highest)
            self.collector.add_weighed(rows, weighed, shift, mass, sums, copies)
        floor_pull = weights * weighed.floor_pull
        assert self.floor_gradient is not None
        self.floor_gradient += floor_pull.sum()
        return weighed.losses, [weights * slope for slope in weighed.slopes], copies, floor_pull

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
            equal = tile.mask.equal(block, tile.span)
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
