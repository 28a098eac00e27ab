"""The line-up of one anchor: every candidate it is scored against, by source, with what each does to it."""

from __future__ import annotations

from dataclasses import dataclass, replace

import torch
from torch import Tensor

from ..config import RunConfig
from ..negatives.candidates import Candidates
from ..negatives.identity import NO_POSITION, item_index
from ..sources import CandidateSet
from ..training.objectives.loss_inputs import LossInputs
from .frozen import Frozen
from .gradients import Gradients, effective_number, on_logits


@dataclass(frozen=True)
class Strip:
    """The n candidates of one source for one anchor.

    Attributes:
        source: its name. detached: whether no gradient flows through them, so that they push and are not pushed.
        vectors: (n, d). similarities: (n,) to the anchor, not divided by τ.
        counts: (n,) bool, false for those that are masked.
        share: (n,) gradient share among all negatives of the anchor; 0 of what is masked.
        mass: (n,) softmax probability; 0 of what is masked.
        same_class: (n,) bool, whether they have the anchor's class: false negatives, where they count.
        closer: (n,) bool, whether they are more similar to the anchor than its positive.
        ages: (n,) int64, steps since they were encoded.
        items: (n,) int64 row among `Opened.items` of the item behind each. positions: (n,) int64 in it.
        second: (n,) int64 rows of the other item of mixtures; None elsewhere.
        push: (d,) Σ_j push_j k_j over those that count: what they add to the loss's gradient on the anchor, times τ.
    """

    source: str
    detached: bool
    vectors: Tensor
    similarities: Tensor
    counts: Tensor
    share: Tensor
    mass: Tensor
    same_class: Tensor
    closer: Tensor
    ages: Tensor
    items: Tensor
    positions: Tensor
    second: Tensor | None
    push: Tensor

    @property
    def pull(self) -> float:
        """The length of `push`: how far they move the anchor together, since pushes in different directions cancel."""
        return float(self.push.norm())

    @property
    def total(self) -> float:
        """The source's share of the gradient on all negatives of the anchor."""
        return float(self.share.sum())

    @property
    def false_share(self) -> float:
        """How much of the source's share comes from candidates of the anchor's class, 0 to 1; 0 without a share."""
        return float(self.share[self.same_class].sum()) / self.total if abs(self.total) > 1e-12 else 0.0

    @property
    def false_negatives(self) -> float:
        """Share of the negatives that have the anchor's class, each counted once."""
        return float((self.same_class & self.counts).sum()) / max(int(self.counts.sum()), 1)

    def hardest(self, count: int) -> list[int]:
        """The indices of the negatives with the largest shares, largest first."""
        order = torch.where(self.counts, self.share, -torch.inf).topk(min(count, len(self.share))).indices
        return [index for index in order.tolist() if bool(self.counts[index])]

    def by_item(self, count: int) -> list[tuple[int, int, float]]:
        """The items whose negatives have the largest shares together, largest first.

        Returns:
            For each item: the index of its strongest negative, how many negatives it has, and their share together.
        """
        indices = self.counts.nonzero()[:, 0]
        items, which = self.items[indices].unique(return_inverse=True)
        totals = torch.zeros(len(items)).index_add_(0, which, self.share[indices])
        found = []
        for item in totals.topk(min(count, len(items))).indices.tolist():
            own = indices[which == item]
            found.append((int(own[self.share[own].argmax()]), len(own), float(totals[item])))
        return found


@dataclass(frozen=True)
class Lineup:
    """One anchor against all of its candidates.

    Attributes:
        anchor: its number in the loss. item: row among `Opened.items`. position: in the item, of what it predicts.
        part: its horizon as text, "global", or "item". label: its class.
        loss: in nats. positive: p₊. similarity: to the positive, not divided by τ.
        strips: by source, in the order of the candidates.
        effective: how many negatives of equal weight would pull alike.
        attraction: how strongly the positive attracts: minus the derivative of the loss by its logit.
    """

    anchor: int
    item: int
    position: int
    part: str
    label: int
    loss: float
    positive: float
    similarity: float
    strips: dict[str, Strip]
    effective: float
    attraction: float

    @property
    def strongest(self) -> str | None:
        """The source that pulls hardest: the one with the largest share. None where no negative has a gradient."""
        name = max(self.strips, key=lambda name: self.strips[name].total)
        return name if self.strips[name].total > 0 else None

    @property
    def false_share(self) -> float:
        """How much of the whole gradient on negatives comes from candidates of the anchor's class."""
        return sum(strip.total * strip.false_share for strip in self.strips.values())


