"""What each source of negatives does to the loss, from the loss's own logits.

For p = softmax over an anchor's candidates, the gradient on similarity j is p_j / τ, so the mass Σ_{j∈S} p_j is the
pull of source S, and mass / (1 − p₊) its share (design.md §4). Means and spreads of similarities need no pass over
the logits: they follow from sums and Gram matrices of the vectors.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import torch
from torch import Tensor

WATCHED = 4  # anchors whose hardest negatives are named
HARDEST = 8  # of them, for each

if TYPE_CHECKING:
    from .candidates import Candidates, SourceName


@dataclass(frozen=True)
class SourceAccount:
    """One source's part in one step. Similarities are the scores before division by τ.

    Attributes:
        count: candidates per anchor before masks; masked: mean number masked per anchor.
        mass: mean softmax mass of the source's negatives; share: mass ÷ (1 − p₊), sums to 1 over sources.
        similarity, spread: mean and standard deviation of its similarities to the anchors.
        hardest: mean over anchors of its largest similarity.
        false_negatives: share of its candidates that have the anchor's class; false_mass: the same, weighted by mass.
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
    """One of the negatives that score highest for a watched anchor.

    Attributes:
        anchor: the anchor's number in the call. identity: of the candidate (see `identity`).
        similarity: before division by τ. share: of the pull of this anchor's negatives.
    """

    anchor: int
    source: SourceName
    identity: int
    similarity: float
    share: float


@dataclass(frozen=True)
class Account:
    """All sources, and the anchors' side of the same logits.

    Attributes:
        positive_mass: mean p₊. accuracy: share of anchors whose positive scores at least as high as every negative.
        positive_similarity: mean score of the positives, before division by τ.
        hard: the hardest negatives of a few anchors, hardest first; a permuted copy is listed as its original.
    """

    sources: dict[SourceName, SourceAccount]
    positive_mass: float
    positive_similarity: float
    accuracy: float
    hard: list[HardNegative]


