"""Statistics per source of negatives, computed from the logits of the loss (see docs/method.md#source-statistics).

With p the softmax over an anchor's candidates, the gradient on the similarity of negative j is p_j / τ. The mass
Σ_{j∈S} p_j of source S is therefore proportional to its gradient, and mass / (1 − p₊) is its gradient share. With
weights (`weighting`) the two differ: mass says how 1 − p₊ is divided, share how the gradient is. Mean and standard
deviation of the similarities need no pass over the logits: they follow from sums and Gram matrices of the vectors.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import torch
from torch import Tensor

WATCHED = 4  # anchors whose hardest negatives are recorded
HARDEST = 8  # hardest negatives recorded per watched anchor

if TYPE_CHECKING:
    from .candidates import Candidates
    from .weighting import Weighed


@dataclass(frozen=True)
class SourceStats:
    """Statistics of one source in one step. Similarities are not divided by τ.

    Attributes:
        count: candidates per anchor before masks.
        masked: mean number of masked candidates per anchor.
        mass: softmax mass of the source's negatives, averaged over anchors; with p₊ it sums to 1 over sources. With
            weights each negative has its part of the negatives' (corrected) mass.
        share: gradient share, the source's part of the gradient on the similarities of all negatives; sums to 1 over
            sources. Without weights it is mass / (1 − p₊) with p₊ averaged over anchors. With hardness weights it is
            negative where the source's negatives are so easy that the weights draw them toward the anchors, and with
            debiasing all are 0 where every anchor's mass is at its floor.
        similarity: mean similarity between anchors and negatives.
        spread: standard deviation of these similarities.
        hardest: largest similarity of an anchor, averaged over anchors.
        false_negatives: share of the negatives that have the anchor's class.
        false_mass: the same, each negative weighted by its softmax mass.
    """

    count: int
    masked: float
    mass: float
    share: float
    similarity: float
    spread: float
    hardest: float
    false_negatives: float
    false_mass: float


@dataclass(frozen=True)
class HardNegative:
    """One of the hardest negatives of a watched anchor.

    Attributes:
        anchor: row of the anchor in the call of `info_nce`.
        source: name of the negative's source.
        identity: identity of the negative (see `identity`).
        similarity: similarity to the anchor, not divided by τ.
        share: gradient share among all negatives of this anchor (0 if none has a gradient).
    """

    anchor: int
    source: str
    identity: int
    similarity: float
    share: float


@dataclass(frozen=True)
class LossStats:
    """Statistics of one call of `info_nce`.

    Attributes:
        sources: statistics per source.
        positive_mass: p₊ averaged over anchors.
        positive_similarity: mean similarity between anchors and their positives, not divided by τ.
        accuracy: share of anchors whose positive scores at least as high as every negative.
        hard: the hardest negatives of a few anchors, hardest first. Permuted copies are listed as their originals.
    """

    sources: dict[str, SourceStats]
    positive_mass: float
    positive_similarity: float
    accuracy: float
    hard: list[HardNegative]


class StatsCollector:
    """Collects values per anchor from the blocks of the loss, and reduces them once at the end.

    Until then nothing is read from the device, so the blocks need no synchronization.

    Args:
        candidates: the candidates, sorted by class (see `by_class`).
        labels: (N,) int64 classes of the anchors.
    """

    def __init__(self, candidates: Candidates, labels: Tensor) -> None:
        self.candidates, self.labels = candidates, labels
        self.names: list[str] = [source.name for source in candidates.sources]
        self.classes = 1 + int(torch.cat([labels, *(source.labels for source in candidates.sources)]).amax())
        self._edges = [  # first column of each class, and the end; candidates are sorted by class (see `by_class`)
            [0, *torch.bincount(source.labels, minlength=self.classes).cumsum(0).tolist()]
            for source in candidates.sources
        ]
        n, sources = len(labels), len(candidates.sources)
        self._mass = torch.empty(sources, self.classes, n, device=labels.device)
        self._highest = torch.empty(sources, n, device=labels.device)
        self._positive = torch.empty(2, n, device=labels.device)  # logit of the positive, and log Σ exp of all logits
        self._masked: list[list[tuple[Tensor, Tensor, Tensor]]] = [[] for _ in candidates.sources]
        self._watched: Tensor | None = None
        self._hard: list[tuple[Tensor, Tensor, Tensor]] = []  # per tile: logits, identities, source, each (W, k)
        self._weighed: Tensor | None = None  # (S + 2, N) with weights: see `add_weighed`
        self._watched_weights: tuple[Tensor, Tensor, Tensor] | None = None  # slopes (K, W), shift (W,), gradient (W,)

    def runs(self, source: int, span: slice) -> list[tuple[int, slice]]:
        """Divide the columns `span` of a source into runs of one class.

        Returns:
            (class, columns relative to the start of `span`) of each run.
        """
        edges, runs = self._edges[source], []
        for label in range(self.classes):
            begin, end = max(edges[label], span.start), min(edges[label + 1], span.stop)
            if begin < end:
                runs.append((label, slice(begin - span.start, end - span.start)))
        return runs

    def add_masked(self, source: int, logits: Tensor, anchors: Tensor, columns: Tensor) -> None:
        """Record the logits of masked cells (anchors[k], columns[k]), which are subtracted from the moments later."""
        self._masked[source].append((logits, anchors, columns))

    def add_hardest(self, source: int, span: slice, logits: Tensor) -> None:
        """Record the largest logits of the watched anchors.

        Args:
            span: columns of the tile.
            logits: (b, n) logits of a tile of the first block, with masked cells at −∞.
        """
        if self._watched is None:
            self._watched = torch.linspace(0, len(logits) - 1, min(WATCHED, len(logits)), device=logits.device).long()
        values, columns = logits[self._watched].topk(min(HARDEST, logits.shape[1]), dim=1)
        ids = self.candidates.sources[source].ids[span][columns]
        self._hard.append((values, ids, torch.full_like(ids, source)))

    def add(self, rows: slice, positive_logit: Tensor, log_total: Tensor, class_mass: Tensor, highest: Tensor) -> None:
        """Record the values of one block of b anchors; S is the number of sources.

        Args:
            rows: the block's anchors.
            positive_logit: (b,) logit of the positive.
            log_total: (b,) log Σ exp of all logits.
            class_mass: (S, classes, b) softmax mass.
            highest: (S, b) largest logit.
        """
        self._mass[:, :, rows] = class_mass
        self._highest[:, rows] = highest
        self._positive[0, rows] = positive_logit
        self._positive[1, rows] = log_total

    def add_weighed(
        self,
        rows: slice,
        weighed: Weighed,
        shift: Tensor,
        mass: Tensor,
        sums: list[Tensor],
        copies: list[Tensor],
    ) -> None:
        """Record the gradients of one block of b anchors by sources; K is the number of powers.

        Args:
            rows: the block's anchors.
            weighed: of the block. shift: (b,).
            mass: (K, S, classes, b) sums of shifted exponentials.
            sums: for each power (b,) the same over all negatives, permuted copies included.
            copies: for each power (b,) the exponential of the positive's permuted copy.
        """
        slopes = torch.stack(weighed.slopes)
        if self._weighed is None:
            self._weighed = torch.empty(len(self.names) + 2, len(self.labels), device=shift.device)
            push = (torch.stack(sums) * slopes).sum(0)
            self._watched_weights = (slopes[:, self._watched], shift[self._watched], push[self._watched])
        self._weighed[:-2, rows] = (mass.sum(2) * slopes[:, None]).sum(0)
        self._weighed[-2, rows] = (torch.stack(copies) * slopes).sum(0)
        self._weighed[-1, rows] = copies[0] * weighed.mass

    def stats(self, anchors: Tensor, vectors: list[Tensor], scale: Tensor) -> LossStats:
        """Reduce the collected values to the statistics of the step.

        Args:
            anchors: (N, d), not divided by τ.
            vectors: candidates of each source, (n, d).
            scale: scalar 1/τ.
        """
        logit, log_total = self._positive
        n, positive_p, positive_score = len(anchors), (logit - log_total).exp(), logit / scale
        highest = self._highest / scale
        correct = positive_score >= highest.amax(0)
        mass = self._mass.sum(1)
        push, copy_push, copy_mass = mass, positive_p, positive_p
        if self._weighed is not None:
            push, copy_push, copy_mass = self._weighed[:-2], *self._weighed[-2:]
        same_class_mass = self._mass.gather(1, self.labels.expand(len(mass), 1, -1))[:, 0]
        total, gram = anchors.sum(0), anchors.T @ anchors
        moments = torch.stack([self._moments(i, n, total, gram, v, scale) for i, v in enumerate(vectors)])
        if self.candidates.permuted != "absent":  # the in-batch negatives again; in mode "reference" the positives too
            self.names.append("shuffled")
            kept = 1.0 if self.candidates.mode == "reference" else 0.0
            permuted_highest = torch.maximum(highest[0], positive_score) if kept else highest[0]
            highest = torch.cat([highest, permuted_highest[None]])
            mass, same_class_mass = (torch.cat([x, x[:1] + kept * copy_mass]) for x in (mass, same_class_mass))
            push = torch.cat([push, push[:1] + kept * copy_push])
            ones = torch.ones_like(positive_p)
            positives = torch.stack([ones, positive_score, positive_score.square(), ones])
            moments = torch.cat([moments, moments[:1] + kept * positives.sum(1, dtype=torch.float64)])
        has_negatives = highest > -torch.inf
        parts = (push, mass, same_class_mass, torch.where(has_negatives, highest, 0.0), has_negatives)
        table = torch.cat([torch.stack([part.sum(1, dtype=torch.float64) for part in parts], 1), moments], 1)
        positive_mass, positive_similarity, accuracy = (
            torch.stack([positive_p, positive_score, correct]).mean(1).tolist()
        )
        counts = self.candidates.counts()
        # Not 1 − p₊: where p₊ rounds to 1, the difference would be noise.
        whole_push = table[:, 0].sum().item() / n
        sources = {
            name: _source_stats(counts[name], n, whole_push, *row)
            for name, row in zip(self.names, table.tolist(), strict=True)
        }
        return LossStats(sources, positive_mass, positive_similarity, accuracy, self._hardest(push.sum(0), scale))

    def _hardest(self, push: Tensor, scale: Tensor) -> list[HardNegative]:
        """The hardest negatives of every watched anchor; `push` (N,) is the gradient on the logits of all negatives."""
        assert self._watched is not None
        logits, ids, sources = (torch.cat(parts, 1) for parts in zip(*self._hard, strict=True))
        logits, best = logits.topk(min(HARDEST, logits.shape[1]), dim=1)
        if self._watched_weights is None:
            log_total = self._positive[1][self._watched, None]
            share = (logits - log_total).exp() / push[self._watched, None].clamp(min=1e-38)
        else:
            slopes, shift, watched_push = self._watched_weights
            assert self.candidates.weighting is not None
            powers = torch.tensor(self.candidates.weighting.powers, device=logits.device)[:, None, None]
            exponentials = (powers * (logits - shift[:, None])).exp()
            share = (slopes[:, :, None] * exponentials).sum(0) / watched_push[:, None].clamp(min=1e-12)
        rows = self._watched[:, None].expand_as(logits)
        columns = (rows, sources.gather(1, best), ids.gather(1, best), logits / scale, share)
        return [
            HardNegative(anchor, self.names[source], identity, similarity, part)
            for anchor, source, identity, similarity, part in zip(*(c.flatten().tolist() for c in columns), strict=True)
            if similarity > -float("inf")
        ]

    def _moments(self, index: int, n: int, total: Tensor, gram: Tensor, vectors: Tensor, scale: Tensor) -> Tensor:
        """Sums over a source's negatives, from which means and standard deviations follow.

        Σ_ij (a_i · c_j)² = ⟨AᵀA, CᵀC⟩ (Frobenius inner product); masked cells are subtracted.

        Args:
            index: of the source.
            n: number of anchors.
            total: (d,) sum of the anchors.
            gram: (d, d) Gram matrix AᵀA of the anchors.
            vectors: (n, d) candidates of the source.
            scale: scalar 1/τ.

        Returns:
            (4,) float64: number of cells, Σ s, Σ s², and number of cells whose candidate has the anchor's class.
        """
        classes = self.candidates.sources[index].labels
        same = torch.bincount(classes, minlength=self.classes)[self.labels].sum()
        dots, squares = (total * vectors.sum(0)).sum(), (gram * (vectors.T @ vectors)).sum()
        cells = torch.full_like(dots, n * len(vectors), dtype=torch.float64)
        sums = torch.stack([cells, dots, squares, same])
        if not self._masked[index]:
            return sums
        logits, rows, columns = (torch.cat(parts) for parts in zip(*self._masked[index], strict=True))
        scores = logits / scale
        parts = (torch.ones_like(scores), scores, scores.square(), self.labels[rows] == classes[columns])
        return sums - torch.stack([part.sum(dtype=torch.float64) for part in parts])


def _source_stats(
    count: int,
    anchors: int,
    whole_push: float,
    push: float,
    mass: float,
    same_class_mass: float,
    hardest: float,
    with_negatives: float,
    cells: float,
    total: float,
    squares: float,
    same: float,
) -> SourceStats:
    """Compute means from sums; all means are 0 if every cell is masked.

    Args:
        count: candidates of the source.
        anchors: number of anchors.
        whole_push: gradient on the logits of all negatives, averaged over anchors.
        push: the source's part of it, summed over anchors.
        mass: Σ p over all negatives of the source.
        same_class_mass: Σ p over those of the anchor's class.
        hardest: sum over anchors of the largest similarity.
        with_negatives: number of anchors that have an unmasked cell.
        cells: number of unmasked cells.
        total: sum of their similarities.
        squares: sum of their squared similarities.
        same: number of unmasked cells whose candidate has the anchor's class.
    """
    if cells == 0:  # what is left of the sums is rounding
        total = squares = same = 0.0
    mean = total / max(cells, 1.0)
    return SourceStats(
        count=count,
        masked=count - cells / anchors,
        mass=mass / anchors,
        share=push / anchors / whole_push if whole_push > 0 else 0.0,
        similarity=mean,
        spread=max(squares / max(cells, 1.0) - mean * mean, 0.0) ** 0.5,
        hardest=hardest / max(with_negatives, 1.0),
        false_negatives=same / max(cells, 1.0),
        false_mass=same_class_mass / max(mass, 1e-12),
    )
