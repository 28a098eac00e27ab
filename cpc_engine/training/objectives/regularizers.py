"""Terms that keep embeddings from collapsing without negatives: VICReg (Bardes et al. 2022, arXiv 2105.04906)."""

from __future__ import annotations

from torch import Tensor
from torch.nn import functional as F

from ...config import LossConfig

_SMALLEST = 1e-4  # added to a variance before its root, as in the paper


def vicreg(first: Tensor, second: Tensor, loss: LossConfig) -> Tensor:
    """Return the weighted sum of invariance, variance, and covariance terms of two views.

    Args:
        first, second: (B, e) embeddings of two views of the same items, B ≥ 2.
        loss: gives the weights.

    Example:
        >>> import torch
        >>> views = torch.tensor([[1.0, 1.0], [-1.0, -1.0]])
        >>> vicreg(views, views, LossConfig(covariance_weight=1.0))
        tensor(8.)
    """
    invariance = F.mse_loss(first, second)
    variance = first.new_zeros(())
    covariance = first.new_zeros(())
    for view in (first, second):
        centered = view - view.mean(0)
        variance = variance + F.relu(1 - (centered.var(0) + _SMALLEST).sqrt()).mean() / 2
        products = centered.T @ centered / (len(view) - 1)
        covariance = covariance + products.fill_diagonal_(0).square().sum() / view.shape[1]
    return loss.invariance_weight * invariance + loss.variance_weight * variance + loss.covariance_weight * covariance