class Tally:
    """Keeps per anchor what blocks find, and sums it once, at the end: nothing reads the device before."""

    def __init__(self, candidates: Candidates, labels: Tensor) -> None:
        self.candidates, self.labels = candidates, labels
        self.names: list[SourceName] = [source.name for source in candidates.sources]
        self.classes = 1 + int(torch.cat([labels, *(source.labels for source in candidates.sources)]).amax())
        self._edges = [  # where each class begins and ends; candidates are sorted by class (see `by_class`)
            [0, *torch.bincount(source.labels, minlength=self.classes).cumsum(0).tolist()]
            for source in candidates.sources
        ]
        n, sources = len(labels), len(candidates.sources)
        self._mass = torch.empty(sources, self.classes, n, device=labels.device)
        self._highest = torch.empty(sources, n, device=labels.device)
        self._own = torch.empty(2, n, device=labels.device)  # the positive's logit and log Σ exp of all logits
        self._left_out: list[list[tuple[Tensor, Tensor, Tensor]]] = [[] for _ in candidates.sources]
        self._watched: Tensor | None = None
        self._hard: list[tuple[Tensor, Tensor, Tensor]] = []  # per tile: logits, identities, source, each (W, k)

    def runs(self, source: int, span: slice) -> list[tuple[int, slice]]:
        """The stretches of one class among a source's columns `span`, counted from its start."""
        edges, found = self._edges[source], []
        for label in range(self.classes):
            begin, end = max(edges[label], span.start), min(edges[label + 1], span.stop)
            if begin < end:
                found.append((label, slice(begin - span.start, end - span.start)))
        return found

    def leave_out(self, source: int, logits: Tensor, anchors: Tensor, columns: Tensor) -> None:
        """Cells (anchors[k], columns[k]) that are about to be masked, and their logits: moments must not count them."""
        self._left_out[source].append((logits, anchors, columns))

    def watch(self, source: int, span: slice, logits: Tensor) -> None:
        """A tile of the first block, masked, not yet exponentials: (b, n) logits."""
        if self._watched is None:
            self._watched = torch.linspace(0, len(logits) - 1, min(WATCHED, len(logits)), device=logits.device).long()
        values, columns = logits[self._watched].topk(min(HARDEST, logits.shape[1]), dim=1)
        ids = self.candidates.sources[source].ids[span][columns]
        self._hard.append((values, ids, torch.full_like(ids, source)))

    def add(
        self, rows: slice, own_logit: Tensor, log_total: Tensor, total: Tensor, class_mass: Tensor, highest: Tensor
    ) -> None:
        """One block: class_mass (S, classes, b), relative to total (b,), and highest logit (S, b) per source."""
        torch.div(class_mass, total, out=self._mass[:, :, rows])
        self._highest[:, rows] = highest
        self._own[0, rows] = own_logit
        self._own[1, rows] = log_total

    def account(self, anchors: Tensor, vectors: list[Tensor], scale: Tensor) -> Account:
        """The finished account.

        Args:
            anchors: (N, d), before division by τ. vectors: per source (n, d). scale: scalar, 1/τ.
        """
        n, own, own_score = len(anchors), (self._own[0] - self._own[1]).exp(), self._own[0] / scale
        highest = self._highest / scale
        hits = own_score >= highest.amax(0)
        mass = self._mass.sum(1)
        same = self._mass.gather(1, self.labels.expand(len(mass), 1, -1))[:, 0]
        total, gram = anchors.sum(0), anchors.T @ anchors
        moments = torch.stack([self._moments(i, n, total, gram, v, scale) for i, v in enumerate(vectors)])
        if self.candidates.mirror != "absent":  # the in-batch negatives again, in seed mode with the positives
            self.names.append("shuffled")
            kept = 1.0 if self.candidates.mode == "seed" else 0.0
            again = torch.maximum(highest[0], own_score) if kept else highest[0]
            highest = torch.cat([highest, again[None]])
            mass, same = (torch.cat([x, x[:1] + kept * own]) for x in (mass, same))
            facts = torch.stack([torch.ones_like(own), own_score, own_score.square(), torch.ones_like(own)])
            moments = torch.cat([moments, moments[:1] + kept * facts.sum(1, dtype=torch.float64)])
        found = highest > -torch.inf
        parts = (mass, same, torch.where(found, highest, 0.0), found)
        table = torch.cat([torch.stack([part.sum(1, dtype=torch.float64) for part in parts], 1), moments], 1)
        positive_mass, positive_similarity, accuracy = torch.stack([own, own_score, hits]).mean(1).tolist()
        counts = self.candidates.counts()
        sources = {
            name: _source(counts[name], n, 1.0 - positive_mass, *row)
            for name, row in zip(self.names, table.tolist(), strict=True)
        }
        return Account(sources, positive_mass, positive_similarity, accuracy, self._hardest(own, scale))

    def _hardest(self, own: Tensor, scale: Tensor) -> list[HardNegative]:
        """Of every watched anchor; own (N,) is p₊."""
        assert self._watched is not None
        logits, ids, sources = (torch.cat(parts, 1) for parts in zip(*self._hard, strict=True))
        logits, best = logits.topk(min(HARDEST, logits.shape[1]), dim=1)
        positive, log_total = own[self._watched, None], self._own[1][self._watched, None]
        share = (logits - log_total).exp() / (1 - positive).clamp(min=1e-12)
        rows = self._watched[:, None].expand_as(logits)
        columns = (rows, sources.gather(1, best), ids.gather(1, best), logits / scale, share)
        return [
            HardNegative(anchor, self.names[source], identity, similarity, part)
            for anchor, source, identity, similarity, part in zip(*(c.flatten().tolist() for c in columns), strict=True)
            if similarity > -float("inf")
        ]

    def _moments(self, index: int, n: int, total: Tensor, gram: Tensor, vectors: Tensor, scale: Tensor) -> Tensor:
        """(cells, Σ s, Σ s², cells of the anchor's class) over a source's negatives, float64.

        Args:
            total: (d,), the anchors' sum. gram: (d, d), their Gram matrix: Σ_ij (a_i · c_j)² = ⟨AᵀA, CᵀC⟩.
        """
        classes = self.candidates.sources[index].labels
        same = torch.bincount(classes, minlength=self.classes)[self.labels].sum()
        dots, squares = (total * vectors.sum(0)).sum(), (gram * (vectors.T @ vectors)).sum()
        cells = torch.full_like(dots, n * len(vectors), dtype=torch.float64)
        sums = torch.stack([cells, dots, squares, same])
        if not self._left_out[index]:
            return sums
        logits, rows, columns = (torch.cat(parts) for parts in zip(*self._left_out[index], strict=True))
        scores = logits / scale
        parts = (torch.ones_like(scores), scores, scores.square(), self.labels[rows] == classes[columns])
        return sums - torch.stack([part.sum(dtype=torch.float64) for part in parts])


def _source(
    count: int,
    anchors: int,
    negative_mass: float,
    mass: float,
    same_mass: float,
    hardest: float,
    found: float,
    cells: float,
    total: float,
    squares: float,
    same: float,
) -> SourceAccount:
    """Means from sums; everything 0 where no cell is left unmasked."""
    mean = total / max(cells, 1.0)
    return SourceAccount(
        count=count,
        masked=count - cells / anchors,
        mass=mass / anchors,
        share=mass / anchors / max(negative_mass, 1e-12),
        similarity=mean,
        spread=max(squares / max(cells, 1.0) - mean * mean, 0.0) ** 0.5,
        hardest=hardest / max(found, 1.0),
        false_negatives=same / max(cells, 1.0),
        false_mass=same_mass / max(mass, 1e-12),
    )
