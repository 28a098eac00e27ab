"""Other settings on a batch held still: what the loss, the shares and the gradient would be, with nothing trained."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor
from torch.nn import functional as F

from ..config import RunConfig
from ..negatives.source_stats import SourceStats
from ..training.objectives.loss_inputs import LossInputs
from .frozen import Frozen
from .lineup import Lineup, line_up_of


@dataclass(frozen=True)
class Outcome:
    """What one batch gives under some settings.

    Attributes:
        loss: in nats, averaged over horizons as it is recorded.
        weighted: in nats, with the weights that its parts have in training.
        accuracy: share of anchors whose positive scores at least as high as every negative.
        positive_mass: p₊ averaged over anchors.
        sources: statistics of the whole batch per source, as they are recorded.
        gradient: the loss's gradient on predictions and latents, along the unit sphere where similarities are cosines.
        lineup: of the chosen anchor.
    """

    loss: float
    weighted: float
    accuracy: float
    positive_mass: float
    sources: dict[str, SourceStats]
    gradient: Tensor
    lineup: Lineup

    def cosine(self, other: Outcome) -> float:
        """Cosine between two outcomes' gradients: 1 where both settings move the network the same way."""
        return float(F.cosine_similarity(self.gradient, other.gradient, dim=0))

    @property
    def false_mass(self) -> float:
        """Share of the gradient on negatives that comes from the anchors' own classes, over the batch."""
        return sum(stats.share * stats.false_mass for stats in self.sources.values())


def what_if(frozen: Frozen, anchor: int, config: RunConfig | None = None) -> Outcome:
    """Compute a batch's loss under some settings.

    Args:
        anchor: whose line-up is wanted.
        config: settings; other settings of the sampler and another τ than the run's count. The run's own by default.
    """
    inputs, candidates = frozen.draw(frozen.opened.config if config is None else config)
    result = inputs.loss(candidates, record=True)
    assert result.stats is not None
    leaves = [inputs.anchors, inputs.futures.vectors]
    leaves += [keys.vectors for keys in (inputs.other, frozen.inputs.shuffled_input) if keys is not None]
    found = torch.autograd.grad(result.loss, [x for x in leaves if x.requires_grad], allow_unused=True)
    gradients = iter(found)
    parts = []
    for leaf in leaves:
        gradient = next(gradients) if leaf.requires_grad else None
        gradient = torch.zeros_like(leaf) if gradient is None else gradient
        if inputs.sampler.cosine:  # lengths are fixed: what would change them is left out
            gradient = gradient - (gradient * leaf.detach()).sum(1, keepdim=True) * leaf.detach()
        parts.append(gradient.flatten())
    stats = result.stats
    return Outcome(
        loss=_recorded(inputs, result.losses),
        weighted=result.loss.item(),
        accuracy=stats.accuracy,
        positive_mass=stats.positive_mass,
        sources=stats.sources,
        gradient=torch.cat(parts),
        lineup=line_up_of(frozen, anchor, inputs, candidates),
    )


def _recorded(inputs: LossInputs, losses: Tensor) -> float:
    """The mean over horizons of the mean losses (N,) of each, as `training.records` has it."""
    means = [part.mean() for part in losses.split([count for _, count in inputs.parts])]
    kept = [mean for mean, (name, _) in zip(means, inputs.parts, strict=True) if name != "global"]
    return float(torch.stack(kept).mean())
