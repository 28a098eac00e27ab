"""How much each negative counts: hardness weights and the correction of the negatives' mass for false negatives.

Notation of one anchor: p logit of the positive, l_j logits of its N negatives (permuted copies included), β hardness,
τ⁺ class prior. The negatives' mass Σ_j exp(l_j) of the loss becomes

    G = N Σ_j exp((1 + β) l_j) / Σ_j exp(β l_j)                          (weights ∝ exp(β l_j) of mean 1)
    G' = max((G − N τ⁺ exp(p)) / (1 − τ⁺), N exp(f)),   loss = log(exp(p) + G') − p

with f the smallest logit there can be: −1/τ for cosines. Gradients flow through the weights, as in the authors' code.

References: docs/method.md#hardness-weights and docs/method.md#debiased-negatives; Robinson et al. 2021 (arXiv
2010.04592), Chuang et al. 2020 (arXiv 2007.00224).
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import torch
from torch import Tensor

DOT_FLOOR = math.log(1e-8)  # dot products have no smallest value; this only keeps the mass positive


@dataclass(frozen=True)
class Weighting:
    """What weighs the negatives of every anchor.

    Attributes:
        hardness: β ≥ 0. class_prior: τ⁺, at least 0 and below 1.
        cosine: whether similarities are cosines, so that −1/τ is the smallest logit.

    Example:
        >>> Weighting(hardness=0.5).powers
        (1.5, 0.5)
    """

    hardness: float = 0.0
    class_prior: float = 0.0
    cosine: bool = True

    @property
    def powers(self) -> tuple[float, ...]:
        """The multiples of the logits whose exponentials are summed."""
        return (1 + self.hardness, self.hardness) if self.hardness > 0 else (1.0,)

    def floor(self, scale: Tensor) -> Tensor:
        """The logit f of the floor; `scale` is 1/τ and gets its gradient."""
        return -scale if self.cosine else torch.full_like(scale, DOT_FLOOR)

    def weigh(self, positive: Tensor, shift: Tensor, sums: list[Tensor], count: Tensor, floor: Tensor) -> Weighed:
        """The losses of b anchors and the derivatives that their gradients are made of.

        Args:
            positive: (b,) logits of the positives.
            shift: (b,) m; the logits l_j were summed as l_j − m.
            sums: for each of `powers` (b,) Σ_j exp(power · (l_j − m)).
            count: (b,) float32 number N of negatives. floor: scalar f.

        Example:
            >>> logits, p = torch.tensor([[0.3, -0.2]]), torch.tensor([0.9])
            >>> weighed = Weighting(class_prior=0.1).weigh(
            ...     p, torch.zeros(1), [logits.exp().sum(1)], torch.tensor([2.0]), torch.tensor(-5.0)
            ... )
            >>> mass = (logits.exp().sum() - 2 * 0.1 * p.exp()) / 0.9
            >>> weighed.losses.allclose((1 + mass / p.exp()).log())
            True
        """
        there = count > 0  # without negatives the loss and every derivative are 0
        mean = count if self.hardness == 0 else sums[1]
        log_mass = torch.where(there, count.log() + shift + (sums[0] / mean).log(), -torch.inf)
        log_negatives, floored = log_mass, torch.zeros_like(there)
        if self.class_prior > 0:
            false = (count.log() + math.log(self.class_prior) + positive - log_mass).exp()
            corrected = log_mass + (1 - false).clamp(min=0).log() - math.log1p(-self.class_prior)
            lowest = count.log() + floor
            floored = there & (corrected < lowest)
            log_negatives = torch.where(there, torch.where(floored, lowest, corrected), -torch.inf)
        log_total = torch.logaddexp(positive, log_negatives)
        negatives = (log_negatives - log_total).exp()  # 1 − p₊
        push = torch.where(floored, 0.0, (log_mass - log_total).exp() / (1 - self.class_prior))
        slopes = [(1 + self.hardness) * push / sums[0], -self.hardness * push / mean][: len(sums)]
        return Weighed(
            losses=torch.nn.functional.softplus(log_negatives - positive),
            log_total=log_total,
            slopes=[torch.where(there, slope, 0.0) for slope in slopes],
            floor_pull=torch.where(floored, negatives, 0.0),
            mass=torch.where(there, negatives / sums[0], 0.0),
        )


@dataclass(frozen=True)
class Weighed:
    """The result of `Weighting.weigh` for b anchors.

    Attributes:
        losses: (b,) in nats. log_total: (b,) log(exp(p) + G').
        slopes: for each of `Weighting.powers` (b,) the derivative of the loss by a sum of shifted exponentials, times
            its power, so that the derivative by logit l_j is Σ_k slopes[k] exp(powers[k] (l_j − m)).
        floor_pull: (b,) derivative of the loss by the floor's logit f; 0 where the floor is not reached.
        mass: (b,) what turns the first power's exponentials into probabilities, which sum to 1 − p₊.
    """

    losses: Tensor
    log_total: Tensor
    slopes: list[Tensor]
    floor_pull: Tensor
    mass: Tensor
