"""What the loss of one modality is computed from in one step, before its negatives are drawn."""

from __future__ import annotations

from dataclasses import dataclass

from torch import Tensor

from ...negatives.candidates import Candidates
from ...negatives.infonce import InfoNCE, info_nce
from ...negatives.sampler import HybridSampler
from ...sources import Anchors, Keys


@dataclass(frozen=True)
class LossInputs:
    """The anchors of one step, their positives, and what negatives are drawn from.

    Attributes:
        anchors: (N, d) predictions or item embeddings, unit length where similarities are cosines.
        positives: (N,) int64, row of each anchor's positive in `futures`.
        weights: (N,) weights of the anchors in the loss; None for 1/N each.
        futures: keys that are the positive of some anchor.
        other: keys of the other modality of the same batch; None without one.
        shuffled_input: keys of the shuffled input; None where the sampler does not ask for it.
        parts: (name, number of anchors) in the order of the anchors: horizons as text, "global", or "item".
        sampler: draws the negatives.
        scale: scalar 1/τ.
        bound: upper bound of the logits; None if not known.
    """

    anchors: Tensor
    positives: Tensor
    weights: Tensor | None
    futures: Keys
    other: Keys | None
    shuffled_input: Keys | None
    parts: tuple[tuple[str, int], ...]
    sampler: HybridSampler
    scale: Tensor
    bound: float | None

    def candidates(self, step: int) -> Candidates:
        """Draw the candidates of a step, counted from 0."""
        drawn_for = Anchors(self.anchors.detach(), self.positives)
        return self.sampler.candidates(self.futures, step, self.other, self.shuffled_input, drawn_for)

    def loss(self, candidates: Candidates, record: bool) -> InfoNCE:
        """Compute the loss against these candidates; with `record` also source statistics."""
        labels = self.futures.labels[self.positives] if record else None
        return info_nce(self.anchors, self.positives, candidates, self.scale, self.weights, labels, self.bound)
