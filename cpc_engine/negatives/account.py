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
class Account:
    """All sources, and the anchors' side of the same logits.

    Attributes:
        positive_mass: mean p₊. accuracy: share of anchors whose positive scores at least as high as every negative.
        positive_similarity: mean score of the positives, before division by τ.
    """

    sources: dict[SourceName, SourceAccount]
    positive_mass: float
    positive_similarity: float
    accuracy: float


class Tally:
    """Sums over tiles and blocks; reads the device once, at the end."""

    def __init__(self, candidates: Candidates, labels: Tensor) -> None:
        self.candidates, self.labels = candidates, labels
        self.names: list[SourceName] = [source.name for source in candidates.sources]
        if candidates.mirror != "absent":
            self.names.append("shuffled")
        self.keeps_own = candidates.mirror != "absent" and candidates.mode == "seed"
        self.classes = 1 + int(torch.cat([labels, *(source.labels for source in candidates.sources)]).amax())
        # per source: mass, mass of the anchor's class, highest logit, anchors that have one
        self.sums = labels.new_zeros(len(self.names), 4, dtype=torch.float64)
        # of the masked cells, per source: how many, Σ and Σ² of their logits, those of the anchor's class
        self.left_out = labels.new_zeros(len(candidates.sources), 4, dtype=torch.float64)
        self.positive = labels.new_zeros(4, dtype=torch.float64)  # p₊, logit, squared logit, hits

    def one_hot(self, source: int, span: slice) -> Tensor:
        """(n, classes) float32 of some of a source's candidates: exponentials × one-hot are sums per class."""
        return torch.nn.functional.one_hot(self.candidates.sources[source].labels[span], self.classes).float()

    def leave_out(self, source: int, logits: Tensor, anchors: Tensor, columns: Tensor) -> None:
        """Cells (anchors[k], columns[k]) that are about to be masked, and their logits: moments must not count them."""
        same = self.labels[anchors] == self.candidates.sources[source].labels[columns]
        parts = (torch.ones_like(logits), logits, logits.double().square(), same)
        self.left_out[source] += torch.stack([part.sum(dtype=torch.float64) for part in parts])

    def add(
        self, rows: slice, own_logit: Tensor, own_exp: Tensor, total: Tensor, class_mass: Tensor, highest: Tensor
    ) -> None:
        """One block: class_mass (S, b, classes) and highest logit (S, b) per source; the others (b,)."""
        same = class_mass.gather(2, self.labels[rows].expand(len(highest), -1)[:, :, None])[:, :, 0]
        mass = class_mass.sum(2)
        if len(self.names) > len(mass):
            own = own_exp if self.keeps_own else torch.zeros_like(own_exp)
            top = torch.maximum(highest[0], own_logit) if self.keeps_own else highest[0]
            mass = torch.cat([mass, mass[:1] + own])
            same = torch.cat([same, same[:1] + own])
            highest = torch.cat([highest, top[None]])
        found = highest > -torch.inf
        parts = (mass / total, same / total, torch.where(found, highest, 0.0), found)
        self.sums += torch.stack([part.sum(1, dtype=torch.float64) for part in parts], 1)
        hits = own_logit >= highest.amax(0)
        facts = (own_exp / total, own_logit, own_logit.square(), hits)
        self.positive += torch.stack([fact.sum(dtype=torch.float64) for fact in facts])

    def account(self, anchors: Tensor, vectors: list[Tensor], scale: Tensor) -> Account:
        """The finished account.

        Args:
            anchors: (N, d), before division by τ. vectors: per source (n, d). scale: scalar, 1/τ.
        """
        n, scale = len(anchors), scale.double()
        mass, logit, logit_squared, hits = self.positive.unbind()
        moments = [self._moments(index, anchors, v, scale) for index, v in enumerate(vectors)]
        if len(self.names) > len(moments):
            own = torch.stack([torch.full_like(scale, n), logit / scale, logit_squared / scale**2, scale * 0 + n])
            moments.append(moments[0] + own if self.keeps_own else moments[0])
        table = torch.cat([self.sums, torch.stack(moments)], 1)
        table[:, 2] /= scale
        facts = torch.stack([mass / n, logit / scale / n, hits / n])
        positive_mass, positive_similarity, accuracy = facts.tolist()
        counts = self.candidates.counts()
        sources = {
            name: _source(counts[name], n, 1.0 - positive_mass, *row)
            for name, row in zip(self.names, table.tolist(), strict=True)
        }
        return Account(sources, positive_mass, positive_similarity, accuracy)

    def _moments(self, index: int, anchors: Tensor, vectors: Tensor, scale: Tensor) -> Tensor:
        """(cells, Σ s, Σ s², cells of the anchor's class) over the negatives, float64."""
        classes = self.candidates.sources[index].labels
        a, v = anchors.double(), vectors.double()
        same = torch.bincount(classes, minlength=self.classes)[self.labels].sum()
        cells = torch.full_like(scale, len(anchors) * len(vectors))
        sums = torch.stack([cells, a.sum(0) @ v.sum(0), ((a.T @ a) * (v.T @ v)).sum(), same.double()])
        count, total, squares, masked_same = self.left_out[index].unbind()
        return sums - torch.stack([count, total / scale, squares / scale**2, masked_same])


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