def line_up(frozen: Frozen, anchor: int, config: RunConfig | None = None) -> Lineup:
    """Score one anchor against every candidate.

    Args:
        anchor: its number in the loss.
        config: settings; the run's own by default.
    """
    return line_up_of(frozen, anchor, *frozen.draw(frozen.opened.config if config is None else config))


@torch.no_grad()
def line_up_of(frozen: Frozen, anchor: int, inputs: LossInputs, candidates: Candidates) -> Lineup:
    """As `line_up`, with candidates that are drawn already."""
    row = torch.tensor([anchor])
    vector, label = inputs.anchors[anchor], inputs.futures.labels[inputs.positives[anchor]]
    positive, logits, found = derive(inputs, candidates, row)
    similarity, starts, strips = positive[0] / inputs.scale, 0, {}
    for source in unfolded(candidates):
        span = slice(starts, starts + len(source.ids))
        starts = span.stop
        similarities = source.vectors.float() @ vector
        push = found.push[0, span]
        strips[source.name] = Strip(
            source=source.name,
            detached=not source.vectors.requires_grad,
            vectors=source.vectors.detach(),
            similarities=similarities,
            counts=logits[0, span] > -torch.inf,
            share=found.share[0, span],
            mass=found.mass[0, span],
            same_class=source.labels == label,
            closer=similarities > similarity,
            ages=_ages(frozen, inputs, source),
            items=item_index(source.ids),
            positions=source.ids & NO_POSITION,
            second=None if source.second is None else item_index(source.second),
            push=push @ source.vectors.detach().float(),
        )
    return Lineup(
        anchor=anchor,
        item=int(frozen.items[anchor]),
        position=int(frozen.positions[anchor]),
        part=frozen.parts[anchor],
        label=int(label),
        loss=float(found.losses),
        positive=float(found.positive),
        similarity=float(similarity),
        strips=strips,
        effective=float(effective_number(found.push[0])),
        attraction=float(found.attraction),
    )


def derive(inputs: LossInputs, candidates: Candidates, rows: Tensor) -> tuple[Tensor, Tensor, Gradients]:
    """Score the anchors at `rows` (b,) against all candidates, permuted copies included.

    Returns:
        (b,) logits of the positives, (b, M) those of the negatives, −∞ where masked, and what follows from them.
    """
    positives = inputs.positives[rows]
    anchors = inputs.anchors[rows].float() * inputs.scale
    sources = candidates.sources
    parts = []
    for source, mask in zip(sources, candidates.masks(positives), strict=True):
        logits = anchors @ source.vectors.float().T
        if mask is not None:
            logits = logits.masked_fill(mask.equal(slice(None), slice(None)), -torch.inf)
        parts.append(logits)
    positive = (anchors * sources[0].vectors[positives].float()).sum(1)
    if candidates.permuted != "absent":
        copy = parts[0]
        if candidates.mode == "reference":  # the permuted copy of the positive counts
            copy = copy.clone()
            copy[torch.arange(len(rows)), positives] = positive
        parts.append(copy)
    logits = torch.cat(parts, 1)
    weighting = candidates.weighting
    floor = torch.zeros(()) if weighting is None else weighting.floor(inputs.scale.float())
    return positive, logits, on_logits(positive, logits, weighting, floor)


def unfolded(candidates: Candidates) -> list[CandidateSet]:
    """The candidates by source, a permuted copy of the in-batch latents as a source of its own."""
    if candidates.permuted == "absent":
        return candidates.sources
    in_batch = candidates.sources[0]
    detached = candidates.permuted == "detached"
    copy = replace(in_batch, name="shuffled", vectors=in_batch.vectors.detach() if detached else in_batch.vectors)
    return [*candidates.sources, copy]


def nearest_real(strip: Strip, index: int, lineup: Lineup) -> tuple[int, int, float]:
    """The real latent that a synthetic candidate is most similar to.

    Returns:
        (item, position, cosine) of the in-batch latent, or of the queued one where that is nearer.
    """
    vector = torch.nn.functional.normalize(strip.vectors[index].float(), dim=0)
    best = (-1, 0, -2.0)
    for name in ("in_batch", "queue"):
        if name in lineup.strips:
            real = lineup.strips[name]
            cosines = torch.nn.functional.normalize(real.vectors.float(), dim=1) @ vector
            at = int(cosines.argmax())
            best = max(best, (int(real.items[at]), int(real.positions[at]), float(cosines[at])), key=lambda b: b[2])
    return best


def _ages(frozen: Frozen, inputs: LossInputs, source: CandidateSet) -> Tensor:
    """(n,) steps since the candidates were encoded; only queued ones have an age."""
    if source.name != "queue":
        return torch.zeros_like(source.ids)
    step = frozen.opened.step
    return step - inputs.sampler.queue.entries(step, inputs.sampler.config.queue_max_age).steps
