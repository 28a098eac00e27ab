"""How much each candidate pulls: the gradient of InfoNCE on the similarities of an anchor, from all of its logits.

With p the softmax over an anchor's positive and negatives, the loss falls by p_j / τ per unit of similarity taken from
negative j, so p_j / (1 − p₊) is its share of the gradient on all negatives. With hardness weights or debiasing the
derivatives are those of `negatives.weighting`. See docs/method.md#anatomy-of-an-anchor.
"""

from __future__ import annotations

from typing import NamedTuple

import torch
from torch import Tensor

from ..negatives.weighting import Weighting


class Gradients(NamedTuple):
    """The derivatives of the losses of b anchors by their logits (similarities divided by τ).

    Attributes:
        losses: (b,) in nats.
        positive: (b,) softmax probability p₊ of the positive.
        mass: (b, M) probability of each negative; 0 of what is masked. With p₊ it sums to 1.
        push: (b, M) derivative of the loss by the logit of each negative; 0 of what is masked.
        share: (b, M) push of each negative as a share of all; sums to 1, or to 0 where no negative has a gradient.
        attraction: (b,) minus the derivative of the loss by the logit of the positive.
    """

    losses: Tensor
    positive: Tensor
    mass: Tensor
    push: Tensor
    share: Tensor
    attraction: Tensor


def on_logits(positive: Tensor, negatives: Tensor, weighting: Weighting | None, floor: Tensor) -> Gradients:
    """Derive the losses of b anchors by their logits.

    Args:
        positive: (b,) logits of the positives.
        negatives: (b, M) logits of the negatives, −∞ where a candidate is masked.
        weighting: how much each negative counts; None if all count alike.
        floor: scalar, the smallest logit there can be (`Weighting.floor`).

    Example:
        >>> found = on_logits(torch.tensor([1.0]), torch.tensor([[1.0, 1.0, -torch.inf]]), None, torch.tensor(-5.0))
        >>> round(found.positive.item(), 4), found.share
        (0.3333, tensor([[0.5000, 0.5000, 0.0000]]))
    """
    if weighting is None:
        logits = torch.cat([positive[:, None], negatives], 1)
        log_total = logits.logsumexp(1)
        mass = (negatives - log_total[:, None]).exp()
        p = (positive - log_total).exp()
        losses, push, attraction = log_total - positive, mass, 1 - p
    else:
        highest = negatives.amax(1)
        shift = torch.where(highest > -torch.inf, highest, 0.0)
        powers = weighting.powers
        exponentials = [(power * (negatives - shift[:, None])).exp() for power in powers]
        count = (negatives > -torch.inf).sum(1).float()
        weighed = weighting.weigh(positive, shift, [e.sum(1) for e in exponentials], count, floor)
        losses, p = weighed.losses, (positive - weighed.log_total).exp()
        mass = weighed.mass[:, None] * exponentials[0]
        terms = [slope[:, None] * e for slope, e in zip(weighed.slopes, exponentials, strict=True)]
        push = sum(terms[1:], terms[0])
        attraction = push.sum(1) + weighed.floor_pull
    whole = push.sum(1, keepdim=True)
    share = torch.where(whole.abs() > 1e-12, push / whole.clamp(min=1e-12), 0.0)
    return Gradients(losses, p, mass, push, share, attraction)


def effective_number(weights: Tensor) -> Tensor:
    """The exponential of the entropy of weights (…, M): how many negatives of equal weight would pull alike.

    Negative weights, which hardness weights can give, count as 0.

    Example:
        >>> effective_number(torch.tensor([0.5, 0.5, 0.0])).item()
        2.0
    """
    p = weights.clamp(min=0)
    p = p / p.sum(-1, keepdim=True).clamp(min=1e-12)
    number: Tensor = torch.special.entr(p).sum(-1).exp()
    return number
